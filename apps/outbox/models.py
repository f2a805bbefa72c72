"""What leaves the building: messages, and the gates they leave by.

A message is written in the transaction that causes it, under a key that makes a repeat the same message. It waits
until it is sent, held back by a guard, or given up; ``reference`` goes out with every try of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q

from apps.crm.models import User
from apps.outbox.inert import inert, one_line
from config.celery import ring

SLACK, MAIL = "slack", "mail"
CHANNELS = {SLACK: "Slack", MAIL: "Mail"}
# Mail that nobody wrote by hand and that goes to a customer has a gate of its own, which a lead can shut.
AUTOMATIC = "automatic"
GATES = {**CHANNELS, AUTOMATIC: "Automatic mail to customers"}

# The job that sends by a channel, which reads these rows and so stands further on.
SENDER = "apps.outbox.jobs.send"
MOST_TRIES = 10
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
# What one try may take at most; a sender that is gone for longer left its message to the others.
LEASE = timedelta(seconds=50)

_OPEN = Q(sent_at__isnull=True, held_at__isnull=True, failed_at__isnull=True)


def backoff(tries: int, *, first: timedelta = FIRST_WAIT, most: timedelta = LONGEST_WAIT) -> timedelta:
    """How long to wait after so many tries in vain."""
    return min(first * 1.6 ** min(tries - 1, 50), most)


class MessageQuerySet(models.QuerySet[Any]):
    def write(self, messages: Iterable[Message]) -> list[Message]:
        """Keep these messages, those whose key is there already left out, and return the new ones.

        To be called in the transaction that causes them; they leave soon after it commits.
        """
        given: dict[uuid.UUID, Any] = {message.reference: message for message in messages}
        for message in given.values():
            message.subject, message.text = one_line(message.subject), inert(message.text)
        self.bulk_create(given.values(), ignore_conflicts=True)
        kept = dict(self.filter(reference__in=given).values_list("reference", "pk"))
        for reference, pk in kept.items():
            given[reference].pk = pk
        new = [message for reference, message in given.items() if reference in kept]
        for channel in sorted({message.channel for message in new}):
            transaction.on_commit(partial(ring, SENDER, channel), robust=True)
        return new

    def waiting(self) -> MessageQuerySet:
        """Neither sent, nor held back, nor given up."""
        return self.filter(_OPEN)

    def sent(self) -> MessageQuerySet:
        return self.filter(sent_at__isnull=False)

    def held(self) -> MessageQuerySet:
        return self.filter(held_at__isnull=False)

    def failed(self) -> MessageQuerySet:
        return self.filter(failed_at__isnull=False)

    def due(self, now: datetime) -> MessageQuerySet:
        """Waiting, with their time come, in nobody's hands, and with none before them that must leave first."""
        before = Message.objects.waiting().filter(
            Q(due_at__lte=now) | Q(tries__gt=0),
            channel=OuterRef("channel"),
            account=OuterRef("account"),
            to=OuterRef("to"),
            pk__lt=OuterRef("pk"),
        )
        free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
        return self.waiting().filter(free, ~Exists(before), due_at__lte=now).order_by("due_at", "pk")


class Message(models.Model):
    """One message to Slack or to one mail address."""

    key = models.CharField(max_length=400, unique=True, help_text="What makes a repeat the same message.")
    reference = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    channel = models.CharField(max_length=8, choices=CHANNELS)
    kind = models.CharField(max_length=40, help_text="What caused it, such as a playbook's name.")
    # The index that keeps the order begins with it.
    account = models.ForeignKey(
        "crm.Account", models.DB_CASCADE, null=True, blank=True, related_name="messages", db_index=False
    )
    outreach = models.ForeignKey(
        "crm.Outreach",
        models.DB_CASCADE,
        null=True,
        blank=True,
        related_name="messages",
        help_text="What a colleague wrote by hand, and this takes to one of those it is for.",
    )
    to = models.CharField(max_length=254, blank=True, help_text="A mail address; empty for Slack's channel.")
    subject = models.TextField()
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)
    automatic = models.BooleanField(default=False, help_text="The send guards are asked before it leaves.")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Not before this; each try in vain puts it off.")
    until = models.DateTimeField(
        null=True, blank=True, help_text="Not after this: what it says holds no longer then."
    )
    claimed_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    tried_from = models.DateTimeField(null=True, blank=True, help_text="When it was first tried.")
    sent_at = models.DateTimeField(null=True, blank=True)
    kept_here = models.BooleanField(default=False, help_text="In development nothing leaves.")
    held_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    because = models.TextField(blank=True, help_text="Why it was held back, or what the last try came to.")

    objects: ClassVar[Any] = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(channel__in=CHANNELS), name="message_of_known_channel"),
            models.CheckConstraint(
                condition=Q(channel=MAIL) & ~Q(to="") | Q(channel=SLACK, to=""), name="message_has_an_address"
            ),
            models.CheckConstraint(
                condition=Q(automatic=False) | Q(channel=MAIL, account__isnull=False),
                name="message_automatic_is_mail_of_an_account",
            ),
            models.CheckConstraint(
                condition=_OPEN
                | Q(sent_at__isnull=False, held_at__isnull=True, failed_at__isnull=True)
                | Q(sent_at__isnull=True, held_at__isnull=False, failed_at__isnull=True)
                | Q(sent_at__isnull=True, held_at__isnull=True, failed_at__isnull=False),
                name="message_ends_once",
            ),
        ]
        indexes = [
            models.Index(fields=["channel", "due_at", "id"], name="message_due", condition=_OPEN),
            models.Index(fields=["account", "channel", "to", "id"], name="message_in_order", condition=_OPEN),
            models.Index(fields=["account", "-id"], name="message_of_account"),
            models.Index(
                fields=["to", "sent_at"], name="message_automatic_sent", condition=Q(automatic=True)
            ),
            models.Index(fields=["-id"], name="message_sent", condition=Q(sent_at__isnull=False)),
            models.Index(fields=["-id"], name="message_held", condition=Q(held_at__isnull=False)),
            models.Index(fields=["-id"], name="message_failed", condition=Q(failed_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.subject

    @classmethod
    def slack(cls, key: str, *, kind: str, subject: str, now: datetime, **more: Any) -> Message:
        """A message to the team's Slack channel, not kept yet; ``more``: text, account_id, due_at."""
        return cls(
            key=key, channel=SLACK, kind=kind, subject=subject, created_at=now, **{"due_at": now} | more
        )

    @classmethod
    def mail(cls, key: str, *, to: str, kind: str, subject: str, now: datetime, **more: Any) -> Message:
        """A mail to one address, not kept yet; ``more``: text and html, account_id, automatic, due_at, until."""
        made = cls(
            key=key, channel=MAIL, kind=kind, subject=subject, created_at=now, **{"due_at": now} | more
        )
        made.to = to.lower()
        return made

    @property
    def is_tried(self) -> bool:
        """Whether a sender has had it: it may have left."""
        return bool(self.sent_at or self.tries)

    def retry(self, *, now: datetime) -> bool:
        """Have a message that was held back or given up wait again; False when it is neither, or was taken back."""
        ended = Message.objects.filter(Q(held_at__isnull=False) | Q(failed_at__isnull=False), pk=self.pk)
        ended = ended.filter(Q(outreach=None) | Q(outreach__withdrawn_at=None))
        return bool(
            ended.update(
                held_at=None,
                failed_at=None,
                because="",
                tries=0,
                tried_from=None,
                due_at=now,
                claimed_until=None,
            )
        )


class GateQuerySet(models.QuerySet[Any]):
    def locked(self, name: str) -> Gate:
        """The gate, held against every other sender until the transaction ends."""
        gate = self.select_for_update().filter(name=name).first()
        if gate is None:
            self.bulk_create([self.model(name=name)], ignore_conflicts=True)
            gate = self.select_for_update().get(name=name)
        return gate

    def shut(self) -> GateQuerySet:
        return self.filter(shut_at__isnull=False)

    def dead(self) -> GateQuerySet:
        """Shut by themselves, because what is behind them does not take messages any more."""
        return self.shut().filter(by__isnull=True)

    def turn(self, name: str, *, shut: bool, by: User | None, now: datetime, because: str = "") -> bool:
        """Shut a gate or open it again; False when it is so already."""
        with transaction.atomic():
            gate = self.locked(name)
            if bool(gate.shut_at) == shut:
                return False
            gate.shut_at, gate.because, gate.by = (now, because, by) if shut else (None, "", by)
            gate.not_before, gate.failures = None, 0
            gate.save(update_fields=["shut_at", "because", "by", "not_before", "failures"])
        return True


class Gate(models.Model):
    """What messages leave by: a channel, or the one that automatic mail passes besides. No row: open, never used."""

    name = models.CharField(max_length=10, unique=True, choices=GATES)
    shut_at = models.DateTimeField(null=True, blank=True)
    because = models.TextField(blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who turned it last; nobody: it shut by itself.",
    )
    not_before = models.DateTimeField(null=True, blank=True, help_text="The next message may leave then.")
    failures = models.PositiveIntegerField(
        default=0, help_text="Tries in a row that it was no message's fault."
    )
    worked_at = models.DateTimeField(null=True, blank=True, help_text="When a message last left by it.")

    objects: ClassVar[Any] = GateQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(name__in=GATES), name="gate_is_known")]

    def __str__(self) -> str:
        return GATES[self.name]
