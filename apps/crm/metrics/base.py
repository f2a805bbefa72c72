"""What a number the team is run by is made of: one query of rows, how they are counted, and its definition in words.

A metric's ``rows`` name the account each row is about, so that every figure leads back to its accounts: the same
condition that counts them finds them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, NamedTuple

from django.db import connection
from django.db.models.expressions import RawSQL

from apps.crm.policy import NUMBERS, Numbers

# What a value is, and so how it is written: "share" is of one, "days" whole days, "may" how many more may be lost.
Kind = Literal["month", "week", "stage", "person", "text", "count", "money", "share", "days", "score", "may"]
Values = Mapping[str, Any]

MONTHS, WEEKS, DAYS = 12, 12, 90
# In the place of a key's value: whatever it is.
ALL = "*"

# The ledger without what was taken back: an undo and the move it undid count for nothing.
MOVES = """
    undone AS MATERIALIZED (
        SELECT substr(cause, 6)::bigint AS id FROM crm_stagetransition WHERE cause LIKE 'undo:%%'
    ), moves AS (
        SELECT id, account_id, version, from_stage, to_stage, at, by_id FROM crm_stagetransition
        WHERE cause NOT LIKE 'undo:%%' AND id NOT IN (SELECT id FROM undone)
    )"""


def day(moment: str) -> str:
    """SQL for the team's day of a moment."""
    return f"({moment} AT TIME ZONE %(zone)s)::date"


def month(moment: str) -> str:
    """SQL for the first day of the team's month of a moment."""
    return f"date_trunc('month', {day(moment)})::date"


def week(moment: str) -> str:
    """SQL for the Monday of the team's week of a moment."""
    return f"date_trunc('week', {day(moment)})::date"


@dataclass(frozen=True)
class Key:
    """What rows are counted by. ``labels`` are the words for its values, where they are no days and no people.

    Its SQL is the column of its name; the values of ``labels`` also give the order.
    """

    name: str
    label: str
    kind: Kind = "text"
    labels: Mapping[str, str] = field(default_factory=dict)

    def words(self, value: str, people: Mapping[str, str]) -> str:
        """A value as it is shown. ``people`` are names by id, as text."""
        if value == ALL:
            return "All"
        if value in self.labels:
            return self.labels[value]
        if self.kind == "person":
            return people.get(value, "Nobody")
        try:
            when = date.fromisoformat(value)
        except ValueError:
            return value.capitalize() if value.islower() else value
        return f"{when:%b %Y}" if self.kind == "month" else f"{when.day} {when:%b}"


@dataclass(frozen=True)
class Column:
    """A figure: an aggregate over the rows. ``where`` finds the rows it counts; None leads nowhere."""

    name: str
    label: str
    sql: str
    kind: Kind = "count"
    where: str | None = None


@dataclass(frozen=True)
class Derived:
    """A figure that follows from others of its row."""

    name: str
    label: str
    read: Callable[[Values, Numbers], Any]
    kind: Kind = "share"
    where: None = None


def counted(name: str, label: str, where: str = "TRUE") -> Column:
    """How many rows are like that."""
    return Column(name, label, f"count(*) FILTER (WHERE {where})", where=where)


def summed(name: str, label: str, what: str, where: str = "TRUE") -> Column:
    """What the rows that are like that come to, in dollars."""
    return Column(name, label, f"COALESCE(sum({what}) FILTER (WHERE {where}), 0)", "money", where)


def share(name: str, label: str, part: str, whole: str) -> Derived:
    """One figure's share of another; None of nothing."""
    return Derived(name, label, lambda row, numbers: ratio(row[part], row[whole]))


def ratio(part: Any, whole: Any) -> Decimal | None:
    """A share to four places; None of nothing."""
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.0001")) if whole else None


class Row(NamedTuple):
    """A line of a table: the values of its keys as text, which name it, and all its values."""

    key: tuple[str, ...]
    values: dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """A number the team is run by. ``rows`` is its query: a row for each thing counted, with its ``account_id``.

    ``settles`` says how many months after a row's first key, a month, that row is history and is kept as it was.
    ``page`` is where it is shown, ``plot`` what is drawn above its table: kind, and the columns' names.
    """

    name: str
    label: str
    page: str
    says: str
    source: str
    rows: str
    keys: tuple[Key, ...]
    columns: tuple[Column | Derived, ...]
    version: int = 1
    right: str = "read"
    settles: int | None = None
    plot: tuple[str, ...] = ()
    goal: str = ""
    totals: bool = False
    newest_first: bool = False

    @cached_property
    def figures(self) -> tuple[Column, ...]:
        """The columns that the database works out."""
        return tuple(column for column in self.columns if isinstance(column, Column))

    def read(self, numbers: Numbers) -> list[Row]:
        """The table, worked out now. One query."""
        sql, values = self.query(numbers)
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            found = cursor.fetchall()
        names = [*(key.name for key in self.keys), *(figure.name for figure in self.figures)]
        return sorted(
            (self._row(dict(zip(names, row, strict=True)), numbers) for row in found), key=self._place
        )

    def query(self, numbers: Numbers) -> tuple[str, list[Any]]:
        """The statement behind the table, and its values."""
        keys = ", ".join(key.name for key in self.keys)
        figures = ", ".join(f"{figure.sql} AS {figure.name}" for figure in self.figures)
        return written(f"SELECT {keys}, {figures} FROM ({self.rows}) AS found GROUP BY {keys}", numbers)

    def accounts(self, column: str, key: tuple[str, ...], numbers: Numbers) -> RawSQL:
        """The ids of the accounts behind one figure of one row; ``ALL`` stands for any value of a key."""
        chosen = next(figure for figure in self.figures if figure.name == column)
        sql, values = written(f"SELECT account_id FROM ({self.rows}) AS found WHERE {chosen.where}", numbers)
        asked = {one.name: value for one, value in zip(self.keys, key, strict=True) if value != ALL}
        only = "".join(f" AND COALESCE({name}::text, '') = %s" for name in asked)
        return RawSQL(sql + only, [*values, *asked.values()])  # nosec B611

    def total(self, rows: list[Row]) -> list[Row]:
        """A row for each value of the first key, over all of the others: the sums of what can be added up."""
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            sums = found.setdefault(row.key[0], {self.keys[0].name: row.key[0]})
            for figure in self.figures:
                sums[figure.name] = sums.get(figure.name, 0) + row.values[figure.name]
        others = [ALL] * (len(self.keys) - 1)
        return [Row((first, *others), values) for first, values in found.items()]

    def _row(self, values: dict[str, Any], numbers: Numbers) -> Row:
        key = tuple("" if values[one.name] is None else str(values[one.name]) for one in self.keys)
        for column in self.columns:
            if isinstance(column, Derived):
                values[column.name] = column.read(values, numbers)
        return Row(key, values)

    def _place(self, row: Row) -> tuple[Any, ...]:
        places: list[Any] = []
        for number, (one, value) in enumerate(zip(self.keys, row.key, strict=True)):
            if number == 0 and self.newest_first:
                places.append(-date.fromisoformat(value).toordinal())
            elif one.labels:
                named = [*one.labels]
                places.append((named.index(value) if value in named else len(named), value))
            else:
                places.append(value)
        return tuple(places)


_NAMED = re.compile(r"%\((\w+)\)s")


def written(sql: str, numbers: Numbers) -> tuple[str, list[Any]]:
    """SQL with its names put as values, in their order, so that it can stand inside another statement."""
    values = {name: getattr(numbers, name) for name in NUMBERS} | {
        "now": numbers.now,
        "zone": numbers.time_zone,
        "today": numbers.today,
    }
    return _NAMED.sub("%s", sql), [values[name] for name in _NAMED.findall(sql)]
