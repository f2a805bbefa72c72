"""The numbers the team is run by: a table from which the pages, the CSV files, the API and the docs come."""

from __future__ import annotations

from apps.crm.metrics.base import Metric, Row
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

__all__ = ["METRICS", "Metric", "Row"]
