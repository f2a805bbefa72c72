"""Pages of a sorted list that stay quick however deep: each begins after the last row of the one before.

Unknown values stand last in both directions, and the id decides between equal ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.core import signing
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import F, Q
from django.db.models.expressions import Combinable

PAGE_SIZE = 50
COUNTED_UP_TO = 10_000
BROKEN = "That page of the list is not there any more; this is the first one."

# Without the time of signing, so that one place in a list has one cursor.
_SIGNER = signing.Signer(salt="keyset")


@dataclass(frozen=True)
class Column:
    """What a list can be sorted by: an expression over accounts and the field that reads its values back."""

    expression: Combinable
    field: models.Field[Any, Any]
    nullable: bool = False


@dataclass(frozen=True)
class Order:
    """A column with a direction; ``name`` is how a query string says it: ``forecast`` or ``-forecast``."""

    name: str
    column: Column

    @property
    def descending(self) -> bool:
        return self.name.startswith("-")


@dataclass(frozen=True)
class Page:
    """Some rows, the cursor of the next page (empty on the last), and a sentence if the given cursor was broken."""

    rows: list[Any]
    next: str
    notice: str = ""


def page(queryset: models.QuerySet[Any], order: Order, *, cursor: str = "", size: int = PAGE_SIZE) -> Page:
    """The rows after ``cursor``, sorted; instances, or dicts of ``.values("pk", …)``. At most two queries.

    A broken cursor, or one made for another order, gives the first page and a sentence.
    """
    try:
        after = _read(cursor, order) if cursor else None
    except (signing.BadSignature, ValidationError, TypeError, ValueError):
        return replace(page(queryset, order, size=size), notice=BROKEN)
    sorted_rows = queryset.annotate(sorted_by=order.column.expression)
    rows: list[Any] = []
    if after is None or after[0] is not None:
        known = sorted_rows.filter(sorted_by__isnull=False) if order.column.nullable else sorted_rows
        by = F("sorted_by").desc() if order.descending else F("sorted_by").asc()
        known = known.order_by(by, "-pk" if order.descending else "pk")
        rows = list(known.filter(_beyond(order, *after) if after else Q())[: size + 1])
        after = None
    if order.column.nullable and len(rows) <= size:
        unknown = sorted_rows.filter(sorted_by__isnull=True).order_by("-pk" if order.descending else "pk")
        beyond = Q(**{"pk__lt" if order.descending else "pk__gt": after[1]}) if after else Q()
        rows += unknown.filter(beyond)[: size + 1 - len(rows)]
    more = len(rows) > size
    rows = rows[:size]
    return Page(rows, _write(rows[-1], order) if more else "")


def in_order(queryset: models.QuerySet[Any], order: Order) -> models.QuerySet[Any]:
    """All the rows, in the order in which the pages show them."""
    by = F("sorted_by").desc(nulls_last=True) if order.descending else F("sorted_by").asc(nulls_last=True)
    rows = queryset.annotate(sorted_by=order.column.expression)
    return rows.order_by(by, "-pk" if order.descending else "pk")


def _beyond(order: Order, value: Any, pk: int) -> Q:
    """The rows after one. The first condition alone is what an index can start at."""
    first, beyond = ("sorted_by__lte", "pk__lt") if order.descending else ("sorted_by__gte", "pk__gt")
    return Q(**{first: value}) & (~Q(sorted_by=value) | Q(**{beyond: pk}))


def _write(row: Any, order: Order) -> str:
    return cursor_after(
        order, *((row["sorted_by"], row["pk"]) if isinstance(row, dict) else (row.sorted_by, row.pk))
    )


def cursor_after(order: Order, value: Any, pk: int) -> str:
    """The cursor of the rows after the one with this value of the order's column and this id."""
    text = value.isoformat() if isinstance(value, date) else None if value is None else str(value)
    return _SIGNER.sign_object([order.name, text, pk])


def _read(cursor: str, order: Order) -> tuple[Any, int]:
    name, text, pk = _SIGNER.unsign_object(cursor)
    if name != order.name:
        raise ValueError("The cursor was made for another order.")
    return order.column.field.to_python(text), pk


def count_text(counted: int) -> str:
    """A count as it is shown: exact up to 10,000, then "10,000+"."""
    return f"{COUNTED_UP_TO:,}+" if counted > COUNTED_UP_TO else f"{counted:,}"


def counts(querysets: Mapping[str, models.QuerySet[Any]], *, up_to: int | None = None) -> dict[str, int]:
    """How many rows each of these holds, one query for all of them.

    None is counted further than one past ``up_to``, which is 10,000 unless said.
    """
    most = (COUNTED_UP_TO if up_to is None else up_to) + 1
    parts: list[str] = []
    values: list[Any] = []
    for queryset in querysets.values():
        sql, params = queryset.order_by().values("pk")[:most].query.sql_with_params()
        parts.append(f"(SELECT count(*) FROM ({sql}) AS counted)")
        values += params
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(parts), values)
        found = cursor.fetchone()
    return dict(zip(querysets, found, strict=True))
