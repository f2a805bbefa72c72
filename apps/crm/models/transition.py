from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.crm.models.user import User
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers

BY_HAND = ("board", "list", "account", "admin", "api")


def is_automatic(cause: str) -> bool:
    """Whether a playbook or an inbound event is behind a move, rather than a person."""
    return cause.startswith(("playbook:", "event:"))


class StageTransition(models.Model):
    """One move of one account: the ledger the stage is read back from. Never changed, never deleted.

    Triggers in the database refuse both, but for the account's own erasure and for blanking ``reason``.
    """

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="transitions", db_index=False)
    version = models.PositiveIntegerField()
    from_stage = models.CharField(max_length=32, choices=Stage, blank=True)
    to_stage = models.CharField(max_length=32, choices=Stage, blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    cause = models.CharField(max_length=120)
    reason = models.TextField(blank=True)
    before = models.JSONField(
        default=dict,
        editable=False,
        help_text="The facts the move changed, as they were: what undo restores.",
    )

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["account", "version"], name="transition_version_once"),
            models.CheckConstraint(condition=~Q(from_stage=F("to_stage")), name="transition_goes_somewhere"),
            models.CheckConstraint(
                condition=Q(cause__regex=r"^(board|list|account|admin|api|import|(event|playbook|undo):.+)$"),
                name="transition_cause_known",
            ),
            models.CheckConstraint(
                condition=Q(from_stage__in=Stage.values) & Q(to_stage__in=Stage.values),
                name="transition_stages_known",
            ),
        ]
        indexes = [
            models.Index(fields=["to_stage", "-at"], name="transition_into_stage"),
            models.Index(fields=["-at"], name="transition_by_time"),
            # What was taken back is left out of the numbers the team is run by.
            models.Index(fields=["id"], name="transition_undo", condition=Q(cause__startswith="undo:")),
        ]

    def __str__(self) -> str:
        return f"{Stage(self.from_stage).label} → {Stage(self.to_stage).label}"

    @property
    def automatic(self) -> bool:
        return is_automatic(self.cause)

    @property
    def actor(self) -> str:
        """Who made the move, in words: a colleague's name, or what acted by itself."""
        if self.by is not None:
            return str(self.by)
        kind, _, name = self.cause.partition(":")
        return {"playbook": f"The playbook {name}", "event": "An incoming event", "import": "An import"}.get(
            kind, "Somebody"
        )

    def undo_refusal(self, by: User, numbers: Numbers) -> str:
        """Why this person may not undo this move now, were it the last; empty when they may."""
        if self.cause.startswith("undo:"):
            return "An undo cannot be undone; move the account instead."
        if self.cause == "import":
            return "A first load cannot be undone; move the account instead."
        if self.automatic:
            days = numbers.undo_automatic_days
            late = numbers.now - self.at >= timedelta(days=days)
            return f"{self.actor} made this move more than {days} days ago." if late else ""
        if self.by_id != by.pk:
            return f"{self.actor} made this move; only they can undo it."
        late = numbers.now - self.at >= timedelta(minutes=numbers.undo_minutes)
        return f"You made this move more than {numbers.undo_minutes} minutes ago." if late else ""
