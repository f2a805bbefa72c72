"""Pages of a sorted list that stay quick however deep: each begins after the last row of the one before.

Unknown values stand last in both directions, and the id decides between equal ones.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.core import signing
from django.core.exceptions import EmptyResultSet, FullResultSet, ValidationError
from django.db import connection, models
from django.db.models import F, Q
from django.db.models.expressions import Combinable

from apps.crm.kept import Given, Kept, Text, fixed

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


def page(
    queryset: models.QuerySet[Any] | Callable[[], models.QuerySet[Any]],
    order: Order,
    *,
    cursor: str = "",
    size: int = PAGE_SIZE,
    by: Hashable = None,
) -> Page:
    """The rows after ``cursor``, sorted; instances, or dicts of ``.values("pk", …)``. At most two queries.

    A broken cursor, or one made for another order, gives the first page and a sentence. ``by`` stands for the
    query, which is a function that writes one of dicts then: where it is the same, the query is the same.
    """
    try:
        after = _read(cursor, order) if cursor else None
    except (signing.BadSignature, ValidationError, TypeError, ValueError):
        return replace(page(queryset, order, size=size, by=by), notice=BROKEN)
    rows: list[Any] = []
    if after is None or after[0] is not None:
        rows = _find(_known, queryset, order, after, size + 1, by)
        after = None
    if order.column.nullable and len(rows) <= size:
        rows += _find(_unknown, queryset, order, after, size + 1, by)[: size + 1 - len(rows)]
    more = len(rows) > size
    rows = rows[:size]
    return Page(rows, _write(rows[-1], order) if more else "")


# Where a page begins: the value of the order's column and the id of the row before it.
After = tuple[Any, Any]


def _find(
    part: Callable[..., models.QuerySet[Any]],
    queryset: models.QuerySet[Any] | Callable[[], models.QuerySet[Any]],
    order: Order,
    after: After | None,
    number: int,
    by: Hashable,
) -> list[Any]:
    """The first rows of the part whose place in the order is known, or of the other."""
    if by is None:
        return list(part(queryset() if callable(queryset) else queryset, order, after)[:number])
    value, pk = after or (None, None)
    return _PAGES.dicts(
        *(part, queryset, order, after is not None, number),
        by=(part, order.name, after is not None, number, by),
        value=value,
        pk=pk,
    )


def _kept_page(
    part: Callable[..., models.QuerySet[Any]],
    queryset: Callable[[], models.QuerySet[Any]],
    order: Order,
    begun: bool,
    number: int,
) -> models.QuerySet[Any]:
    after = (Given("value", order.column.field), Given("pk", models.BigIntegerField())) if begun else None
    return part(queryset(), order, after)[:number]


_PAGES = Kept(_kept_page)


def _known(queryset: models.QuerySet[Any], order: Order, after: After | None) -> models.QuerySet[Any]:
    rows = queryset.annotate(sorted_by=order.column.expression)
    rows = rows.filter(sorted_by__isnull=False) if order.column.nullable else rows
    by = F("sorted_by").desc() if order.descending else F("sorted_by").asc()
    rows = rows.order_by(by, "-pk" if order.descending else "pk")
    return rows.filter(_beyond(order, *after)) if after else rows


def _unknown(queryset: models.QuerySet[Any], order: Order, after: After | None) -> models.QuerySet[Any]:
    rows = queryset.annotate(sorted_by=order.column.expression).filter(sorted_by__isnull=True)
    rows = rows.order_by("-pk" if order.descending else "pk")
    return rows.filter(**{"pk__lt" if order.descending else "pk__gt": after[1]}) if after else rows


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
    [found] = counting(querysets, up_to=up_to).ask()
    return dict(zip(querysets, found, strict=True))


def counting(querysets: Mapping[str, models.QuerySet[Any]], *, up_to: int | None = None) -> Text:
    """The text of that query, to be kept."""
    most = (COUNTED_UP_TO if up_to is None else up_to) + 1
    parts: list[str] = []
    values: list[Any] = []
    for queryset in querysets.values():
        sql, params = queryset.order_by().values("pk")[:most].query.sql_with_params()
        parts.append(f"(SELECT count(*) FROM ({sql}) AS counted)")
        values += params
    return fixed("SELECT " + ", ".join(parts), values, names=tuple(querysets))


def shares(whole: models.QuerySet[Any], parts: Mapping[str, models.QuerySet[Any]]) -> Text:
    """The text of a query that counts the rows of each part of ``whole``, reading them once for all parts.

    Each part must narrow ``whole`` further by columns of its own table.
    """
    texts: list[str] = []
    values: list[Any] = []
    for part in parts.values():
        sql, params = _condition(part, besides=whole)
        texts.append(f"count(*) FILTER (WHERE {sql})")
        values += params
    among, params = _condition(whole)
    table = whole.model._meta.db_table
    return fixed(
        f"SELECT {', '.join(texts)} FROM {table} WHERE {among}", (*values, *params), names=tuple(parts)
    )


def _condition(
    rows: models.QuerySet[Any], besides: models.QuerySet[Any] | None = None
) -> tuple[str, Sequence[Any]]:
    """What narrows these rows, as SQL; without what narrows the others already."""
    query = rows.query.clone()
    if {name for name, uses in query.alias_refcount.items() if uses} - {rows.model._meta.db_table}:
        raise ValueError("Only what stands in the table itself can be counted in one reading.")
    given = besides.query.where.children if besides is not None else []
    query.where.children = [one for one in query.where.children if one not in given]
    try:
        sql, params = query.get_compiler(connection=connection).compile(query.where)
    except EmptyResultSet:
        return "false", ()
    except FullResultSet:
        return "true", ()
    return sql, params


def together(*texts: Text) -> Text:
    """The text of one query for the one row of each of these, to none of which anything is given."""
    parts = ", ".join(f"({text.sql}) AS part_{place}" for place, text in enumerate(texts))
    return Text(f"SELECT * FROM {parts}", names=tuple(name for text in texts for name in text.names))
