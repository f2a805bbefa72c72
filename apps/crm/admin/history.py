"""What is only read: the ledgers, the decisions, the policy's past, months that are over; and a few settings."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.crm.admin.base import Kept, ReadOnly, Records
from apps.crm.models import (
    Bulk,
    ClosedMonth,
    Credit,
    Erasure,
    OutLink,
    Policy,
    RiskAssessment,
    ScopeDecision,
    StageTransition,
)


@admin.register(StageTransition)
class StageTransitionAdmin(ReadOnly):
    list_display = ["account", "version", "from_stage", "to_stage", "at", "by", "cause", "reason"]
    list_filter = ["to_stage", "from_stage", "at"]
    list_select_related = ["account", "by"]
    search_fields = ["account__external_id", "cause"]
    ordering = ["-at", "-pk"]


@admin.register(ScopeDecision)
class ScopeDecisionAdmin(ReadOnly):
    list_display = ["account", "outcome", "because", "on", "at"]
    list_filter = ["outcome", "row", "on"]
    list_select_related = ["account"]
    search_fields = ["account__external_id"]


@admin.register(Credit)
class CreditAdmin(ReadOnly):
    """A mistake is set right on the account's page, by an entry against it."""

    list_display = ["account", "kind", "amount", "currency", "on", "by", "at", "why"]
    list_filter = ["kind", "on"]
    list_select_related = ["account", "by"]
    search_fields = ["account__external_id", "why"]


@admin.register(RiskAssessment)
class RiskAssessmentAdmin(ReadOnly):
    list_display = ["account", "risk", "reason", "by", "at"]
    list_filter = ["risk", "at"]
    list_select_related = ["account", "by"]
    search_fields = ["account__external_id", "reason"]


@admin.register(OutLink)
class OutLinkAdmin(Records):
    list_display = ["label", "url"]
    search_fields = ["label", "url"]


@admin.register(Erasure)
class ErasureAdmin(ReadOnly):
    list_display = ["kind", "at", "by"]
    list_filter = ["kind", "at"]
    list_select_related = ["by"]
    search_fields = ["hash"]


@admin.register(ClosedMonth)
class ClosedMonthAdmin(ReadOnly):
    list_display = ["metric", "month", "version", "kept_at"]
    list_filter = ["metric", "month"]
    search_fields = ["metric"]


@admin.register(Policy)
class PolicyAdmin(Kept):
    """A number is changed by a row of its own, from a day on: the past keeps its rules."""

    list_display = ["name", "value", "starts_on", "set_by", "set_at"]
    list_filter = ["name"]
    list_select_related = ["set_by"]
    search_fields = ["name"]
    fields = ["name", "value", "starts_on"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Policy, form: Any, change: bool) -> None:
        obj.set_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)


@admin.register(Bulk)
class BulkAdmin(ReadOnly):
    list_display = ["kind", "by", "at", "place", "finished_at", "undone_at"]
    list_filter = ["kind"]
    list_select_related = ["by"]
    search_fields = ["kind", "by__username"]
