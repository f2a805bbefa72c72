from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from apps.crm.metrics import METRICS, Metric, Row
from apps.crm.months import after
from apps.crm.policy import Numbers, Policy


class ClosedMonthQuerySet(models.QuerySet["ClosedMonth"]):
    def close(self, *, now: datetime) -> int:
        """Keep each month that has closed as it is now, once; returns how many were kept. May run twice."""
        numbers, kept = Policy.at(now), 0
        for metric in METRICS.values():
            if metric.settles is not None:
                kept += self._close(metric, numbers)
        return kept

    def _close(self, metric: Metric, numbers: Numbers) -> int:
        known = set(self.filter(metric=metric.name, version=metric.version).values_list("month", flat=True))
        months: dict[date, list[Any]] = defaultdict(list)
        for row in metric.read(numbers):
            months[row.values[metric.keys[0].name]].append([row.key, figures(metric, row)])
        closed: list[Any] = [
            ClosedMonth(
                metric=metric.name, version=metric.version, month=month, rows=rows, kept_at=numbers.now
            )
            for month, rows in months.items()
            if month not in known and is_closed(metric, month, numbers)
        ]
        self.bulk_create(closed, ignore_conflicts=True)
        return len(closed)

    def of(self, metric: Metric) -> dict[tuple[str, ...], tuple[datetime, dict[str, str]]]:
        """When each row of a metric's closed months was kept, and its figures then, as text. One query."""
        if metric.settles is None:
            return {}
        found = {}
        for kept_at, rows in self.filter(metric=metric.name, version=metric.version).values_list(
            "kept_at", "rows"
        ):
            for key, values in rows:
                found[tuple(key)] = (kept_at, values)
        return found


class ClosedMonth(models.Model):
    """A metric's month as it was when it closed, so that the past does not redraw itself. Never changed.

    ``rows`` are pairs: the values of the keys as text, and the figures by column, as text.
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


def figures(metric: Metric, row: Row) -> dict[str, str]:
    """The figures of a row as they are kept and compared; one that is unknown is left out."""
    return {
        figure.name: str(row.values[figure.name])
        for figure in metric.figures
        if row.values[figure.name] is not None
    }


def is_closed(metric: Metric, month: date, numbers: Numbers) -> bool:
    """Whether a month of a metric is history: over, and its last bills reported."""
    assert metric.settles is not None
    return after(month, metric.settles) + timedelta(days=numbers.month_settles_days) <= numbers.today
