"""The numbers the team is run by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from apps.crm.cells import cell
from apps.crm.metrics import METRICS, Metric
from apps.crm.models import ClosedMonth, Policy
from apps.intake.api.door import Asked, Door
from apps.intake.api.errors import Problem
from apps.intake.api.schema import describe


class MetricShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    says = serializers.CharField(help_text="Its definition.")
    source = serializers.CharField()  # type: ignore[assignment]
    version = serializers.IntegerField(help_text="Of the definition.")


class MetricsList(serializers.Serializer[Any]):
    results = MetricShown(many=True)


class MetricRow(serializers.Serializer[Any]):
    values = serializers.DictField(
        child=serializers.CharField(allow_null=True), help_text="By key and column; decimals as strings."
    )
    kept_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when the row, of a closed month, stays as it is."
    )
    version = serializers.IntegerField(allow_null=True, help_text="Of the definition by which it was kept.")
    now = serializers.DictField(
        child=serializers.CharField(allow_null=True),
        help_text="Of a row that was kept: the figures that come to something else now.",
    )


class MetricTable(MetricShown):
    as_of = serializers.DateTimeField()
    keys = serializers.ListField(child=serializers.CharField())
    columns = serializers.ListField(child=serializers.CharField())
    rows = MetricRow(many=True)


class Metrics(Door):
    @describe("listMetrics", "Metrics", MetricsList)
    def get(self, request: Asked) -> Response:
        """Every number, with its definition."""
        return Response({"results": [_shown(metric) for metric in METRICS.values()]})


class OneMetric(Door):
    @describe("getMetric", "Metrics", MetricTable, missing=True)
    def get(self, request: Asked, name: str) -> Response:
        """The table of one number: worked out now, closed months as they were kept."""
        metric = METRICS.get(name)
        if metric is None:
            raise Problem(404, "not_found", "There is no number of this name.")
        if not request.user.may(metric.right):
            raise Problem(
                403, "forbidden", f"Your role may not do this; it takes the right “{metric.right}”."
            )
        numbers = Policy.at(timezone.now())
        rows = [
            {
                "values": _cells(told.row.values),
                "kept_at": told.kept_at,
                "version": told.version,
                "now": _cells(told.now),
            }
            for told in ClosedMonth.objects.table(metric, numbers)
        ]
        return Response(
            _shown(metric)
            | {
                "as_of": numbers.now,
                "keys": [key.name for key in metric.keys],
                "columns": [column.name for column in metric.columns],
                "rows": rows,
            }
        )


def _shown(metric: Metric) -> dict[str, Any]:
    return {name: getattr(metric, name) for name in ("name", "label", "says", "source", "version")}


def _cells(values: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: None if value is None else cell(value) for name, value in values.items()}
