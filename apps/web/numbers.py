"""The numbers the team is run by, as pages show them: words for each value, links to its rows, and a plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from apps.crm.cells import cell as as_cell
from apps.crm.metrics import METRICS, Cell, Metric, Row
from apps.crm.metrics.base import Column, Derived, read
from apps.crm.metrics.words import told
from apps.crm.models import ClosedMonth, User
from apps.crm.models.closedmonth import Settled
from apps.crm.months import after
from apps.crm.policy import Numbers
from apps.web import plots

PAGES = {"retention": "Retention", "pipeline": "Pipeline", "team": "Team"}


class Shown(NamedTuple):
    """A cell of a table: its words, and the list of the accounts behind it."""

    words: str
    link: str
    number: bool


class Line(NamedTuple):
    """A row of a table: its names, its figures, and whether it is still open.

    ``kept`` says since when a closed month stays as it is, where today's figures, ``now``, or the definition differ.
    """

    names: list[str]
    cells: list[Shown]
    open: bool
    kept: str = ""
    now: Sequence[Shown] = ()


@dataclass(frozen=True)
class Section:
    """A metric on its page."""

    metric: Metric
    lines: list[Line]
    plot: plots.Plot | None

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """The labels of the columns, and whether figures stand under them."""
        return [(key.label, False) for key in self.metric.keys] + [
            (column.label, column.kind != "text") for column in self.metric.columns
        ]


def section(metric: Metric, rows: list[Row], numbers: Numbers, people: Mapping[str, str]) -> Section:
    """A metric with its closed months as they were kept. One query at most."""
    settled = ClosedMonth.objects.settled(metric, rows, numbers)
    totals = metric.total(rows) if metric.totals else []
    lines = [_line(metric, one, numbers, people) for one in (*settled, *map(Settled, totals))]
    return Section(metric, lines, _plot(metric, [one.row for one in settled], numbers, people))


def page(name: str, numbers: Numbers) -> list[Section]:
    """The metrics of a page."""
    people = {str(pk): name for pk, name in User.objects.names().items()}
    metrics = [metric for metric in METRICS.values() if metric.page == name]
    rows = read(metrics, numbers)
    return [section(metric, rows[metric.name], numbers, people) for metric in metrics]


def lines_of(metric: Metric, numbers: Numbers) -> Iterator[list[str]]:
    """The table as a file has it: a header and its rows, values as they are."""
    yield [*(key.name for key in metric.keys), *(column.name for column in metric.columns)]
    for row, *_ in ClosedMonth.objects.table(metric, numbers):
        yield [*map(as_cell, row.key), *(as_cell(row.values[column.name]) for column in metric.columns)]


def _line(metric: Metric, one: Settled, numbers: Numbers, people: Mapping[str, str]) -> Line:
    row, now = one.row, Row(one.row.key, {**one.row.values, **one.now})
    names = [key.words(value, people) for key, value in zip(metric.keys, row.key, strict=True)]
    # What has changed since leads nowhere: the accounts of today are behind the figures of today.
    cells = [_shown(metric, column, row, leads=column.name not in one.now) for column in metric.columns]
    today = [_shown(metric, column, now, named=True) for column in metric.figures if column.name in one.now]
    return Line(names, cells, _is_open(metric, row, numbers), _kept(metric, one, numbers), today)


def _shown(
    metric: Metric, column: Column | Derived, row: Row, *, leads: bool = True, named: bool = False
) -> Shown:
    said, link = told(metric, row, column.name), ""
    if leads and isinstance(column, Column) and column.where is not None and row.values[column.name]:
        link = "/?" + urlencode({"cell": str(Cell(metric, column, row.key))})
    return Shown(f"{column.label} {said}" if named else said, link, column.kind != "text")


def _is_open(metric: Metric, row: Row, numbers: Numbers) -> bool:
    first = row.values[metric.keys[0].name]
    return metric.settles is not None and after(first, metric.settles) > numbers.today


def _kept(metric: Metric, one: Settled, numbers: Numbers) -> str:
    """Since when a closed month stays as it is, where that makes a difference."""
    if one.kept_at is None or not (one.now or one.version != metric.version):
        return ""
    on = numbers.day_of(one.kept_at)
    by = f", by definition {one.version}" if one.version != metric.version else ""
    return f"As kept on {on.day} {on:%b %Y}{by}."


def _point(metric: Metric, row: Row, names: tuple[str, ...], label: str) -> plots.Point:
    said = [told(metric, row, name) for name in names]
    return plots.Point(label, [row.values[name] for name in names], said)


def _plot(metric: Metric, rows: list[Row], numbers: Numbers, people: Mapping[str, str]) -> plots.Plot | None:
    """The picture above the table: of dollars and of accounts that entered, where others stand beside."""
    if not metric.plot:
        return None
    kind, *names = metric.plot
    drawn = [row for row in rows if row.values.get("who", "entered") == "entered"]
    drawn = [row for row in drawn if row.values.get("currency", "USD") == "USD"]
    if metric.newest_first:
        drawn = drawn[::-1]
    if not drawn:
        return None
    columns = {column.name: column for column in metric.columns}
    goal = getattr(numbers, metric.goal) / 100 if metric.goal else None
    line = (goal, f"goal {goal:.0%}") if goal is not None else None
    series = [columns[name].label for name in names if columns[name].kind == columns[names[0]].kind]
    names = names[: len(series)] if kind == "share" else names
    last = metric.keys[-1] if kind in ("bars", "stacked") else metric.keys[0]
    points = [
        _point(metric, row, tuple(names), last.words(row.key[-1 if last is metric.keys[-1] else 0], people))
        for row in drawn
    ]
    if kind == "share":
        return plots.line(points, series if len(series) > 1 else [""], metric.label, goal=line)
    if kind == "steps":
        return plots.bars(_summed(metric, drawn, names), [""], metric.label)
    if kind == "bars":
        return plots.bars(points, series, metric.label, goal=line)
    return plots.columns(points, series, metric.label, stacked=kind == "stacked")


def _summed(metric: Metric, rows: list[Row], names: list[str]) -> list[plots.Point]:
    labels = {column.name: column.label for column in metric.columns}
    totals = {name: sum(row.values[name] for row in rows) for name in names}
    return [plots.Point(labels[name], [total], [f"{total:,}"]) for name, total in totals.items()]
