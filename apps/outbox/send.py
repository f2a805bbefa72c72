"""Sends what is due: claim one message, send it outside of any transaction, keep what came of it.

Whoever claims holds the channel's gate for those milliseconds, so that pace, cap and guards are exact however many
senders there are. A sender that is killed leaves its message to the others once its lease is over; what it may have
sent already goes out again under the same reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from apps.crm.enough import Enough, never
from apps.crm.models import Policy
from apps.outbox import mail, slack
from apps.outbox.guards import automatic_may_leave, held_because
from apps.outbox.models import LEASE, MAIL, MOST_TRIES, SLACK, Gate, Message, backoff
from apps.outbox.wire import Blame, NotSent

Clock = Callable[[], datetime]

AT_ONCE = timedelta(0)
# A channel that is not well is tried ever less often, until then.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=5)
# A sender waits for its turn this long; what takes longer is the next sweep's.
PATIENCE = timedelta(seconds=2)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Way:
    """How a channel sends: the setting it needs, and how far apart its messages leave."""

    setting: str
    send: Callable[[Message], None]
    pace: timedelta = AT_ONCE

    @property
    def is_set_up(self) -> bool:
        return bool(getattr(settings, self.setting))


WAYS = {
    SLACK: Way("SLACK_WEBHOOK_URL", slack.send, pace=timedelta(seconds=1)),
    MAIL: Way("EMAIL_URL", mail.send),
}


def drain(channel: str, *, clock: Clock, enough: Enough = never) -> int:
    """Send what is due by a channel until nothing is, or it asks for patience. Returns how many messages were tried."""
    tried = 0
    while not enough():
        message, wait = _claim(channel, now=clock())
        if message is not None:
            _keep(message, _attempt(message), now=clock())
            tried += 1
        elif wait is None or wait > PATIENCE:
            break
        else:
            time.sleep(wait.total_seconds())
    return tried


def _claim(channel: str, *, now: datetime) -> tuple[Message | None, timedelta | None]:
    """Take the next message that is due; else say how long to wait before asking again, None if nothing is due."""
    with transaction.atomic():
        gate = Gate.objects.locked(channel)
        message = None if gate.shut_at else _next(channel, now)
        if message is None:
            return None, None
        if gate.not_before is not None and gate.not_before > now:
            return None, gate.not_before - now
        if not _may_leave(message, now):
            return None, AT_ONCE
        message.tries += 1
        message.tried_from = message.tried_from or now
        message.claimed_until = now + LEASE
        message.save(update_fields=["tries", "tried_from", "claimed_until"])
        gate.not_before = now + (WAYS[channel].pace if WAYS[channel].is_set_up else AT_ONCE)
        gate.save(update_fields=["not_before"])
        return message, None


def _next(channel: str, now: datetime) -> Message | None:
    due = Message.objects.due(now).filter(channel=channel)
    if channel == MAIL and not automatic_may_leave(Policy.at(now)):
        due = due.exclude(automatic=True)
    found: Message | None = due.select_for_update(of=("self",), skip_locked=True).first()
    return found


def _may_leave(message: Message, now: datetime) -> bool:
    """Whether to try it; else it is held back or given up, and says why."""
    way = WAYS[message.channel]
    if message.tries >= MOST_TRIES and message.claimed_until is not None:
        message.failed_at, message.because = now, f"Whoever sent it was gone {message.tries} times."
    elif not way.is_set_up and not settings.DEBUG:
        message.held_at, message.because = (
            now,
            f"{message.get_channel_display()} is not set up: {way.setting}.",
        )
    elif message.until is not None and now >= message.until:
        message.held_at, message.because = now, "Its day is over."
    elif (message.automatic or message.outreach_id) and (because := held_because(message, now=now)):
        message.held_at, message.because = now, because
    else:
        return True
    message.claimed_until = None
    message.save(update_fields=["failed_at", "held_at", "because", "claimed_until"])
    return False


def _attempt(message: Message) -> NotSent | None:
    """Send it, or where nothing leaves keep it here; what went wrong is returned."""
    way = WAYS[message.channel]
    try:
        if way.is_set_up:
            way.send(message)
    except NotSent as trouble:
        return trouble
    except Exception as error:
        log.warning("message_not_sent", message=message.pk, exc_info=error)
        return NotSent(f"{type(error).__name__}: {error}"[:300], Blame.MESSAGE)
    return None


def _keep(message: Message, trouble: NotSent | None, *, now: datetime) -> None:
    """Keep what came of a try, on the message and on the gate."""
    with transaction.atomic():
        gate = Gate.objects.locked(message.channel)
        if trouble is None:
            _keep_sent(message, gate, now)
        else:
            log.info("message_waits", message=message.pk, blame=trouble.blame.name, said=trouble.sentence)
            _keep_trouble(message, gate, trouble, now)
        gate.save(update_fields=["shut_at", "because", "by", "not_before", "failures", "worked_at"])


def _keep_sent(message: Message, gate: Gate, now: datetime) -> None:
    kept_here = not WAYS[message.channel].is_set_up
    # Also when another sender has it by now: it did leave.
    Message.objects.filter(pk=message.pk, sent_at__isnull=True).update(
        sent_at=now, held_at=None, failed_at=None, claimed_until=None, because="", kept_here=kept_here
    )
    gate.failures, gate.worked_at = 0, now


def _keep_trouble(message: Message, gate: Gate, trouble: NotSent, now: datetime) -> None:
    blame, asked = trouble.blame, timedelta(seconds=trouble.wait)
    changes: dict[str, Any] = {"because": trouble.sentence, "claimed_until": None}
    if blame in (Blame.CHANNEL_BUSY, Blame.CHANNEL_FOR_GOOD):
        changes |= {"tries": message.tries - 1}
    elif _is_given_up(message, gate, blame):
        changes |= {"failed_at": now}
    else:
        changes |= {"due_at": now + backoff(message.tries)}
    Message.objects.waiting().filter(pk=message.pk, claimed_until=message.claimed_until).update(**changes)
    if blame is Blame.CHANNEL_FOR_GOOD and gate.shut_at is None:
        gate.shut_at, gate.because, gate.by = now, trouble.sentence, None
    elif blame is Blame.CHANNEL_BUSY:
        gate.not_before = now + asked
    elif blame is Blame.CHANNEL:
        gate.failures += 1
        gate.not_before = now + backoff(gate.failures, first=FIRST_PAUSE, most=LONGEST_PAUSE)


def _is_given_up(message: Message, gate: Gate, blame: Blame) -> bool:
    """Ten tries in vain end it, unless the channel has let nothing else through since the first of them."""
    if blame is Blame.MESSAGE_FOR_GOOD:
        return True
    worked = (
        gate.worked_at is not None and message.tried_from is not None and gate.worked_at >= message.tried_from
    )
    return message.tries >= MOST_TRIES and (worked or blame is Blame.MESSAGE)
