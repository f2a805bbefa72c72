from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from apps.crm.models.moving import Conflict, MoveError, Refused
from apps.crm.models.transition import StageTransition
from apps.crm.models.user import User, validate_time_zone
from apps.crm.pipeline import Stage
from apps.crm.policy import Policy

What = Literal["booked", "no_show", "came", "held", "canceled"]


@dataclass(frozen=True)
class Told:
    """What another system says of a call. Without ``starts_at`` it speaks of a call that is known.

    "came" takes a no-show back.
    """

    external_id: str
    what: What
    at: datetime | None
    kind: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    contact_email: str = ""


class Marked(NamedTuple):
    """What came of marking a call: whether it changed, the move that followed, and why one that might did not."""

    changed: bool
    moved: StageTransition | None = None
    stayed: str = ""


class CallQuerySet(models.QuerySet["Call"]):
    def report(
        self, account: Any, told: Told, *, now: datetime, cause: str, rescheduled: bool = False
    ) -> tuple[Call, Marked]:
        """Keep what is told of a call of this locked account; the call, and what came of it.

        That it was booked is the first thing to be said of a call: it stands behind everything, whenever it comes.
        """
        facts = {
            "starts_at": told.starts_at,
            "ends_at": told.ends_at,
            "kind": told.kind,
            "contact_email": told.contact_email,
        }
        call: Call
        call, new = self.get_or_create(external_id=told.external_id, defaults={"account": account, **facts})
        # One that became known at this very moment may be another account's, which is not locked yet.
        mine = call.account_id == account.pk
        if mine:
            call.account = account
        if new:
            account.touch()
        if told.what != "booked":
            status = Call.Status.BOOKED if told.what == "came" else Call.Status(told.what)
            mark: Callable[..., Marked] = call.mark_locked if mine else call.mark
            return call, mark(status, by=None, now=now, cause=cause, at=told.at, rescheduled=rescheduled)
        if not new and call.marked_at is None:
            self.filter(pk=call.pk).update(**facts)
            call.refresh_from_db()
            call.account.touch()
        return call, Marked(call.marked_at is None)


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

    # Which of two things said of one and the same moment stands, whichever came first: the later in this order.
    WEIGHT: ClassVar[list[str]] = [Status.BOOKED, Status.CANCELED, Status.NO_SHOW, Status.HELD]
    # Which call moves an account when it was held, and from where. From anywhere else, a person decides.
    MOVES: ClassVar[dict[str, tuple[Stage, Stage]]] = {
        Kind.INTRO: (Stage.CALL_BOOKED, Stage.INTRO_CALL_COMPLETED),
        Kind.SECOND: (Stage.INTRO_CALL_COMPLETED, Stage.SECOND_CALL_COMPLETED),
    }

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="calls", db_index=False)
    external_id = models.CharField(max_length=300)
    kind = models.CharField(max_length=16, choices=Kind, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.BOOKED)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    marked_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was last said to be held, cancelled or a no-show."
    )
    marked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    transition = models.ForeignKey(
        "crm.StageTransition",
        models.DB_CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="The move that followed when it was held.",
    )
    contact_email = models.EmailField(max_length=254, blank=True)
    contact_time_zone = models.CharField(max_length=64, blank=True, validators=[validate_time_zone])
    hosts = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="crm.CallHost", blank=True, related_name="+"
    )

    objects: ClassVar[Any] = CallQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at"]
        constraints = [models.UniqueConstraint(fields=["external_id"], name="call_external_id_once")]
        indexes = [
            models.Index(fields=["account", "starts_at"], name="call_of_account"),
            models.Index(fields=["account", "starts_at"], name="call_booked", condition=Q(status="booked")),
            models.Index(fields=["starts_at"], name="call_to_come", condition=Q(status="booked")),
            models.Index(fields=["account", "starts_at"], name="call_paid", condition=Q(kind="consultation")),
            models.Index(fields=["ends_at"], name="call_held", condition=Q(status="held")),
            models.Index(fields=["transition"], name="call_of_move", condition=Q(transition__isnull=False)),
            models.Index(
                fields=["account"],
                name="call_paid_and_missed",
                condition=Q(status="no_show", kind="consultation"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on {self.starts_at:%Y-%m-%d %H:%M} UTC, {self.status}"

    def mark(self, status: Status, *, seen: str | None = None, **said: Any) -> Marked:
        """Say what became of it as ``mark_locked`` does, once its account is locked.

        ``seen`` is the status a person started from: raises ``Conflict`` where it is another by now.
        """
        with transaction.atomic():
            account = type(self.account).objects.locked(self.account_id)
            self.refresh_from_db()
            self.account = account
            if seen is not None and seen != self.status:
                raise Conflict(self._told())
            return self.mark_locked(status, **said)

    def mark_locked(
        self,
        status: Status,
        *,
        by: User | None,
        now: datetime,
        cause: str,
        at: datetime | None = None,
        rescheduled: bool = False,
    ) -> Marked:
        """Say that it was held, missed, cancelled, or is booked after all, with all that follows for its account.

        The account is locked, and both are as they are now. ``at`` is when that was said, ``cause`` one of the
        ledger's. What is no news changes nothing; without ``by``, neither does what is older than what is known.
        Raises ``Refused`` where the call has not begun. A move that the pipeline does not permit is no failure.
        ``rescheduled`` asks nobody to book again.
        """
        if by is None and not self._newer(status, at or now):
            return Marked(False)
        if status == self.status:
            # Said anew: what comes late must not be older than this.
            self.marked_at = max(at or now, self.marked_at or at or now)
            self.save(update_fields=["marked_at"])
            return Marked(False)
        if by and status in (self.Status.HELD, self.Status.NO_SHOW) and now < self.starts_at:
            raise Refused("The call has not begun, so it can be neither held nor missed yet.")
        kept = self._take_back(by=by, now=now)
        # What was kept of an event from a clock ahead of ours must not come again over a person's word.
        said_at = at or (max(now, self.marked_at) if by and self.marked_at else now)
        self.status, self.marked_at, self.marked_by = status, said_at, by
        self.save(update_fields=["status", "marked_at", "marked_by", "transition"])
        if status == self.Status.HELD:
            made = self._hold(said_at, by=by, now=now, cause=cause)
        else:
            if status == self.Status.CANCELED and not rescheduled:
                self._ask("Rebook the call that was cancelled", by=by, now=now)
            made = Marked(True, stayed=kept)
        # A move is seen by itself.
        if not made.moved:
            self.account.touch()
        return made

    def add_host(self, user: User) -> bool:
        """Let a colleague take it, too; False where they do already."""
        with transaction.atomic():
            self.account.touch()
            return CallHost.objects.get_or_create(call=self, user=user)[1]

    def remove_host(self, user: User) -> bool:
        """Take a colleague off; False where they were not on it."""
        with transaction.atomic():
            self.account.touch()
            return bool(CallHost.objects.filter(call=self, user=user).delete()[0])

    def _newer(self, status: str, at: datetime) -> bool:
        known = (self.marked_at, self.WEIGHT.index(self.status))
        return self.marked_at is None or (at, self.WEIGHT.index(status)) > known

    def _told(self) -> str:
        who = str(self.marked_by) if self.marked_by else "An incoming event"
        words = {self.Status.BOOKED: "put it back to booked", self.Status.NO_SHOW: "marked it a no-show"}
        said = words.get(self.Status(self.status), f"marked it {self.get_status_display().lower()}")
        return f"{who} {said} first."

    def _hold(self, at: datetime, *, by: User | None, now: datetime, cause: str) -> Marked:
        """What follows from a call that was held: engagement, and the move its kind stands for."""
        account, before = self.account, self.account.version
        self._advance(by=by, now=now, cause=cause)
        account.engage("call", now=at)
        if self.kind == self.Kind.UNKNOWN:
            self._ask("Say which call was held, and move the account", by=by, now=now)
            return Marked(True, stayed="Its kind is not known, so a task asks for the move.")
        if account.version == before and self.kind in self.MOVES:
            return Marked(True, stayed=f"The account stays in “{account.stage_label}”.")
        return Marked(True, moved=self.transition)

    def _advance(self, *, by: User | None, now: datetime, cause: str) -> None:
        """Move the account as a held call asks, and on where the next call was said to be held before this one."""
        for call in (self, *self._later_held()):
            source, target = self.MOVES.get(call.kind, (None, Stage.OUTSIDE))
            if self.account.stage != source:
                continue
            held = f"{call.get_kind_display()} held on {Policy.at(now).day_of(call.starts_at)}"
            try:
                call.transition = self.account.move(target, by=by, now=now, cause=cause, reason=held)
            except MoveError:
                return
            call.save(update_fields=["transition"])

    def _later_held(self) -> models.QuerySet[Call]:
        held = Call.objects.filter(account=self.account_id, status=self.Status.HELD)
        return held.filter(starts_at__gt=self.starts_at, transition=None).order_by("starts_at", "pk")

    def _take_back(self, *, by: User | None, now: datetime) -> str:
        """Undo what the status it has now brought about; returns why the account stays where it is, if it does."""
        kept = ""
        for task in self.account.tasks.open().filter(cause=self._cause):
            task.drop(by=by, now=now)
        if self.transition_id is not None:
            kept = self._undo(self.transition_id, by=by, now=now)
        elif self.status == self.Status.HELD:
            mine = type(self.account)._base_manager.filter(pk=self.account_id, engaged_via="call")
            mine.filter(engaged_at=self.marked_at).update(engaged_at=None, engaged_via="")
        self.transition = None
        return kept

    def _undo(self, transition_id: int, *, by: User | None, now: datetime) -> str:
        """Undo the move that followed, where a person may; returns why the account stays, if it does."""
        try:
            if by is None:
                raise Refused("Only a person undoes a move.")
            self.account.undo(by=by, now=now, transition_id=transition_id)
        except MoveError as error:
            self.account.refresh_from_db()
            return f"The account stays in “{self.account.stage_label}”: {error.sentence}"
        return ""

    @property
    def _cause(self) -> str:
        return f"call:{self.pk}"

    def _ask(self, title: str, *, by: User | None, now: datetime) -> None:
        owner = self.account.owner
        self.account.add_task(
            title,
            Policy.at(now).today,
            by=by,
            now=now,
            assignee=owner if owner and owner.is_active else None,
            cause=self._cause,
        )


class CallHost(models.Model):
    """A colleague who takes a call."""

    call = models.ForeignKey(Call, models.DB_CASCADE, db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["call", "user"], name="call_host_once")]

    def __str__(self) -> str:
        return f"{self.user} on {self.call}"
