"""Saying whose an event is that found nobody: who might be meant, and what is remembered of the answer."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from apps.crm.fields import Unreadable
from apps.crm.models import Account, Contact, Erasure, User
from apps.intake.drain import facts_of
from apps.intake.facts import Ignored
from apps.intake.mailboxes import MAILBOXES
from apps.intake.matching import Who
from apps.intake.models import Event

SHOWN = 12


def link(event: Event, account: Account, *, by: User, now: datetime) -> int:
    """Say whose an event is; how many are applied anew, it and others like it. 0 where somebody was first.

    What it was looked for by is kept on the account where that is safe, so that the next finds it by itself.
    """
    with transaction.atomic():
        account.lock()
        mine = Event.objects.filter(pk=event.pk, state__in=Event.OF_NOBODY)
        if not (event.can_be_linked and mine.again(now=now, by=by, account=account)):
            return 0
        if not _remember(event.subject, account):
            return 1
        return 1 + int(Event.objects.waiting_for(event.subject).exclude(pk=event.pk).again(now=now))


def why_not_remembered(subject: str) -> str:
    """Why the next event like this will not find the account that is chosen now; empty where it will."""
    kind, _, value = subject.partition(":")
    if kind not in ("email", "customer"):
        return "This answer holds for this event alone."
    if kind == "email" and User.objects.filter(email__iexact=value).exists():
        return f"{value} is a colleague’s address, so it is not remembered."
    if kind == "email" and Erasure.objects.of_person(value):
        return "This person was erased on request, so they are not remembered."
    if kind == "email" and Contact.objects.filter(email=value).exists():
        return f"{value} is a contact of other accounts, so it is not remembered."
    return ""


def candidates(event: Event, text: str) -> list[Account]:
    """Accounts that might be meant: those that a search finds, or else those that the event's own words suggest."""
    if text.strip():
        return list(Account.objects.matching(text).order_by("name")[:SHOWN])
    email = _email(event)
    domain = email.rpartition("@")[2]
    if not domain or domain in MAILBOXES:
        return list(Account.objects.filter(contacts__email=email).distinct()[:SHOWN]) if email else []
    near = Q(contacts__email=email) | Q(domain=domain)
    found = list(Account.objects.filter(near).distinct().order_by("name")[:SHOWN])
    return found or list(Account.objects.matching(_name_in(domain)).order_by("name")[:SHOWN])


def _email(event: Event) -> str:
    """The address that an event names, if any."""
    kind, _, value = event.subject.partition(":")
    if kind == "email":
        return value
    with suppress(Unreadable, Ignored):
        said = [getattr(fact, "who", Who()) for fact in facts_of(event)]
        return next((who.email for who in said if who.email), "")
    return ""


def _name_in(domain: str) -> str:
    """What of a domain is most likely the company's name: the longest part before the last."""
    return max(domain.split(".")[:-1], key=len, default=domain)


def _remember(subject: str, account: Account) -> bool:
    """Keep on the account what it was looked for by; False where that would mislead the next event, or helps none."""
    if why_not_remembered(subject):
        return False
    kind, _, value = subject.partition(":")
    if kind == "email":
        Contact.objects.get_or_create(account=account, email=value)
        return True
    free = Account.objects.filter(pk=account.pk, stripe_customer_id=None)
    known = Account.objects.filter(stripe_customer_id=value)
    return not known.exists() and bool(free.update(stripe_customer_id=value))
