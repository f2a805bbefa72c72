"""Closed accounts, and whether they were asked how it was."""

from datetime import timedelta
from itertools import count

from apps.crm.models import Contact
from apps.crm.pipeline import Stage
from apps.playbooks.engine import run
from tests.factories import NOW, account, days

S = Stage
ASK, LOW = "satisfaction-survey", "low-score"
YESTERDAY, LATER = NOW - days(1), NOW + timedelta(minutes=1)
_serial = count(1)


def with_contact(of, email=None, **fields):
    Contact.objects.create(account=of, email=email or f"ann-{next(_serial)}@acme.example", **fields)
    return of


def closed(stage=S.ONBOARDED_ENGAGED, *, since=YESTERDAY, **fields):
    """An account with one contact that was closed at a time."""
    return with_contact(account(stage, since=since, **fields), name="Ann Lee")


AN_INSTANT = timedelta(microseconds=1)


def acted_on(name, **options):
    told = []
    run([name], **{"now": NOW, "tell": told.append} | options)
    return [line.account for line in told]


def asked(of=None, *, at=NOW):
    """The survey of an account that was closed a day before."""
    of = of or closed(since=at - days(1))
    run([ASK], now=at)
    return of.surveys.get()
