"""What a number the team is run by is made of: one query of rows, how they are counted, and its definition in words.

A metric's ``rows`` name the account each row is about, so that every figure leads back to its accounts: the same
condition that counts them finds them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Any, Literal, NamedTuple

from django.db import connection

from apps.crm.months import after, monday, month_of
from apps.crm.policy import NUMBERS, Numbers

# What a value is, and so how it is written: "share" is of one, "days" whole days, "may" how many more may be lost.
Kind = Literal["month", "week", "stage", "person", "text", "count", "money", "share", "days", "score", "may"]
Values = Mapping[str, Any]
# Of the values of a key that were counted, all those that have a row.
Every = Callable[[Sequence[Any], Numbers], Sequence[Any]]

MONTHS, WEEKS, DAYS = 12, 12, 90
# How far back the work of a person is counted.
LOAD_DAYS = 28
# A cohort is decided once the third month after it is over: at the beginning of the fourth.
DECIDED_AFTER = 4
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
    return f"date_trunc('month', {moment} AT TIME ZONE %(zone)s)::date"


def week(moment: str) -> str:
    """SQL for the Monday of the team's week of a moment."""
    return f"date_trunc('week', {moment} AT TIME ZONE %(zone)s)::date"


def monday_of(of: str) -> str:
    """SQL for the Monday of a day's week, by plain counting: there are many bills."""
    return f"{of} - ({of} - DATE '2001-01-01') %% 7"


@dataclass(frozen=True)
class Key:
    """What rows are counted by. ``labels`` are the words for its values, where they are no days and no people.

    Its SQL is the column of its name; the values of ``labels`` also give the order. Where each key says ``every``, its
    values have a row also where there is nothing to count: what is not told could be 0, or forgotten. ``missing``
    stands for NULL.
    """

    name: str
    label: str
    kind: Kind = "text"
    labels: Mapping[str, str] = field(default_factory=dict)
    every: Every | None = None
    missing: str = ""

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


def months_until(back: int = 0) -> Every:
    """Every month since the first that was counted, to the running one or so many before it."""

    def every(found: Sequence[date], numbers: Numbers) -> list[date]:
        months, last = [min(found)], max(*found, after(month_of(numbers.today), -back))
        while months[-1] < last:
            months.append(after(months[-1], 1))
        return months

    return every


def weeks_until_now(found: Sequence[date], numbers: Numbers) -> list[date]:
    """Every week since the first that was counted, to the running one."""
    first, last = min(found), numbers.today
    return [first + timedelta(weeks=number) for number in range((last - first).days // 7 + 1)]


def all_of(values: Mapping[str, str] | Sequence[str]) -> Every:
    """These, whatever was counted."""
    return lambda found, numbers: [*values]


@dataclass(frozen=True)
class Column:
    """A figure: an aggregate over the rows. ``where`` finds the rows it counts; None leads nowhere.

    ``nothing`` is what it comes to over no rows.
    """

    name: str
    label: str
    sql: str
    kind: Kind = "count"
    where: str | None = None
    nothing: int | None = None


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
    return Column(name, label, f"count(*) FILTER (WHERE {where})", where=where, nothing=0)


def summed(name: str, label: str, what: str, where: str = "TRUE") -> Column:
    """What the rows that are like that come to, in dollars."""
    return Column(name, label, f"COALESCE(sum({what}) FILTER (WHERE {where}), 0)", "money", where, 0)


def share(name: str, label: str, part: str, whole: str) -> Derived:
    """One figure's share of another; None of nothing."""
    return Derived(name, label, lambda row, numbers: ratio(row[part], row[whole]))


def ratio(part: Any, whole: Any) -> Decimal | None:
    """A share to four places; None of nothing."""
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.0001")) if whole else None


class Behind(NamedTuple):
    """What is behind a figure: how many rows it counts, such as bills, of how many accounts, and their ids.

    The ids are an array as the database writes it, for they go back to it and may be very many.
    """

    counted: int
    accounts: int
    ids: str


class Row(NamedTuple):
    """A line of a table: the values of its keys as text, which name it, and all its values."""

    key: tuple[str, ...]
    values: dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """A number the team is run by. ``rows`` is its query: a row for each thing counted, with its ``account_id``.

    Those of one page with the same ``rows`` are read together; ``told`` says which of its groups are its own.
    ``settles`` says how many months after a row's first key, a month, that row is history and is kept as it was.
    ``version`` is raised with a change of the definition: months kept before keep theirs.
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
    told: Callable[[Values, Numbers], bool] | None = None

    @cached_property
    def figures(self) -> tuple[Column, ...]:
        """The columns that the database works out."""
        return tuple(column for column in self.columns if isinstance(column, Column))

    def read(self, numbers: Numbers) -> list[Row]:
        """The table, worked out now. One query."""
        return read([self], numbers)[self.name]

    def query(self, numbers: Numbers) -> tuple[str, list[Any]]:
        """The statement behind the table, and its values."""
        return grouped([self], numbers)

    def rows_of(self, groups: list[Values], numbers: Numbers) -> list[Row]:
        """The table, from its groups."""
        if told := self.told:
            groups = [values for values in groups if told(values, numbers)]
        rows = [self.row({**values}, numbers) for values in groups]
        return sorted([*rows, *self._empty(rows, numbers)], key=self.place)

    def accounts(self, column: str, key: tuple[str, ...], numbers: Numbers) -> Behind:
        """The accounts behind one figure of one row; ``ALL`` stands for any value of a key. One query."""
        chosen = next(figure for figure in self.figures if figure.name == column)
        sql, values = written(
            f"SELECT account_id FROM ({self.rows}) AS found WHERE ({chosen.where})", numbers
        )
        asked = {one.name: value for one, value in zip(self.keys, key, strict=True) if value != ALL}
        only = "".join(
            f" AND COALESCE({one.name}::text, '{one.missing}') = %s" for one in self.keys if one.name in asked
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT COALESCE(sum(times), 0)::bigint, count(*), COALESCE(array_agg(account_id)::text, '{}') FROM"
                " (SELECT account_id, count(*) AS times"
                f" FROM ({sql}{only}) AS counted GROUP BY account_id) AS each",  # nosec B608
                [*values, *asked.values()],
            )
            return Behind(*cursor.fetchone())

    def total(self, rows: list[Row]) -> list[Row]:
        """A row for each value of the first key, over all of the others: the sums of what can be added up."""
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            sums = found.setdefault(row.key[0], {self.keys[0].name: row.key[0]})
            for figure in self.figures:
                sums[figure.name] = sums.get(figure.name, 0) + row.values[figure.name]
        others = [ALL] * (len(self.keys) - 1)
        return [Row((first, *others), values) for first, values in found.items()]

    def _empty(self, rows: list[Row], numbers: Numbers) -> list[Row]:
        """The rows in which there was nothing to count; none of a table that has no other."""
        every = [(key, key.every) for key in self.keys if key.every]
        if not rows or len(every) < len(self.keys):
            return []
        there = {row.key for row in rows}
        axes = [spread([row.values[key.name] for row in rows], numbers) for key, spread in every]
        nothing = {figure.name: figure.nothing for figure in self.figures}
        names = [key.name for key in self.keys]
        made = [
            self.row(dict(zip(names, values, strict=True)) | nothing, numbers) for values in product(*axes)
        ]
        return [row for row in made if row.key not in there]

    def row(self, values: dict[str, Any], numbers: Numbers) -> Row:
        """A row from the values of its keys and figures, which it takes."""
        for one in self.keys:
            if one.missing and values[one.name] is None:
                values[one.name] = one.missing
        key = tuple("" if values[one.name] is None else str(values[one.name]) for one in self.keys)
        for column in self.columns:
            if isinstance(column, Derived):
                values[column.name] = column.read(values, numbers)
        return Row(key, values)

    def place(self, row: Row) -> tuple[Any, ...]:
        """Where a row stands in the table: what it is sorted by."""
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


def read(metrics: Sequence[Metric], numbers: Numbers) -> dict[str, list[Row]]:
    """The tables of metrics, by name. One query for all that count the same rows."""
    families: dict[str, list[Metric]] = {}
    for metric in metrics:
        families.setdefault(metric.rows, []).append(metric)
    found: dict[str, list[Row]] = {}
    for family in families.values():
        groups = _groups(family, numbers)
        found |= {metric.name: metric.rows_of(groups[_keys(metric)], numbers) for metric in family}
    return found


def grouped(family: Sequence[Metric], numbers: Numbers) -> tuple[str, list[Any]]:
    """One statement for metrics that count the same rows, and its values.

    Its columns are which of the ways of counting a row is of, the keys of all of them, and the figures.
    """
    ways = dict.fromkeys(map(_keys, family))
    keys = dict.fromkeys(key for way in ways for key in way)
    sets = ", ".join(f"({', '.join(way)})" for way in ways)
    named = ", ".join(keys)
    figures = "".join(f", {sql}" for sql in _figures(family).values())
    # Behind the fence of an OFFSET the planner expects few groups, and does not sort all rows to count them.
    return written(
        f"SELECT GROUPING({named}), {named}{figures} FROM (SELECT * FROM ({family[0].rows}) AS told OFFSET 0) AS found"
        f" GROUP BY GROUPING SETS ({sets})",
        numbers,
    )


def _keys(metric: Metric) -> tuple[str, ...]:
    return tuple(key.name for key in metric.keys)


def _figures(family: Sequence[Metric]) -> dict[str, str]:
    """The aggregates of metrics by name, which means the same in all of them."""
    return {figure.name: figure.sql for metric in family for figure in metric.figures}


def _groups(family: Sequence[Metric], numbers: Numbers) -> dict[tuple[str, ...], list[Values]]:
    with connection.cursor() as cursor:
        cursor.execute(*grouped(family, numbers))
        found = cursor.fetchall()
    keys = [*dict.fromkeys(key for metric in family for key in _keys(metric))]
    names = [*keys, *_figures(family)]
    groups: dict[tuple[str, ...], list[Values]] = {_keys(metric): [] for metric in family}
    # A bit is set for each key, the last one lowest, by which a row is not counted.
    ways = {sum((key not in way) << place for place, key in enumerate(reversed(keys))): way for way in groups}
    for way, *values in found:
        groups[ways[way]].append(dict(zip(names, values, strict=True)))
    return groups


_NAMED = re.compile(r"%\((\w+)\)s")


def written(sql: str, numbers: Numbers) -> tuple[str, list[Any]]:
    """SQL with its names put as values, in their order, so that it can stand inside another statement."""
    values = {name: getattr(numbers, name) for name in NUMBERS} | _since(numbers)
    return _NAMED.sub("%s", sql), [values[name] for name in _NAMED.findall(sql)]


def _since(numbers: Numbers) -> dict[str, Any]:
    """The days and moments between which rows are counted, worked out once and not for each row."""
    today, start_of = numbers.today, numbers.start_of
    this_month, this_week = month_of(today), monday(today)
    return {
        "now": numbers.now,
        "zone": numbers.time_zone,
        "today": today,
        "tomorrow_at": numbers.end_of(today),
        "year_at": start_of(after(this_month, 1 - MONTHS)),
        "weeks_at": start_of(this_week - timedelta(weeks=WEEKS - 1)),
        "days_at": start_of(today - timedelta(days=DAYS)),
        "load_at": start_of(today - timedelta(days=LOAD_DAYS - 1)),
        "cohorts_on": after(this_month, -MONTHS - DECIDED_AFTER),
        "decided_on": after(this_month, -DECIDED_AFTER),
    }
