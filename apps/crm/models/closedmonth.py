from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from apps.crm.metrics import METRICS, Metric, Row
from apps.crm.months import after
from apps.crm.policy import Numbers, Policy

_READ = {"count": int, "days": int, "may": int, "text": str}


class Settled(NamedTuple):
    """A row as it is told: of a closed month as it was kept, when, and by which version of its definition.

    ``now`` are the figures of today that are others.
    """

    row: Row
    kept_at: datetime | None = None
    version: int | None = None
    now: Mapping[str, Any] = MappingProxyType({})


class ClosedMonthQuerySet(models.QuerySet["ClosedMonth"]):
    def close(self, *, now: datetime) -> int:
        """Keep each month that has closed as it is now, once; returns how many were kept. May run twice."""
        numbers, kept = Policy.at(now), 0
        for metric in METRICS.values():
            if metric.settles is not None:
                kept += self._close(metric, numbers)
        return kept

    def _close(self, metric: Metric, numbers: Numbers) -> int:
        # A month that was kept by another version of the definition stays as it is.
        known = set(self.filter(metric=metric.name).values_list("month", flat=True))
        months: dict[date, list[Any]] = defaultdict(list)
        for row in metric.read(numbers):
            values = {column.name: row.values[column.name] for column in metric.columns}
            told = {name: None if value is None else str(value) for name, value in values.items()}
            months[_month(metric, row)].append([row.key, told])
        closed: list[Any] = [
            ClosedMonth(
                metric=metric.name, version=metric.version, month=month, rows=rows, kept_at=numbers.now
            )
            for month, rows in months.items()
            if month not in known and is_closed(metric, month, numbers)
        ]
        self.bulk_create(closed, ignore_conflicts=True)
        return len(closed)

    def table(self, metric: Metric, numbers: Numbers) -> list[Settled]:
        """The table of a metric as it is told. Two queries at most."""
        return self.settled(metric, metric.read(numbers), numbers)

    def settled(self, metric: Metric, rows: list[Row], numbers: Numbers) -> list[Settled]:
        """The rows of a metric as they are told: those of a closed month as they were kept. One query at most."""
        if metric.settles is None:
            return [Settled(row) for row in rows]
        months: dict[date, dict[tuple[str, ...], Row]] = defaultdict(dict)
        for row in rows:
            months[_month(metric, row)][row.key] = row
        kept: dict[date, ClosedMonth] = {}
        for closed in self.filter(metric=metric.name, month__in=months).order_by("kept_at", "version"):
            kept.setdefault(closed.month, closed)
        found: list[Settled] = []
        for month, today in months.items():
            found += (
                kept[month].beside(metric, today, numbers) if month in kept else map(Settled, today.values())
            )
        return sorted(found, key=lambda settled: metric.place(settled.row))


class ClosedMonth(models.Model):
    """A metric's month as it was when it closed, so that the past does not redraw itself. Never changed.

    ``rows`` are pairs: the values of the keys as text, and those of the columns by name, as text.
    """

    metric = models.CharField(max_length=40)
    version = models.PositiveSmallIntegerField()
    month = models.DateField()
    rows = models.JSONField(encoder=DjangoJSONEncoder)
    kept_at = models.DateTimeField()

    objects: ClassVar[Any] = ClosedMonthQuerySet.as_manager()

    class Meta:
        ordering = ["metric", "month"]
        constraints = [
            models.UniqueConstraint(fields=["metric", "version", "month"], name="closed_month_once"),
        ]

    def __str__(self) -> str:
        return f"{self.metric}, {self.month:%Y-%m}"

    def beside(self, metric: Metric, today: dict[tuple[str, ...], Row], numbers: Numbers) -> list[Settled]:
        """The rows of the month as they were kept, beside those of today."""
        then = {tuple(key): values for key, values in self.rows}
        found = []
        for key in dict.fromkeys([*then, *today]):
            keys = {one.name: value for one, value in zip(metric.keys, key, strict=True)}
            keys[metric.keys[0].name] = self.month
            nothing = metric.row(keys | {figure.name: figure.nothing for figure in metric.figures}, numbers)
            row = Row(key, keys | _restored(metric, then[key])) if key in then else nothing
            now = today.get(key, nothing).values
            others = {figure.name: now[figure.name] for figure in metric.figures}
            others = {name: value for name, value in others.items() if value != row.values[name]}
            found.append(Settled(row, self.kept_at, self.version, others))
        return found


def _month(metric: Metric, row: Row) -> date:
    month: date = row.values[metric.keys[0].name]
    return month


def _restored(metric: Metric, then: dict[str, str | None]) -> dict[str, Any]:
    """What was kept of a row, by column; None for a column that was not there then."""
    said = {column: then.get(column.name) for column in metric.columns}
    return {
        column.name: None if value is None else _READ.get(column.kind, Decimal)(value)
        for column, value in said.items()
    }


def is_closed(metric: Metric, month: date, numbers: Numbers) -> bool:
    """Whether a month of a metric is history: over, and its last bills reported."""
    assert metric.settles is not None
    return after(month, metric.settles) + timedelta(days=numbers.month_settles_days) <= numbers.today
