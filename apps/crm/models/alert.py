from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, Q
from django.db.models.expressions import Combinable

from apps.crm.models.user import User
from apps.crm.pipeline import STAGES, Stage


@dataclass(frozen=True)
class AlertKind:
    """What a kind of alert is called, and when one closes by itself, in words.

    ``stages`` are those in which its cause can stand (None: any), ``proposes`` is the move it asks a person for.
    """

    label: str
    closes: str = "never by itself"
    stages: tuple[Stage, ...] | None = None
    proposes: Stage | None = None


# A kind is the name of the playbook that raises it.
ALERT_KINDS: dict[str, AlertKind] = {
    "missed-outreach": AlertKind("Outreach missed", "when the account leaves 1", stages=(Stage.NEW,)),
    "failed-payment": AlertKind("Payment failed", "when the bill is paid, void or uncollectible"),
    "large-invoice": AlertKind("Large invoice", "when the bill is paid"),
    "churn-signal": AlertKind(
        "Churn signal",
        "when the account is moved to 6d, or a later period is billed above 0",
        stages=tuple(stage for stage in STAGES if stage != Stage.CHURNED),
        proposes=Stage.CHURNED,
    ),
    "handover-returned": AlertKind(
        "Returned by Sales",
        "when the account leaves 6c, or has an AE, CSM or AM",
        stages=(Stage.SALES_HANDOFF,),
        proposes=Stage.NEW,
    ),
}


def alert_kind(name: str) -> AlertKind:
    """The kind of this name; one that no playbook raises any more goes by its name."""
    return ALERT_KINDS.get(name) or AlertKind(name)


class AlertQuerySet(models.QuerySet["Alert"]):
    def open(self) -> AlertQuerySet:
        return self.filter(resolved_at__isnull=True)

    def shown(self, today: date | Combinable) -> AlertQuerySet:
        """Open and not snoozed past ``today``."""
        return self.open().filter(Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=today))

    def snoozed(self, today: date) -> AlertQuerySet:
        """Open, and out of sight until a day after ``today``."""
        return self.open().filter(snoozed_until__gt=today)

    def ended_by(self, stage: Stage) -> AlertQuerySet:
        """Open alerts whose cause is gone once the account stands at ``stage``."""
        kinds = [
            name for name, kind in ALERT_KINDS.items() if kind.stages is not None and stage not in kind.stages
        ]
        return self.open().filter(kind__in=kinds)


class Alert(models.Model):
    """Something about an account that wants a person now. Raised by a playbook, one open a subject."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="alerts")
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=300, blank=True, help_text="What it is about, such as a bill's id.")
    text = models.TextField()
    attempts = models.PositiveIntegerField(default=0)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="alerts"
    )
    raised_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    snoozed_until = models.DateField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    resolution = models.TextField(blank=True)
    transition = models.ForeignKey(
        "crm.StageTransition",
        models.DB_CASCADE,
        null=True,
        blank=True,
        related_name="alerts",
        help_text="The move that made it.",
    )
    ended_by = models.ForeignKey(
        "crm.StageTransition",
        models.DB_CASCADE,
        null=True,
        blank=True,
        related_name="ended_alerts",
        help_text="The move that took its cause away.",
    )

    objects: ClassVar[Any] = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-raised_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "subject"],
                condition=Q(resolved_at__isnull=True),
                name="alert_open_once_a_subject",
            ),
        ]
        indexes = [
            models.Index(fields=["-raised_at"], name="alert_open", condition=Q(resolved_at__isnull=True)),
            models.Index(fields=["account", "-raised_at"], name="alert_of_account"),
            models.Index(fields=["transition"], name="alert_of_move", condition=Q(transition__isnull=False)),
            models.Index(fields=["ended_by"], name="alert_ended_by", condition=Q(ended_by__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.kind_label}: {self.text}"

    @property
    def kind_label(self) -> str:
        return alert_kind(self.kind).label

    def acknowledge(self, *, by: User, now: datetime) -> bool:
        """Say that somebody is on it; False when it was resolved or acknowledged before."""
        return self._change(Q(acknowledged_at__isnull=True), acknowledged_at=now, acknowledged_by=by)

    def snooze(self, until: date, *, seen: date | None = None) -> bool:
        """Hide it until a day; False when it was resolved, or is snoozed otherwise than was ``seen``."""
        return self._change(Q(snoozed_until=seen), snoozed_until=until)

    def wake(self) -> bool:
        """Show it again before its day; False when it is resolved or not snoozed."""
        return self._change(Q(snoozed_until__isnull=False), snoozed_until=None)

    def assign(self, to: User | None, *, seen: int | None) -> bool:
        """Give it to somebody or to nobody; False when it was resolved, or is not the one's whose id was ``seen``."""
        return self._change(Q(assignee=seen), assignee=to)

    def resolve(self, *, by: User | None, now: datetime, resolution: str = "") -> bool:
        """Close it with a word on what was done; False when it was resolved before."""
        return self._change(Q(), resolved_at=now, resolved_by=by, resolution=resolution)

    def reopen(self) -> bool:
        """Take back what a person resolved; False when it is open, its cause is gone, or it was raised anew."""
        stages = alert_kind(self.kind).stages
        raised_anew = Alert.objects.open().filter(
            account=self.account_id, kind=self.kind, subject=self.subject
        )
        only_if = ~Exists(raised_anew) & Q(resolved_by__isnull=False)
        if stages is not None:
            only_if &= Q(account__stage__in=stages)
        resolved = Alert.objects.filter(resolved_at__isnull=False)
        return self._change(only_if, among=resolved, resolved_at=None, resolved_by=None, resolution="")

    def _change(self, only_if: Q, *, among: AlertQuerySet | None = None, **values: object) -> bool:
        """Change it if it is ``among`` these, the open ones unless said, and like that."""
        among = Alert.objects.open() if among is None else among
        with transaction.atomic():
            self.account.lock()
            changed = among.filter(only_if, pk=self.pk).update(**values)
            self.account.recount()
        if changed:
            self.refresh_from_db(fields=[*values])
        return bool(changed)
