"""What other systems told us, as it was said: kept first, understood afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import OperationalError, connection, models
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Length

from apps.crm.models import User

TRIES = 10
# What is due is applied within seconds: later than this, or more than so many, and the worker does not keep up.
LATE_AFTER = timedelta(minutes=5)
TOO_MANY = 1000
KEPT_FOR = timedelta(days=90)
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)


# Doors whose name is not written as any other word is.
_DOORS = {"mail/mailersend": "MailerSend"}


def door_name(provider: str) -> str:
    """A door as people call it, by its key."""
    return _DOORS.get(provider, provider.removeprefix("mail/").capitalize())


def backoff(tries: int) -> timedelta:
    """How long an event waits after this many tries."""
    return min(_FIRST_WAIT * 1.6 ** (tries - 1), _LONGEST_WAIT)


# One statement is one way to the database and back. The unique key decides who of several was first; the look before
# only saves a number of the sequence.
_KEEP = """
    INSERT INTO intake_event
        (provider, external_id, type, body, received_at, due_at, state, sentence, subject, tries)
    SELECT %(provider)s, %(external_id)s, %(type)s, %(body)s, %(now)s, %(now)s, 'waiting', '', '', 0
    WHERE NOT EXISTS (
        SELECT FROM intake_event WHERE provider = %(provider)s AND external_id = %(external_id)s
    )
    ON CONFLICT DO NOTHING
"""


# The way of every event, written out: Django takes longer to write them than the database to carry them out.
_CLAIM = """
    UPDATE intake_event SET tries = tries + 1, due_at = %s WHERE id = %s AND tries = %s AND due_at <= %s
"""
_DONE = """
    UPDATE intake_event
    SET state = 'done', sentence = %s, done_at = %s, due_at = NULL, account_id = %s, subject = ''
    WHERE id = %s AND tries = %s AND due_at IS NOT NULL
"""
# In two statements, so that the second sees what was committed while the first waited.
_HOLD = "SELECT pg_advisory_xact_lock(hashtextextended('event:' || subject, 0)) FROM unnest(%s::text[]) AS subject"
_WAKE = """
    UPDATE intake_event SET state = 'waiting', sentence = '', tries = 0, due_at = %s, done_at = NULL
    WHERE state IN ('unmatched', 'ambiguous') AND subject = ANY(%s) AND body <> ''
"""


def _execute(statement: str, *values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


class EventQuerySet(models.QuerySet["Event"]):
    def keep(self, *, provider: str, external_id: str, type: str, body: bytes, now: datetime) -> bool:
        """Keep what was told; False when it was told before. Committed when this returns, outside a transaction.

        It may be said twice, so a connection that died is found by it, not by a question before it.
        """
        said: dict[str, Any] = {
            "provider": provider,
            "external_id": external_id,
            "type": type,
            "body": body,
            "now": now,
        }
        connection.health_check_done = True  # type: ignore[attr-defined]
        try:
            return self._keep(said)
        except OperationalError:
            if connection.in_atomic_block or connection.is_usable():
                raise
            connection.close()
            return self._keep(said)

    def _keep(self, said: dict[str, Any]) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, said)
            return bool(cursor.rowcount)

    def due(self, now: datetime) -> EventQuerySet:
        """Those to be applied now, the oldest first."""
        return self.filter(due_at__lte=now).order_by("due_at", "pk")

    def in_the_way(self) -> EventQuerySet:
        """Those that wait for a person."""
        return self.filter(state__in=Event.FOR_A_PERSON)

    def late(self, now: datetime | Combinable) -> EventQuerySet:
        """Those that should have been applied long ago."""
        return self.filter(due_at__lt=now - LATE_AFTER)

    def too_many(self, now: datetime | Combinable) -> EventQuerySet:
        """One of those that are due, where more are due than a worker that keeps up would leave; else none."""
        due = self.filter(due_at__lte=now).order_by()
        return self.filter(pk__in=due.values("pk")[TOO_MANY : TOO_MANY + 1])

    def sized(self) -> EventQuerySet:
        """With how many bytes the body of each has, as ``size``."""
        return self.annotate(size=Length("body"))

    def light(self) -> EventQuerySet:
        """With their sizes and without the bodies, which may be large."""
        return self.sized().defer("body")

    def waiting_for(self, *subjects: str) -> EventQuerySet:
        """Those that nobody could be found for, by what they were looked for by."""
        return self.filter(state__in=Event.OF_NOBODY, subject__in=subjects)

    def hold(self, *subjects: str) -> None:
        """Until the end of the transaction nobody else gives up looking for these, or finds them."""
        _execute(_HOLD, sorted(subjects))

    def wake(self, *subjects: str, now: datetime) -> None:
        """Have those applied anew that looked for these in vain; held until the end of the transaction."""
        _execute(f"{_HOLD}; {_WAKE}", sorted(subjects), now, [*subjects])

    def again(self, *, now: datetime, **also: Any) -> int:
        """Have them applied anew, with all their tries ahead; returns how many. Without a body nothing can be."""
        return (
            self.exclude(state=Event.State.DONE)
            .exclude(body=b"")
            .update(state=Event.State.WAITING, sentence="", tries=0, due_at=now, done_at=None, **also)
        )

    def retry(self, *, by: User, now: datetime) -> int:
        """Have those applied anew that somebody looked at, unless they are on their way by themselves already."""
        return self.exclude(state=Event.State.WAITING).again(now=now, by=by)

    def ignore(self, word: str, *, by: User, now: datetime) -> int:
        """Put those aside that wait for a person, who says why; returns how many."""
        return self.in_the_way().update(
            state=Event.State.IGNORED, sentence=word, by=by, due_at=None, done_at=now
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

    OF_NOBODY = (State.UNMATCHED, State.AMBIGUOUS)
    FOR_A_PERSON = (*OF_NOBODY, State.FAILED, State.GIVEN_UP)

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
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who last retried, linked or ignored it.",
    )
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    sentence = models.TextField(blank=True, help_text="What became of it, in words.")
    tries = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = EventQuerySet.as_manager()
    # How many bytes the body has; only where ``sized`` was asked for.
    size: int

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

    @property
    def door(self) -> str:
        """Who told it, as people call them."""
        return door_name(self.provider)

    def is_late(self, now: datetime) -> bool:
        """Whether it should have been applied long ago."""
        return self.due_at is not None and self.due_at < now - LATE_AFTER

    @property
    def can_be_linked(self) -> bool:
        """Whether a person can say whose it is. What is said of a call or an order waits for that instead."""
        return self.state in self.OF_NOBODY and not self.subject.startswith(("call:", "order:"))

    def claim(self, *, now: datetime) -> bool:
        """Take this try, counted for good whatever becomes of it; False when another took it."""
        taken = _execute(_CLAIM, now + backoff(self.tries + 1), self.pk, self.tries, now)
        self.tries += taken
        return bool(taken)

    def finish(self, sentence: str, account: int, *, now: datetime) -> bool:
        """Say what the try that was claimed has done, to this account; False when somebody settled it meanwhile."""
        return bool(_execute(_DONE, sentence, now, account, self.pk, self.tries))

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
