"""Our board, but for its counts and sums: exact ones of every stage, grouped over all accounts."""

from __future__ import annotations

from typing import Any

# First of all: it sets Django up.
from config.wsgi import application

# isort: split
from django.db.models import Count, Sum

from apps.crm.board import Holding
from apps.crm.pipeline import STAGES, Stage
from apps.web import lanes

__all__ = ["application"]


def exact(accounts: Any, stages: Any = STAGES, *, by: Any = None) -> dict[Stage, Holding]:
    grouped = accounts().order_by().values_list("stage").annotate(count=Count("*"), forecasts=Sum("forecast"))
    counted = {stage: Holding(count, forecast) for stage, count, forecast in grouped}
    return {stage: counted.get(stage, Holding()) for stage in stages}


lanes.holdings = exact  # type: ignore[attr-defined]
