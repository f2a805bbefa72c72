from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import Combinable

from apps.crm.models.notice import Notice
from apps.crm.models.user import User
from apps.crm.pipeline import STAGES, Stage


@dataclass(frozen=True)
class AlertKind:
    """What a kind of alert is called, and when one closes by itself, in words.

    ``stages`` are those in which its cause can stand (None: any), ``proposes`` is the move it asks a person for,
    ``meaning`` how urgent it looks.
    """

    label: str
    closes: str = "never by itself"
    stages: tuple[Stage, ...] | None = None
    proposes: Stage | None = None
    meaning: str = "wait"


# A kind is the name of the playbook that raises it.
ALERT_KINDS: dict[str, AlertKind] = {
    "missed-outreach": AlertKind("Outreach missed", "when the account leaves 1", stages=(Stage.NEW,)),
    "failed-payment": AlertKind(
        "Payment failed", "when the bill is paid, void or uncollectible", meaning="bad"
    ),
    "large-invoice": AlertKind("Large invoice", "when the bill is paid", meaning="info"),
    "low-score": AlertKind("Low score", "when the answer is changed, or does not count as low any more"),
    "churn-signal": AlertKind(
        "Churn signal",
        "when the account is moved to 6d, or a later period is billed above 0",
        stages=tuple(stage for stage in STAGES if stage != Stage.CHURNED),
        proposes=Stage.CHURNED,
        meaning="bad",
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


_CHANGED_BY_PEOPLE = [
    *("acknowledged_at", "acknowledged_by", "snoozed_until", "assignee"),
    *("resolved_at", "resolved_by", "resolution"),
]


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

    def acknowledge(self, *, by: User, now: datetime) -> list[int]:
        """Say that somebody is on the open ones nobody is on yet. This and those below return the ids changed."""
        return self.open().change(Q(acknowledged_at=None), acknowledged_at=now, acknowledged_by=by)

    def leave(self, *, by: User) -> list[int]:
        """Take back that this person is on the open ones."""
        return self.open().change(Q(acknowledged_by=by), acknowledged_at=None, acknowledged_by=None)

    def snooze(self, until: date) -> list[int]:
        """Hide the open ones until a day; those snoozed until then already are left out."""
        return self.open().change(~Q(snoozed_until=until) | Q(snoozed_until=None), snoozed_until=until)

    def wake(self) -> list[int]:
        """Show the snoozed ones again before their day."""
        return self.open().change(Q(snoozed_until__isnull=False), snoozed_until=None)

    def assign(self, to: User | None, *, by: User | None, now: datetime) -> list[int]:
        """Give the open ones to somebody, who is told, or to nobody; those that are theirs already are left out."""
        others = ~Q(assignee=to) | Q(assignee=None) if to else Q(assignee__isnull=False)
        return self.open().give(others, to, by=by, now=now)

    def give(self, only_if: Q, to: User | None, *, by: User | None, now: datetime) -> list[int]:
        """Give those that are like that to somebody, and tell them."""
        with transaction.atomic():
            given = self.change(only_if, assignee=to)
            Notice.objects.tell_of_alerts(Alert.objects.filter(pk__in=given), by=by, now=now)
        return given

    def give_back(self, was: Mapping[int, int | None], *, seen: int | None) -> list[int]:
        """Give the open ones that are theirs whose id was ``seen`` to whom they belonged before."""
        changed: list[int] = []
        with transaction.atomic():
            for person in {*was.values()}:
                theirs = self.open().filter(pk__in=[pk for pk, whose in was.items() if whose == person])
                changed += theirs.change(Q(assignee=seen), assignee=person)
        return changed

    def resolve(self, *, by: User | None, now: datetime, resolution: str = "") -> list[int]:
        """Close the open ones with a word on what was done."""
        return self.open().change(Q(), resolved_at=now, resolved_by=by, resolution=resolution)

    def reopen(self) -> list[int]:
        """Take back what a person resolved, but where the cause is gone or the alert was raised anew."""
        raised_anew = Alert.objects.open().filter(
            account=OuterRef("account"), kind=OuterRef("kind"), subject=OuterRef("subject")
        )
        caused = Q()
        for name, kind in ALERT_KINDS.items():
            if kind.stages is not None:
                caused &= ~Q(kind=name) | Q(account__stage__in=kind.stages)
        return self.filter(resolved_by__isnull=False).change(
            caused & Q(~Exists(raised_anew)), resolved_at=None, resolved_by=None, resolution=""
        )

    def change(self, only_if: Q, **values: object) -> list[int]:
        """Change those that are like that, their accounts locked first and counted anew; returns their ids."""
        of = self.values_list("account", flat=True)
        every: Any = Alert._meta.get_field("account").related_model
        accounts = every.objects.filter(pk__in=list(of))
        with transaction.atomic():
            list(accounts.order_by("pk").select_for_update(no_key=True).values_list("pk"))
            ids = list(self.filter(only_if).values_list("pk", flat=True))
            Alert.objects.filter(pk__in=ids).update(**values)
            accounts.recount()
            accounts.filter(alerts__in=ids).touch()
        return ids


class Alert(models.Model):
    """Something about an account that wants a person now. Raised by a playbook, one open a subject."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="alerts", db_index=False)
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
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    snoozed_until = models.DateField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    resolution = models.TextField(blank=True)
    transition = models.ForeignKey(
        "crm.StageTransition",
        models.DB_CASCADE,
        null=True,
        blank=True,
        related_name="alerts",
        db_index=False,
        help_text="The move that made it.",
    )
    ended_by = models.ForeignKey(
        "crm.StageTransition",
        models.DB_CASCADE,
        null=True,
        blank=True,
        related_name="ended_alerts",
        db_index=False,
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
        return self._took(self._this.acknowledge(by=by, now=now))

    def leave(self, *, by: User) -> bool:
        """Take back that this person is on it; False when it was resolved, or somebody else is."""
        return self._took(self._this.leave(by=by))

    def snooze(self, until: date, *, seen: date | None = None) -> bool:
        """Hide it until a day; False when it was resolved, or is snoozed otherwise than was ``seen``."""
        return self._took(self._this.filter(snoozed_until=seen).snooze(until))

    def wake(self) -> bool:
        """Show it again before its day; False when it is resolved or not snoozed."""
        return self._took(self._this.wake())

    def assign(self, to: User | None, *, seen: int | None, by: User | None, now: datetime) -> bool:
        """Give it to somebody or to nobody; False when it was resolved, or is not the one's whose id was ``seen``."""
        return self._took(self._this.open().give(Q(assignee=seen), to, by=by, now=now))

    def resolve(self, *, by: User | None, now: datetime, resolution: str = "") -> bool:
        """Close it with a word on what was done; False when it was resolved before."""
        return self._took(self._this.resolve(by=by, now=now, resolution=resolution))

    def reopen(self) -> bool:
        """Take back what a person resolved; False when it is open, its cause is gone, or it was raised anew."""
        return self._took(self._this.reopen())

    @property
    def _this(self) -> AlertQuerySet:
        these: AlertQuerySet = Alert.objects.filter(pk=self.pk)
        return these

    def _took(self, changed: list[int]) -> bool:
        if changed:
            self.refresh_from_db(fields=_CHANGED_BY_PEOPLE)
        return bool(changed)
