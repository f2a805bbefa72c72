"""The numbers the team is run by, as pages show them: words for each value, links to its rows, and a plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

from apps.crm.cells import cell as as_cell
from apps.crm.metrics import METRICS, Cell, Metric, Row
from apps.crm.metrics.base import Column, Derived, read
from apps.crm.metrics.words import told, words
from apps.crm.models import ClosedMonth, User
from apps.crm.models.closedmonth import figures
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
    """A row of a table: its names, its figures, whether it is still open, and what it was when it closed."""

    names: list[str]
    cells: list[Shown]
    open: bool
    then: str


@dataclass(frozen=True)
class Section:
    """A metric on its page."""

    metric: Metric
    lines: list[Line]
    plot: plots.Plot | None
    gone: list[str]

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """The labels of the columns, and whether figures stand under them."""
        return [(key.label, False) for key in self.metric.keys] + [
            (column.label, column.kind != "text") for column in self.metric.columns
        ]


def section(metric: Metric, rows: list[Row], numbers: Numbers, people: Mapping[str, str]) -> Section:
    """A metric beside what its closed months were. One query at most."""
    kept = ClosedMonth.objects.of(metric)
    lines = [_line(metric, row, numbers, people, kept.pop(row.key, None)) for row in rows]
    totals = metric.total(rows) if metric.totals else []
    lines += [_line(metric, row, numbers, people, None) for row in totals]
    shown = {row.values[metric.keys[0].name] for row in rows}
    gone = [
        f"{_named(metric, key, people)}: {_figures(metric, then)} when it closed, none now."
        for key, (_, then) in kept.items()
        if date.fromisoformat(key[0]) in shown
    ]
    return Section(metric, lines, _plot(metric, rows, numbers, people), gone)


def page(name: str, numbers: Numbers) -> list[Section]:
    """The metrics of a page."""
    people = {str(pk): name for pk, name in User.objects.names().items()}
    metrics = [metric for metric in METRICS.values() if metric.page == name]
    rows = read(metrics, numbers)
    return [section(metric, rows[metric.name], numbers, people) for metric in metrics]


def lines_of(metric: Metric, numbers: Numbers) -> Iterator[list[str]]:
    """The table as a file has it: a header and its rows, values as they are."""
    yield [*(key.name for key in metric.keys), *(column.name for column in metric.columns)]
    for row in metric.read(numbers):
        yield [*map(as_cell, row.key), *(as_cell(row.values[column.name]) for column in metric.columns)]


def _named(metric: Metric, key: tuple[str, ...], people: Mapping[str, str]) -> str:
    return ", ".join(one.words(value, people) for one, value in zip(metric.keys, key, strict=True))


def _line(
    metric: Metric,
    row: Row,
    numbers: Numbers,
    people: Mapping[str, str],
    kept: tuple[Any, dict[str, str]] | None,
) -> Line:
    names = [one.words(value, people) for one, value in zip(metric.keys, row.key, strict=True)]
    cells = [_shown(metric, column, row) for column in metric.columns]
    return Line(names, cells, _is_open(metric, row, numbers), _then(metric, row, kept, numbers))


def _shown(metric: Metric, column: Column | Derived, row: Row) -> Shown:
    value = row.values[column.name]
    link = ""
    if isinstance(column, Column) and column.where is not None and value:
        link = "/?" + urlencode({"cell": str(Cell(metric, column, row.key))})
    return Shown(told(metric, row, column.name), link, column.kind != "text")


def _is_open(metric: Metric, row: Row, numbers: Numbers) -> bool:
    first = row.values[metric.keys[0].name]
    return metric.settles is not None and after(first, metric.settles) > numbers.today


def _then(metric: Metric, row: Row, kept: tuple[Any, dict[str, str]] | None, numbers: Numbers) -> str:
    """What a closed month was when it closed, where it is another now."""
    if kept is None:
        return ""
    at, then = kept
    now = figures(metric, row)
    changed = {name: value for name, value in then.items() if Decimal(value) != Decimal(now.get(name, "NaN"))}
    if not changed:
        return ""
    closed = numbers.day_of(at)
    return f"When it was kept, on {closed.day} {closed:%b %Y}: {_figures(metric, changed)}."


def _figures(metric: Metric, values: Mapping[str, str]) -> str:
    known = {column.name: column for column in metric.figures}
    return ", ".join(
        f"{known[name].label} {words(known[name].kind, Decimal(value))}"
        for name, value in values.items()
        if name in known
    )


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
