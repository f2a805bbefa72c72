"""What other systems told us, as it was said: kept first, understood afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q

TRIES = 10
KEPT_FOR = timedelta(days=90)
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)


def backoff(tries: int) -> timedelta:
    """How long an event waits after this many tries."""
    return min(_FIRST_WAIT * 1.6 ** (tries - 1), _LONGEST_WAIT)


class EventQuerySet(models.QuerySet["Event"]):
    def keep(self, *, provider: str, external_id: str, type: str, body: bytes, now: datetime) -> bool:
        """Keep what was told; False when it was told before. Committed when this returns, outside a transaction."""
        row = self.model(
            provider=provider, external_id=external_id, type=type, body=body, received_at=now, due_at=now
        )
        before = self.filter(provider=provider, external_id=external_id)
        if before.exists():
            return False
        # The database decides who of several was first; the look above only saves a number of the sequence.
        self.bulk_create([row], ignore_conflicts=True)
        return True

    def due(self, now: datetime) -> EventQuerySet:
        """Those to be applied now, the oldest first."""
        return self.filter(due_at__lte=now).order_by("due_at", "pk")

    def in_the_way(self) -> EventQuerySet:
        """Those that wait for a person."""
        return self.filter(state__in=Event.FOR_A_PERSON)

    def waiting_for(self, *subjects: str) -> EventQuerySet:
        """Those that nobody could be found for, by what they were looked for by."""
        return self.filter(state__in=(Event.State.UNMATCHED, Event.State.AMBIGUOUS), subject__in=subjects)

    def again(self, *, now: datetime) -> int:
        """Have them applied anew, with all their tries ahead; returns how many."""
        return self.exclude(state__in=(Event.State.DONE,)).update(
            state=Event.State.WAITING, sentence="", tries=0, due_at=now, done_at=None
        )

    def forget(self, *, now: datetime) -> int:
        """Blank the bodies that were kept long enough; returns how many."""
        old = self.filter(received_at__lt=now - KEPT_FOR, due_at__isnull=True).exclude(body=b"")
        return old.update(body=b"")


class Event(models.Model):
    """An accepted message of another system. Once for each id; ``due_at`` is null when there is nothing left to do."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DONE = "done", "Done"
        IGNORED = "ignored", "Ignored"
        UNMATCHED = "unmatched", "Unmatched"
        AMBIGUOUS = "ambiguous", "Ambiguous"
        FAILED = "failed", "Failed"
        GIVEN_UP = "given_up", "Given up"

    FOR_A_PERSON = (State.UNMATCHED, State.AMBIGUOUS, State.FAILED, State.GIVEN_UP)

    provider = models.CharField(max_length=40)
    external_id = models.CharField(max_length=600)
    type = models.CharField(max_length=120, blank=True)
    body = models.BinaryField(blank=True)
    received_at = models.DateTimeField()
    account = models.ForeignKey(
        "crm.Account", models.DB_SET_NULL, null=True, blank=True, related_name="events"
    )
    subject = models.CharField(
        max_length=400,
        blank=True,
        help_text="What its account is looked for by, such as `email:a@b.example`.",
    )
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    sentence = models.TextField(blank=True, help_text="What became of it, in words.")
    tries = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["provider", "external_id"], name="event_once")]
        indexes = [
            models.Index(fields=["due_at", "id"], name="event_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["subject"], name="event_unmatched", condition=Q(state__in=["unmatched", "ambiguous"])
            ),
            models.Index(fields=["state", "-id"], name="event_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.type or 'event'} {self.external_id}"

    def claim(self, *, now: datetime) -> bool:
        """Take this try, counted for good whatever becomes of it; False when another took it."""
        mine = Event.objects.filter(pk=self.pk, tries=self.tries, due_at__lte=now)
        taken = mine.update(tries=F("tries") + 1, due_at=now + backoff(self.tries + 1))
        self.tries += taken
        return bool(taken)

    def settle(self, state: str, sentence: str, *, now: datetime, **also: Any) -> bool:
        """Say what became of the try that was claimed; False when somebody settled it meanwhile."""
        self.state, self.sentence, self.done_at = state, sentence, now
        mine = Event.objects.filter(pk=self.pk, tries=self.tries, due_at__isnull=False)
        return bool(mine.update(state=state, sentence=sentence, done_at=now, due_at=None, **also))

    def fail(self, sentence: str, *, now: datetime) -> None:
        """Keep why this try failed; the next comes when it is due, and after the last there is none."""
        if self.tries >= TRIES:
            self.settle(self.State.GIVEN_UP, sentence, now=now)
            return
        mine = Event.objects.filter(pk=self.pk, tries=self.tries, due_at__isnull=False)
        mine.update(state=self.State.FAILED, sentence=sentence)
