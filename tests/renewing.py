"""Accounts about to renew, and what the two playbooks of the renewal make of them."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from apps.crm.models import Call, Policy
from apps.crm.models.account import Plan
from apps.crm.pipeline import CLOSED, OPEN, Stage
from apps.playbooks.engine import run
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.then import MoveWithTask
from tests.factories import NOW, TODAY, account, days, in_days

BOTH = FINAL, MISSED = ("final-outreach-due", "missed-outreach")
S = Stage
BEFORE_FINAL = (
    S.INITIATED,
    S.ENGAGED_EMAIL,
    S.CALL_BOOKED,
    S.INTRO_CALL_COMPLETED,
    S.SECOND_CALL_COMPLETED,
    S.HOMEWORK_OFFERED,
)
LATER = NOW + timedelta(minutes=1)

A_MONTH_AGO = NOW - days(30)


def written():
    """How many rows the engine has left behind."""
    return Run.objects.count() + Act.objects.count() + Switch.objects.count()


def here(stage=S.INITIATED, *, renews=5, since=A_MONTH_AGO, **fields):
    """An account in 2 that renews in 5 days, unless told otherwise."""
    fields.setdefault("next_renewal_on", None if renews is None else in_days(renews))
    return account(stage, since=since, **fields)


def with_call(of, starts_at, status="booked"):
    Call.objects.create(
        account=of, external_id=f"call-{of.pk}", status=status, starts_at=starts_at, ends_at=starts_at
    )
    return of


def at(offset, hour=15):
    """A moment on a day counted from today."""
    return datetime.combine(in_days(offset), datetime.min.time(), UTC) + timedelta(hours=hour)


def acted_on(names, **options):
    """The accounts a run acts on, by id."""
    told = []
    run(names, **{"now": NOW, "tell": told.append} | options)
    return [line.account for line in told]


def policy(**values):
    for name, value in values.items():
        Policy.objects.create(name=name, value=str(value), starts_on=TODAY - days(400))


def from_paid_call(before):
    made = account(before, since=NOW - days(30), next_renewal_on=in_days(5))
    made.move(S.PAID_CALL, by=None, now=NOW - days(2), cause="event:1")
    return made


FINAL_CASES = {
    **{f"in {stage.number}": (partial(here, stage), True) for stage in BEFORE_FINAL},
    **{
        f"in {stage.number}": (partial(here, stage), False)
        for stage in (S.OUTSIDE, S.NEW, S.AWAITING_FINAL_OUTREACH, *CLOSED)
    },
    "in 7 from the pipeline": (lambda: from_paid_call(S.ENGAGED_EMAIL), True),
    "in 7 from outside": (lambda: from_paid_call(S.OUTSIDE), False),
    "renewed yesterday": (lambda: here(renews=-1), False),
    "renews today": (lambda: here(renews=0), True),
    "renews in 10 days": (lambda: here(renews=10), True),
    "renews in 11 days": (lambda: here(renews=11), False),
    "no renewal known": (lambda: here(renews=None), False),
    "annual, the contract renews": (
        lambda: here(renews=90, plan=Plan.ANNUAL, contract_renewal_on=in_days(5)),
        True,
    ),
    "annual, only the usage bill renews": (
        lambda: here(renews=5, plan=Plan.ANNUAL, contract_renewal_on=in_days(90)),
        False,
    ),
    "annual, no contract date": (lambda: here(renews=5, plan=Plan.ANNUAL), True),
    "not annual, a contract date": (lambda: here(renews=90, contract_renewal_on=in_days(5)), False),
    "extended to yesterday": (lambda: here(extended_until=in_days(-1)), True),
    "extended to today": (lambda: here(extended_until=in_days(0)), True),
    "extended to tomorrow": (lambda: here(extended_until=in_days(1)), False),
    "a call yesterday": (lambda: with_call(here(), at(-1)), True),
    "a call earlier today": (lambda: with_call(here(), at(0, hour=1), "held"), False),
    "a call tomorrow": (lambda: with_call(here(), at(1)), False),
    "a call on the day of the renewal": (lambda: with_call(here(), at(5, hour=23)), False),
    "a call the day after the renewal": (lambda: with_call(here(), at(6, hour=0)), True),
    "a cancelled call tomorrow": (lambda: with_call(here(), at(1), "canceled"), True),
    "a missed call today": (lambda: with_call(here(), at(0, hour=1), "no_show"), True),
    "written to today": (lambda: here(last_outreach_at=NOW), True),
    "entered 2 today": (lambda: here(since=NOW), True),
}

MISSED_CASES = {
    **{
        f"in {stage.number}": (partial(here, stage), False)
        for stage in (S.OUTSIDE, *OPEN, *CLOSED)
        if stage != S.NEW
    },
    "entered 7 days ago": (lambda: here(S.NEW, renews=60, since=at(-7, hour=0)), False),
    "entered 8 days ago": (lambda: here(S.NEW, renews=60, since=at(-8, hour=23)), True),
    "renewed yesterday": (lambda: here(S.NEW, renews=-1, since=NOW), False),
    "renews today": (lambda: here(S.NEW, renews=0, since=NOW), True),
    "renews in 10 days": (lambda: here(S.NEW, renews=10, since=NOW), True),
    "renews in 11 days": (lambda: here(S.NEW, renews=11, since=NOW), False),
    "entered 8 days ago, no renewal known": (lambda: here(S.NEW, renews=None, since=NOW - days(8)), True),
}


@pytest.fixture
def failing(monkeypatch):
    """Have the final outreach fail on an account, or on those of a name."""
    bad = set()
    real = MoveWithTask.__call__

    def broken(self, batch):
        moved = real(self, batch)
        for row in batch.rows:
            if row.pk in bad or row.name in bad:
                raise ValueError(f"{row.name} is broken")
        return moved

    monkeypatch.setattr(MoveWithTask, "__call__", broken)

    def choose(of=None, name=None):
        bad.clear()
        bad.update({of.pk} if of else (), {name} if name else ())

    return choose
