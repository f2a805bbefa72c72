from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from django.conf import settings
from django.db import models
from django.db.models import Q

What = Literal["booked", "no_show", "came", "held", "canceled"]

# Of two things said of one moment the one further along holds. "came" takes a no-show back.
_PROGRESS: tuple[What, ...] = ("booked", "no_show", "came", "held", "canceled")


@dataclass(frozen=True)
class Told:
    """What another system says of a call. Without ``starts_at`` it speaks of a call that is known."""

    external_id: str
    what: What
    at: datetime | None
    kind: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    contact_email: str = ""

    def _place(self) -> tuple[float, int]:
        return _place(self.what, self.at)


def _place(what: What, at: datetime | None) -> tuple[float, int]:
    return (at.timestamp() if at else 0, _PROGRESS.index(what))


class CallQuerySet(models.QuerySet["Call"]):
    def report(self, account: Any, told: Told) -> tuple[Call, bool]:
        """Keep what is told of a call of this locked account; the call, and whether that is how it stands now.

        What is told without a time stands behind everything that names one.
        """
        facts = {"starts_at": told.starts_at, "ends_at": told.ends_at, "kind": told.kind}
        facts["contact_email"] = told.contact_email
        call = self.filter(external_id=told.external_id).first() or self.model(
            external_id=told.external_id, account=account, **facts
        )
        stands = call._state.adding or told._place() >= call._place()
        if stands:
            call.status = Call.Status.BOOKED if told.what in ("booked", "came") else Call.Status(told.what)
            call.said, call.said_at = told.what, told.at
            call.marked_at = None if told.what == "booked" else told.at
            if told.starts_at:
                for name, value in facts.items():
                    setattr(call, name, value)
            call.save()
        return call, stands


class Call(models.Model):
    """A call with a customer, booked through the team's link."""

    class Kind(models.TextChoices):
        INTRO = "intro", "Intro call"
        SECOND = "second", "Second call"
        CONSULTATION = "consultation", "Paid consultation"
        UNKNOWN = "", "Call"

    class Status(models.TextChoices):
        BOOKED = "booked", "Booked"
        HELD = "held", "Held"
        CANCELED = "canceled", "Cancelled"
        NO_SHOW = "no_show", "No-show"

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="calls")
    external_id = models.CharField(max_length=300, unique=True)
    kind = models.CharField(max_length=16, choices=Kind, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.BOOKED)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    marked_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was last said to be held, cancelled or a no-show."
    )
    said = models.CharField(max_length=10, blank=True, editable=False, help_text="What was last said of it.")
    said_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The time of that, there."
    )
    contact_email = models.EmailField(max_length=254, blank=True)
    hosts = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="crm.CallHost", blank=True, related_name="+"
    )

    objects: ClassVar[Any] = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at"]
        indexes = [
            models.Index(fields=["account", "starts_at"], name="call_of_account"),
            models.Index(fields=["account", "starts_at"], name="call_booked", condition=Q(status="booked")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on {self.starts_at:%Y-%m-%d %H:%M} UTC, {self.status}"

    def _place(self) -> tuple[float, int]:
        # What a person marked has a time and nothing said: it stands as such.
        if self.said:
            return _place(self.said, self.said_at)  # type: ignore[arg-type]
        return _place(self.status, self.marked_at)  # type: ignore[arg-type]


class CallHost(models.Model):
    """A colleague who takes a call."""

    call = models.ForeignKey(Call, models.DB_CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["call", "user"], name="call_host_once")]

    def __str__(self) -> str:
        return f"{self.user} on {self.call}"
