"""What customers said of the products: the notes of that kind, as the feedback page and its file ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django_filters
from django.db import models
from django.db.models import Count, F

from apps.crm.alerts import IdFilter
from apps.crm.filters import QueryFilter
from apps.crm.keyset import Column
from apps.crm.models import Note

NO_PRODUCT = "none"


def products() -> list[tuple[str, int]]:
    """Each product that feedback names, "" for none among them, with how often; one query."""
    rows = Note.objects.feedback().order_by("product").values_list("product")
    return list(rows.annotate(number=Count("pk")))


class FeedbackFilter(QueryFilter):
    """The product feedback a query string asks for, the newest first."""

    everything = Note.objects
    sorts = {"written": Column(F("created_at"), models.DateTimeField())}
    default_sort = "-written"

    product = django_filters.ChoiceFilter(method="about", label="Product", choices=[])
    account = IdFilter(label="Account", min_value=1, max_value=2**63 - 1)

    def _late_choices(self) -> dict[str, Callable[[], list[tuple[str, str]]]]:
        return {"product": lambda: [(name or NO_PRODUCT, name) for name, _ in products()]}

    def filter_queryset(self, queryset: Any) -> Any:
        return super().filter_queryset(queryset).feedback()

    def about(self, notes: Any, name: str, value: str) -> Any:
        return notes.filter(product="" if value == NO_PRODUCT else value)
