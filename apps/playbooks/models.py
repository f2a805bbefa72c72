"""What the playbooks did: their runs, what they acted on and why, and who switched them on or off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection, models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.crm.models import User


class Run(models.Model):
    """One run of one playbook that acted on something or failed; a run that found nothing leaves no row."""

    playbook = models.CharField(max_length=40)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    on = models.DateField(null=True, blank=True, help_text="The day that was asked for, when run by hand.")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    acted = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    errors = models.JSONField(default=list, help_text="The first failures: account id and error.")
    tries = models.PositiveIntegerField(default=1, help_text="How often it met the same failures in a row.")

    class Meta:
        ordering = ["-started_at", "-pk"]
        indexes = [models.Index(fields=["playbook", "-started_at", "-id"], name="run_of_playbook")]

    def __str__(self) -> str:
        return f"{self.playbook}, {self.started_at:%Y-%m-%d %H:%M} UTC"

    def claim(self, claims: Iterable[tuple[int, str, str]]) -> set[tuple[int, str]]:
        """Take occasions for this run: (account id, occasion, because). Returns those that were still free."""
        accounts, occasions, because = ([*column] for column in zip(*claims, strict=True))
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO playbooks_act (run_id, playbook, account_id, occasion, at, because, skipped)
                SELECT %s, %s, given.account, given.occasion, %s, given.because, false
                FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS given (account, occasion, because)
                ON CONFLICT (account_id, playbook, occasion) DO NOTHING
                RETURNING account_id, occasion
                """,
                [self.pk, self.playbook, self.started_at, accounts, occasions, because],
            )
            claimed = set(cursor.fetchall())
        Run.objects.filter(pk=self.pk).update(acted=F("acted") + len(claimed))
        return claimed

    def link(self, moved: Mapping[int, int]) -> None:
        """Note the move that each act made: account id to the ledger row's id."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                UPDATE playbooks_act act SET transition_id = given.transition
                FROM unnest(%s::bigint[], %s::bigint[]) AS given (account, transition)
                WHERE act.account_id = given.account AND act.run_id = %s
                """,
                [[*moved], [*moved.values()], self.pk],
            )

    def finish(self, *, acted: int, failed: int, errors: list[dict[str, Any]]) -> None:
        """Keep what the run came to. Nothing leaves no row; the failures of the run before only count it up."""
        if acted or (failed and not self._counted_up(failed, errors)):
            self.failed, self.errors, self.finished_at = failed, errors, Now()
            self.save(update_fields=None if self.pk is None else ["failed", "errors", "finished_at"])
        elif self.pk is not None:
            self.delete()

    def _counted_up(self, failed: int, errors: list[dict[str, Any]]) -> bool:
        last = Run.objects.filter(playbook=self.playbook).exclude(pk=self.pk).values("pk")[:1]
        same = Run.objects.filter(pk__in=last, acted=0, failed=failed, errors=errors, on=self.on, by=self.by)
        return bool(same.update(tries=F("tries") + 1, finished_at=Now()))


class Act(models.Model):
    """A playbook has acted on an account for an occasion, or is to leave it alone for that. Once, for good."""

    run = models.ForeignKey(
        Run, models.DB_CASCADE, null=True, blank=True, related_name="acts", db_index=False
    )
    playbook = models.CharField(max_length=40)
    # The indexes below begin with these two: none of their own beside them.
    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="acts", db_index=False)
    occasion = models.CharField(max_length=300)
    at = models.DateTimeField()
    because = models.TextField(blank=True)
    transition = models.ForeignKey(
        "crm.StageTransition", models.DB_CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    skipped = models.BooleanField(default=False, help_text="A person said to leave the account alone.")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["account", "playbook", "occasion"], name="act_once_an_occasion"),
            models.CheckConstraint(
                condition=Q(skipped=True, run__isnull=True, by__isnull=False)
                | Q(skipped=False, run__isnull=False, by__isnull=True),
                name="act_of_a_run_or_of_a_person",
            ),
        ]
        indexes = [
            models.Index(fields=["playbook", "-id"], name="act_of_playbook"),
            models.Index(fields=["run", "-id"], name="act_of_run"),
            # Without it, erasing an account reads every act once for each of its moves.
            models.Index(fields=["transition"], name="act_of_move", condition=Q(transition__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.playbook} on {self.account_id} for {self.occasion}"


class SwitchQuerySet(models.QuerySet[Any]):
    def paused(self) -> set[str]:
        """The names of the playbooks that a lead has paused."""
        return set(self.filter(paused=True).values_list("playbook", flat=True))

    def ran(self, playbooks: Sequence[str], *, now: datetime) -> None:
        """Note, in one statement for all, that these playbooks have run."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO playbooks_switch (playbook, paused, last_run_at)
                SELECT name, false, %s FROM unnest(%s::text[]) AS name ORDER BY name
                ON CONFLICT (playbook) DO UPDATE SET last_run_at = excluded.last_run_at
                """,
                [now, [*playbooks]],
            )

    def turn(self, playbook: str, *, paused: bool, by: User, now: datetime) -> None:
        """Pause or resume a playbook."""
        self.update_or_create(playbook=playbook, defaults={"paused": paused, "by": by, "at": now})


class Switch(models.Model):
    """Whether a playbook is on, who last turned it, and when it last ran. No row: on, and has not run yet."""

    playbook = models.CharField(max_length=40, unique=True)
    paused = models.BooleanField(default=False)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    at = models.DateTimeField(null=True, blank=True, help_text="When it was last paused or resumed.")
    last_run_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = SwitchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "switches"

    def __str__(self) -> str:
        return f"{self.playbook}: {'paused' if self.paused else 'on'}"
