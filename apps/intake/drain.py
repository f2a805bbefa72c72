"""Applies what was told: one transaction an event, the account locked first, tries counted where a kill leaves them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import structlog
from django.db import connection, transaction

from apps.crm.enough import Enough, never
from apps.crm.fields import Unreadable
from apps.crm.models import Account
from apps.intake.doors import DOORS
from apps.intake.events import TRIES
from apps.intake.facts import Context, Fact, Ignored
from apps.intake.matching import NotFound
from apps.intake.models import Event
from apps.playbooks.engine import run
from apps.playbooks.registry import PLAYBOOKS

# Asking sixteen playbooks about hundreds of accounts costs little more than about one.
BATCH = 500

log = structlog.get_logger(__name__)


class _Taken(Exception):
    """Somebody else settled the event, or made its account known, while it was applied: nothing was written."""


def apply_due(*, now: datetime, enough: Enough = never) -> int:
    """Apply the events that are due, then run the playbooks of their accounts; how many were tried.

    An event that fails holds up no other and is tried again later. ``enough`` is asked before each.
    """
    tried = 0
    while batch := list(Event.objects.due(now)[:BATCH]):
        touched: set[int] = set()
        for event in batch:
            if enough():
                break
            if event.claim(now=now):
                tried += 1
                touched |= apply(event, now=now)
        if touched:
            run([*PLAYBOOKS], now=now, of=touched)
        if enough():
            break
    return tried


def apply(event: Event, *, now: datetime) -> set[int]:
    """Apply one event that was claimed; the ids of the accounts it changed. Never raises for the event."""
    if event.tries > TRIES:
        event.settle(Event.State.GIVEN_UP, "The worker died each time it was tried.", now=now)
        return set()
    try:
        with transaction.atomic():
            return _apply(event, now)
    except NotFound as nobody:
        _wait(event, nobody, now)
    except Unreadable as bad:
        event.settle(Event.State.FAILED, bad.sentence, now=now)
    except Ignored as nothing:
        event.settle(Event.State.IGNORED, nothing.sentence, now=now)
    except _Taken:
        pass
    except Exception as error:
        if not connection.is_usable():
            raise
        log.warning("event_failed", kept=event.pk, tries=event.tries, exc_info=error)
        event.fail(f"{type(error).__name__}: {error}"[:500].replace("\x00", ""), now=now)
    return set()


def facts_of(event: Event) -> list[Fact]:
    """What an event says. Raises ``Unreadable`` or ``Ignored``."""
    if not event.body:
        raise (
            Ignored("It is too old: its body was blanked.")
            if event.done_at
            else Unreadable("The body is empty.")
        )
    door = DOORS[event.provider]
    return door.read(event.type, door.parse(bytes(event.body)), event.received_at)


def _apply(event: Event, now: datetime) -> set[int]:
    context = Context(f"{event.provider}:{event.external_id}"[:300], f"event:{event.pk}", now)
    said: dict[Account, list[str]] = {}
    for fact in facts_of(event):
        for pk in [event.account_id] if event.account_id else fact.accounts(context):
            account = Account.objects.locked(pk)
            said.setdefault(account, []).append(fact.apply(account, context))
            if answered := [*fact.answers(account)]:
                Event.objects.wake(*answered, now=now)
    if not said:
        raise Ignored("It is about nobody who is known here.")
    if not event.finish(_sentence(said), next(iter(said)).pk, now=now):
        raise _Taken
    return {account.pk for account in said}


def _sentence(said: dict[Account, list[str]]) -> str:
    """What was done, account by account where it was done to several."""
    lines = {account: " ".join(filter(None, sentences)) for account, sentences in said.items()}
    return " ".join(line if len(lines) == 1 else f"{account.name}: {line}" for account, line in lines.items())


def _wait(event: Event, nobody: NotFound, now: datetime) -> None:
    """Let it wait for a person, unless its account became known at this very moment."""
    with suppress(_Taken), transaction.atomic():
        Event.objects.hold(nobody.subject)
        context = Context("", "", now)
        try:
            for fact in facts_of(event):
                fact.accounts(context)
        except NotFound as still:
            event.settle(still.state, still.sentence, now=now, subject=still.subject[:400])
        else:
            # Found after all: due again at once, this try not counted.
            Event.objects.filter(pk=event.pk, tries=event.tries).update(tries=event.tries - 1, due_at=now)
