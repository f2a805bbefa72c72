"""Keeping the scope decisions: who is looked at, what was decided, and on which facts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from itertools import batched
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models, transaction
from django.db.models import Case, F, Q, When

from apps.crm.enough import Enough, never
from apps.crm.models.moving import MovableQuerySet
from apps.crm.pipeline import OUTSIDE
from apps.crm.policy import Numbers
from apps.crm.scope import ASKING, FACTS, TABLE, Asks, Outcome, because, decided_row, edition, holds_until

SLICE = 5_000


class ScopeDecision(models.Model):
    """One decision whether an account is ours, kept with the facts it saw. Written when the answer changes."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="decisions", db_index=False)
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

    def to_decide(self, numbers: Numbers) -> Any:
        """Accounts whose kept decision may not be today's: a fact or the policy has changed, or its day has come."""
        return self.filter(_undecided(numbers))

    def asking_to(self, what: Asks, numbers: Numbers) -> Any:
        """Accounts outside the pipeline for which the decision table asks for this, with the ``row`` that does.

        The kept decision is read where it holds, and the table itself where it may not: nobody waits for the
        decision to be made anew, and none is acted on that is not true any more.
        """
        undecided, row = _undecided(numbers), decided_row(numbers)
        return (
            self.filter(stage=OUTSIDE)
            .annotate(
                row=Case(When(undecided, then=row), default=F("scope_row"), output_field=row.output_field)
            )
            .filter(Q(scope_asks=what) | undecided, row__in=ASKING[what])
        )

    def decide(self, numbers: Numbers, *, now: datetime, enough: Enough = never) -> int:
        """Look at these accounts anew, slice by slice, and keep each decision that differs; returns how many.

        Each slice is a transaction of its own; ``enough`` is asked before each whether to leave the rest.
        """
        changed = 0
        for ids in batched(self.order_by().values_list("pk", flat=True).iterator(SLICE), SLICE):
            if enough():
                break
            changed += self._decide_slice(ids, numbers, now)
        return changed

    def _decide_slice(self, ids: tuple[int, ...], numbers: Numbers, now: datetime) -> int:
        with transaction.atomic():
            # Whom somebody is changing at this moment is left to the next run.
            unlocked = self.model.objects.filter(pk__in=ids).order_by("pk")
            locked = unlocked.select_for_update(no_key=True, skip_locked=True)
            decided = locked.annotate(row=decided_row(numbers), until=holds_until(numbers))
            rows = list(decided.values("pk", "row", "until", "scope_row", "route", *FACTS))
            if not rows:
                return 0
            because_of = {row["pk"]: because(row["row"], row, numbers) for row in rows}
            decisions = [
                ScopeDecision(
                    account_id=row["pk"],
                    at=now,
                    on=numbers.today,
                    row=row["row"],
                    outcome=TABLE[row["row"] - 1].outcome,
                    because=because_of[row["pk"]],
                    facts={name: row[name] for name in FACTS},
                )
                for row in rows
                if because_of[row["pk"]] != row["route"] or row["row"] != row["scope_row"]
            ]
            ScopeDecision.objects.bulk_create(decisions, batch_size=1_000)
            _take_over(
                ((row["pk"], row["row"], because_of[row["pk"]], row["until"]) for row in rows),
                edition(numbers),
            )
        return len(decisions)


def _undecided(numbers: Numbers) -> Q:
    """Whether the decision kept on an account may be another than today's: each part is a look into one index."""
    if numbers.today < numbers.day_of(numbers.now):
        # Of a day gone by nothing is kept.
        return Q(decided_under__gte=0)
    kept = edition(numbers)
    return (
        Q(decided_under__lt=kept)
        | Q(decided_under__gt=kept)
        | Q(decided_under=kept, decided_until__lte=numbers.today)
    )


def _take_over(decided: Iterable[tuple[int, int, str, date]], under: int) -> None:
    """Write decisions on their accounts: the account's id, the row, its sentence, and until when it holds.

    One statement writes all of it: an account is written into every index each time.
    """
    ids, rows, sentences, until = ([*column] for column in zip(*decided, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE crm_account account
            SET scope = made.outcome, scope_row = made.row, route = made.because,
                decided_under = %s, decided_until = made.until
            FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::text[], %s::date[])
                 AS made (id, outcome, row, because, until)
            WHERE made.id = account.id
            """,
            [under, ids, [str(TABLE[row - 1].outcome) for row in rows], rows, sentences, until],
        )
