"""The numbers the team is run by: a table from which the pages, the CSV files, the API and the docs come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from apps.crm.metrics.base import Column, Metric, Row
from apps.crm.metrics.pipeline import FUNNEL, OUTREACH, THROUGHPUT, TIME_IN_STAGE
from apps.crm.metrics.retention import NDR, PATHS, RETENTION
from apps.crm.metrics.revenue import BY_RISK, DUE, RISK
from apps.crm.metrics.team import ALERTS, HANDOFFS, LOAD, SURVEY

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        *(RETENTION, PATHS, NDR),
        *(FUNNEL, OUTREACH, TIME_IN_STAGE, THROUGHPUT),
        *(LOAD, HANDOFFS, SURVEY, ALERTS),
        *(DUE, BY_RISK, RISK),
    )
}


class Cell(NamedTuple):
    """One figure of one row: what a drill-down leads to."""

    metric: Metric
    column: Column
    key: tuple[str, ...]

    def words(self, people: Mapping[str, str]) -> str:
        """What it counts: "Funnel: Engaged, Aug 2026"."""
        keys = zip(self.metric.keys, self.key, strict=True)
        of = ", ".join(one.words(value, people) for one, value in keys)
        return f"{self.metric.label}: {self.column.label}, {of}"

    def __str__(self) -> str:
        return ":".join((self.metric.name, self.column.name, *self.key))


def cell(name: str) -> Cell | None:
    """The figure of this name; None for a name that no page has given out."""
    metric_name, _, rest = name.partition(":")
    metric = METRICS.get(metric_name)
    if metric is None or "\0" in name:
        return None
    column_name, *key = rest.split(":")
    columns = [one for one in metric.figures if one.name == column_name and one.where is not None]
    return Cell(metric, columns[0], tuple(key)) if columns and len(key) == len(metric.keys) else None


__all__ = ["METRICS", "Cell", "Metric", "Row", "cell"]
