"""Lists by cursor: each page ends with the key of its last row, so that a page deep inside costs no more."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.response import Response

from apps.intake.api.strict import Query

AT_ONCE = 50
MOST = 200


class PageQuery(Query):
    limit = serializers.IntegerField(min_value=1, max_value=MOST, default=AT_ONCE)
    cursor = serializers.CharField(required=False, max_length=100, help_text="“next” of the page before.")

    def validate_cursor(self, cursor: str) -> int:
        try:
            return int(base64.urlsafe_b64decode(cursor.encode()).decode("ascii"))
        except (ValueError, binascii.Error):
            raise serializers.ValidationError("This is no cursor of ours.") from None


def page(
    rows: QuerySet[Any],
    shown_as: type[serializers.BaseSerializer[Any]],
    query: Mapping[str, Any],
    *,
    by: str = "-pk",
) -> Response:
    """The page of ``rows`` that ``query`` asks for, in the order of the unique key ``by``."""
    limit, key, after = query["limit"], by.lstrip("-"), "lt" if by.startswith("-") else "gt"
    if "cursor" in query:
        rows = rows.filter(**{f"{key}__{after}": query["cursor"]})
    found = list(rows.order_by(by)[: limit + 1])
    more = len(found) > limit
    return Response(
        {
            "results": shown_as(found[:limit], many=True).data,
            "next": _cursor(getattr(found[limit - 1], key)) if more else None,
        }
    )


def _cursor(key: int) -> str:
    return base64.urlsafe_b64encode(str(key).encode()).decode()
