"""Alerts: what wants a person now."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from apps.crm.models import Alert
from apps.intake.api.door import Asked, Door
from apps.intake.api.errors import Problem
from apps.intake.api.once import once
from apps.intake.api.pages import PageQuery, page
from apps.intake.api.schema import describe
from apps.intake.api.strict import Body, Text


class AlertQuery(PageQuery):
    account = Text(required=False, allow_blank=True, help_text="An external id.")
    kind = Text(required=False, allow_blank=True, help_text="The name of the playbook that raised it.")
    open = serializers.BooleanField(required=False, allow_null=True, default=None)


class AlertShown(serializers.ModelSerializer[Alert]):
    account = serializers.CharField(source="account.external_id")
    assignee = serializers.CharField(source="assignee.username", default=None, allow_null=True)

    class Meta:
        model = Alert
        fields = [
            "id",
            "account",
            "kind",
            "subject",
            "text",
            "attempts",
            "raised_at",
            "resolved_at",
            "assignee",
        ]

    # A kind that no playbook of today raises is still shown.
    kind = serializers.CharField()


class AlertsPage(serializers.Serializer[Any]):
    results = AlertShown(many=True)
    next = serializers.CharField(allow_null=True)


class ResolveBody(Body):
    resolution = Text(
        required=False, allow_blank=True, max_length=2000, default="", help_text="What was done."
    )


class Alerts(Door):
    @describe("listAlerts", "Alerts", AlertsPage, query=AlertQuery)
    def get(self, request: Asked) -> Response:
        """Alerts, newest first."""
        query = AlertQuery.read(request.query_params)
        rows = Alert.objects.select_related("account", "assignee")
        for name, column in {"account": "account__external_id", "kind": "kind"}.items():
            if query.get(name):
                rows = rows.filter(**{column: query[name]})
        if query["open"] is not None:
            rows = rows.filter(resolved_at__isnull=query["open"])
        return page(rows, AlertShown, query)


class Resolve(Door):
    rights = {"POST": "alert"}

    @describe("resolveAlert", "Alerts", AlertShown, body=ResolveBody, missing=True, once=True)
    @once
    def post(self, request: Asked, pk: int) -> Response:
        """Close an alert. One that is closed already stays as it is."""
        body = ResolveBody.read(request.data)
        alert = Alert.objects.select_related("account", "assignee").filter(pk=pk).first()
        if alert is None:
            raise Problem(404, "not_found", "There is no alert with this id.")
        if not alert.resolve(by=request.user, now=timezone.now(), resolution=body["resolution"]):
            alert.refresh_from_db()
        return Response(AlertShown(alert).data)
