"""Moves of an account, and the ledger they leave."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from apps.crm.models import StageTransition
from apps.crm.pipeline import OUTSIDE, STAGES, Stage
from apps.intake.api.accounts import AccountShown, StageKey
from apps.intake.api.door import Asked, Door, account_or_404
from apps.intake.api.errors import Problem
from apps.intake.api.once import once
from apps.intake.api.pages import PageQuery, page
from apps.intake.api.schema import describe
from apps.intake.api.strict import Body, Text, Whole


class Target(StageKey):
    """The stage to move to."""

    def to_internal_value(self, data: Any) -> Stage:
        if data in STAGES:
            return Stage(data)
        raise Problem(422, "unknown_stage", "There is no such stage; the keys are in “moves” of the account.")


class BackBody(Body):
    version = Whole(required=False, allow_null=True, min_value=0, help_text="The version you saw.")
    reason = Text(required=False, allow_blank=True, max_length=2000, default="")


class MoveBody(BackBody):
    to = Target()


class Transition(serializers.ModelSerializer[StageTransition]):
    to = StageKey(source="to_stage")
    by = serializers.CharField(source="by.username", default=None, allow_null=True)

    class Meta:
        model = StageTransition
        fields = ["to", "at", "by", "cause", "reason", "version"]

    def get_fields(self) -> dict[str, Any]:
        # "from" cannot be written as an attribute of a class.
        return {"from": StageKey(source="from_stage"), **super().get_fields()}


class TransitionsPage(serializers.Serializer[Any]):
    results = Transition(many=True)
    next = serializers.CharField(allow_null=True)


class Move(Door):
    rights = {"POST": "move"}

    @describe("moveAccount", "Moves", AccountShown, body=MoveBody, missing=True, refused=True)
    @once
    def post(self, request: Asked, external_id: str) -> Response:
        """Move an account to a stage. Where it stands there already, nothing happens."""
        account, body = account_or_404(external_id), MoveBody.read(request.data)
        account.move(
            body["to"] or OUTSIDE,
            by=request.user,
            now=timezone.now(),
            cause="api",
            reason=body["reason"],
            version=body.get("version"),
        )
        return Response(AccountShown(account).data)


class Undo(Door):
    rights = {"POST": "move"}

    @describe("undoMove", "Moves", AccountShown, body=BackBody, missing=True, refused=True)
    @once
    def post(self, request: Asked, external_id: str) -> Response:
        """Take back the last move, with the engagement it recorded and the tasks and alerts it made."""
        account, body = account_or_404(external_id), BackBody.read(request.data)
        account.undo(by=request.user, now=timezone.now(), reason=body["reason"], version=body.get("version"))
        return Response(AccountShown(account).data)


class LeavePaidCall(Door):
    rights = {"POST": "move"}

    @describe("leavePaidCall", "Moves", AccountShown, body=BackBody, missing=True, refused=True)
    @once
    def post(self, request: Asked, external_id: str) -> Response:
        """Take an account back to where it stood before it bought a call."""
        account, body = account_or_404(external_id), BackBody.read(request.data)
        account.leave_paid_call(
            by=request.user,
            now=timezone.now(),
            cause="api",
            reason=body["reason"],
            version=body.get("version"),
        )
        return Response(AccountShown(account).data)


class Transitions(Door):
    @describe("listTransitions", "Moves", TransitionsPage, query=PageQuery, missing=True)
    def get(self, request: Asked, external_id: str) -> Response:
        """The moves of an account, newest first."""
        query = PageQuery.read(request.query_params)
        rows = account_or_404(external_id).transitions.select_related("by")
        return page(rows, Transition, query)
