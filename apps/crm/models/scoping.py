"""Keeping the scope decisions: who is looked at, what was decided, and on which facts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.db.models import Q

from apps.crm.models.moving import MovableQuerySet
from apps.crm.policy import Numbers
from apps.crm.scope import FACTS, TABLE, Outcome, because, decided_row

SLICE = 5_000


class ScopeDecision(models.Model):
    """One decision whether an account is ours, kept with the facts it saw. Written when the answer changes."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="decisions")
    at = models.DateTimeField()
    on = models.DateField(help_text="The team's day it holds from.")
    row = models.PositiveSmallIntegerField(help_text="The row of the decision table that held.")
    outcome = models.CharField(max_length=8, choices=Outcome)
    because = models.TextField()
    facts = models.JSONField(encoder=DjangoJSONEncoder)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["account", "-at"], name="decision_of_account")]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.because}"


class ScopedQuerySet(MovableQuerySet):
    """Accounts, as far as deciding on them goes."""

    def with_scope_row(self, numbers: Numbers) -> Any:
        """Accounts with the row of the decision table that holds for them on ``numbers.today``."""
        return self.annotate(row=decided_row(numbers))

    def to_decide(self, today: date) -> Any:
        """Accounts whose facts have changed since they were looked at, or that were not looked at today."""
        return self.filter(Q(decided_on__isnull=True) | Q(decided_on__lt=today))

    def decide(self, numbers: Numbers, *, now: datetime) -> int:
        """Look at these accounts anew, slice by slice, and keep each decision that differs; returns how many."""
        changed, last = 0, 0
        while ids := list(self.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:SLICE]):
            changed += self._decide_slice(ids, numbers, now)
            last = ids[-1]
        return changed

    def _decide_slice(self, ids: list[int], numbers: Numbers, now: datetime) -> int:
        with transaction.atomic():
            locked = self.model.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
            rows = list(
                locked.annotate(row=decided_row(numbers)).values("pk", "row", "scope_row", "route", *FACTS)
            )
            decisions = [
                ScopeDecision(
                    account_id=row["pk"],
                    at=now,
                    on=numbers.today,
                    row=row["row"],
                    outcome=TABLE[row["row"] - 1].outcome,
                    because=sentence,
                    facts={name: row[name] for name in FACTS},
                )
                for row in rows
                if (sentence := because(row["row"], row, numbers)) != row["route"]
                or row["row"] != row["scope_row"]
            ]
            if decisions:
                ScopeDecision.objects.bulk_create(decisions, batch_size=1_000)
                _take_over(decisions)
            self.model.objects.filter(pk__in=ids).update(decided_on=numbers.today)
        return len(decisions)


def _take_over(decisions: list[ScopeDecision]) -> None:
    """Write the decisions on their accounts."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE crm_account account SET scope = made.outcome, scope_row = made.row, route = made.because
            FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::text[]) AS made (id, outcome, row, because)
            WHERE made.id = account.id
            """,
            [
                [decision.account_id for decision in decisions],
                [str(decision.outcome) for decision in decisions],
                [decision.row for decision in decisions],
                [decision.because for decision in decisions],
            ],
        )
