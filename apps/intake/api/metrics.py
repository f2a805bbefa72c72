"""The numbers the team is run by."""

from __future__ import annotations

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
    kept = serializers.DictField(
        child=serializers.CharField(), allow_null=True, help_text="What a closed month was when it was kept."
    )
    kept_at = serializers.DateTimeField(allow_null=True)


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
        """The table of one number, worked out now, beside what its closed months were."""
        metric = METRICS.get(name)
        if metric is None:
            raise Problem(404, "not_found", "There is no number of this name.")
        if not request.user.may(metric.right):
            raise Problem(
                403, "forbidden", f"Your role may not do this; it takes the right “{metric.right}”."
            )
        numbers = Policy.at(timezone.now())
        kept = ClosedMonth.objects.of(metric)
        rows = []
        for row in metric.read(numbers):
            at, then = kept.get(row.key, (None, None))
            values = {name: None if value is None else cell(value) for name, value in row.values.items()}
            rows.append({"values": values, "kept": then, "kept_at": at})
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
