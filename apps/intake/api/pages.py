"""Lists by cursor: a page deep inside costs no more than the first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import F, QuerySet
from rest_framework import serializers
from rest_framework.response import Response

from apps.crm import keyset
from apps.crm.keyset import Column, Order
from apps.intake.api.errors import Problem
from apps.intake.api.strict import Query, Text

AT_ONCE = 50
MOST = 200

OLDEST_FIRST = Order("id", Column(F("pk"), models.BigIntegerField()))
NEWEST_FIRST = Order("-id", OLDEST_FIRST.column)


class PageQuery(Query):
    limit = serializers.IntegerField(min_value=1, max_value=MOST, default=AT_ONCE)
    cursor = Text(required=False, allow_blank=True, help_text="“next” of the page before.")


def page(
    rows: QuerySet[Any],
    shown_as: type[serializers.BaseSerializer[Any]],
    query: Mapping[str, Any],
    order: Order = NEWEST_FIRST,
) -> Response:
    """The page of ``rows`` that a checked query asks for."""
    found = keyset.page(rows, order, cursor=query.get("cursor", ""), size=query["limit"])
    if found.notice:
        raise Problem(422, "invalid", "cursor: This was not given out for a list in this order.")
    return Response({"results": shown_as(found.rows, many=True).data, "next": found.next or None})
