"""The playbooks on entry, outreach and bills: each at its edges, paused, skipped, and as renewals move."""

from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import pytest

from apps.crm.models import Account, Bill, Policy
from apps.crm.models.account import Plan
from apps.crm.models.bill import ReportedBill
from apps.crm.pipeline import CLOSED, ONBOARDED, Stage
from apps.outbox.models import Message
from apps.playbooks.due import due
from apps.playbooks.engine import named, run, skip
from apps.playbooks.models import Switch
from tests.factories import NOW, account, days, in_days, user

pytestmark = pytest.mark.django_db

S = Stage
ENTER, LEAD, FINAL, MISSED, FAILED, LARGE = NAMES = (
    "enter-pipeline",
    "sales-lead",
    "final-outreach-due",
    "missed-outreach",
    "failed-payment",
    "large-invoice",
)
A_MONTH_AGO = NOW - days(30)
_serial = count(1)


def outside(forecast="100.01", **fields):
    """A new customer who pays as they go, forecast a cent above what makes them ours."""
    return account(**{"plan": "pay_as_you_go", "forecast": Decimal(forecast)} | fields)


def rolls_off(plan, within, forecast=None):
    return account(plan=plan, plan_ends_on=in_days(within), forecast=forecast and Decimal(forecast))


def here(stage=S.INITIATED, *, renews=5, since=A_MONTH_AGO, **fields):
    return account(stage, since=since, next_renewal_on=in_days(renews), **fields)


def annual(stage=S.INITIATED, *, contract, **fields):
    """On a yearly contract: the usage bill renews in five days, which does not count."""
    return here(stage, plan=Plan.ANNUAL, contract_renewal_on=in_days(contract), **fields)


def billed(stage=S.INITIATED, status="open", *, amount="120", due=10, attempts=0, **fields):
    of = account(stage, since=A_MONTH_AGO, **{"next_renewal_on": in_days(60)} | fields)
    told = ReportedBill(
        external_id=f"in_{next(_serial)}",
        account_id=of.pk,
        status=status,
        amount=Decimal(amount),
        reported_at=NOW,
        due_on=in_days(due),
        attempts=attempts,
    )
    Bill.objects.report([told])
    return of


failed, upcoming = partial(billed, attempts=1), partial(billed, status="upcoming", amount="1000")
new = partial(here, S.NEW, since=NOW)
large = partial(here, forecast=Decimal(1000))

CASES: dict[str, dict[str, tuple[Any, bool]]] = {
    ENTER: {
        "forecast a cent above the limit": (outside, True),
        "forecast at the limit": (lambda: outside("100"), False),
        "forecast a cent below what is Sales's": (lambda: outside("1999.99"), True),
        "forecast at what is Sales's": (lambda: outside("2000"), False),
        "three bills paid": (lambda: outside(bills_reported=3), True),
        "four bills paid": (lambda: outside(bills_reported=4), False),
        "yc, rolled off yesterday": (lambda: rolls_off("yc", -1), True),
        "yc, rolls off in 30 days": (lambda: rolls_off("yc", 30), True),
        "yc, rolls off in 31 days": (lambda: rolls_off("yc", 31), False),
        "startup, first bill of 500": (lambda: rolls_off("startup", 30, "500"), True),
        "startup, a cent less": (lambda: rolls_off("startup", 30, "499.99"), False),
        "startup, first bill of 1,500": (lambda: rolls_off("startup", 30, "1500"), True),
        "startup, a cent more": (lambda: rolls_off("startup", 30, "1500.01"), False),
        "startup, rolls off in 31 days": (lambda: rolls_off("startup", 31, "500"), False),
        "renews today": (lambda: outside(next_renewal_on=in_days(0)), True),
        "annual": (lambda: outside(plan=Plan.ANNUAL, contract_renewal_on=in_days(5)), False),
        "extended": (lambda: outside(extended_until=in_days(30)), True),
        **{
            f"in {stage.number}": (partial(outside, stage=stage), False)
            for stage in (S.NEW, S.INITIATED, *CLOSED)
        },
    },
    LEAD: {
        "forecast at the limit": (lambda: outside("2000"), True),
        "forecast a cent below": (lambda: outside("1999.99"), False),
        "a bill was paid": (lambda: outside("2000", bills_reported=1), False),
        "somebody of Sales has it": (lambda: outside("2000", sales_contact_kind="AE"), False),
        "told already": (lambda: outside("2000", referred_at=NOW), False),
        **{
            f"in {stage.number}": (partial(outside, "2000", stage=stage), False) for stage in (S.NEW, *CLOSED)
        },
    },
    FINAL: {
        "annual, the contract renews today": (lambda: annual(contract=0), True),
        "annual, the contract renews in 10 days": (lambda: annual(contract=10), True),
        "annual, the contract renews in 11 days": (lambda: annual(contract=11), False),
        "annual, extended to tomorrow": (lambda: annual(contract=5, extended_until=in_days(1)), False),
        "annual, extended to today": (lambda: annual(contract=5, extended_until=in_days(0)), True),
    },
    MISSED: {
        "annual, the contract renews today": (lambda: annual(S.NEW, contract=0, since=NOW), True),
        "annual, the contract renews in 10 days": (lambda: annual(S.NEW, contract=10, since=NOW), True),
        "annual, the contract renews in 11 days": (lambda: annual(S.NEW, contract=11, since=NOW), False),
        # To extend gives the customer more time, not us.
        "extended": (lambda: new(extended_until=in_days(30)), True),
    },
    FAILED: {
        "tried in vain": (failed, True),
        "not tried yet": (billed, False),
        "of a cent": (lambda: failed(amount="0.01"), True),
        "due tomorrow": (lambda: failed(due=1), True),
        "due long ago": (lambda: failed(due=-90), True),
        "extended": (lambda: failed(extended_until=in_days(30)), True),
        **{
            f"the bill is {status}": (partial(failed, status=status), False)
            for status in ("upcoming", "draft", "paid", "void", "uncollectible")
        },
        **{
            f"in {stage.number}": (partial(failed, stage), stage in ONBOARDED)
            for stage in (S.OUTSIDE, *CLOSED)
        },
    },
    LARGE: {
        **{
            f"a bill due in {due} days": (partial(upcoming, due=due), due in (0, 14))
            for due in (-1, 0, 14, 15)
        },
        "a bill a cent below": (lambda: upcoming(amount="999.99"), False),
        "a draft": (lambda: upcoming(status="draft"), True),
        "an open bill": (lambda: upcoming(status="open"), False),
        "extended": (lambda: upcoming(extended_until=in_days(30)), True),
        "annual, the contract renews in 14 days": (
            lambda: annual(contract=14, forecast=Decimal(1000)),
            True,
        ),
        "annual, the contract renews in 15 days": (
            lambda: annual(contract=15, forecast=Decimal(1000)),
            False,
        ),
        **{
            f"in {stage.number}": (partial(upcoming, stage), stage in ONBOARDED)
            for stage in (S.OUTSIDE, *CLOSED)
        },
    },
}


def left(of):
    """What a playbook leaves behind on an account."""
    of.refresh_from_db()
    tells = Message.objects.filter(account=of).count()
    return of.stage, of.version, of.referred_at, of.tasks.count(), of.alerts.count(), tells, of.acts.count()


def acted_on(name, **options):
    told = []
    run([name], **{"now": NOW, "tell": told.append} | options)
    return [line.account for line in told]


def one_for(name):
    return next(made for made, expected in CASES[name].values() if expected)()


@pytest.mark.parametrize(
    ("name", "made", "expected"),
    [
        pytest.param(name, made, expected, id=f"{name}, {case}")
        for name, cases in CASES.items()
        for case, (made, expected) in cases.items()
    ],
)
def test_a_playbook_is_for_exactly_these_and_acts_once(name, made, expected):
    of = made()
    before = left(of)
    assert acted_on(name) == ([of.pk] if expected else [])
    assert (left(of) != before) is expected
    before = left(of)
    assert acted_on(name, now=NOW + days(1) / 24) == []
    assert left(of) == before


@pytest.mark.parametrize("name", NAMES)
def test_it_waits_while_paused_for_a_release_and_for_a_person(name):
    of, lead = one_for(name), user("lead")
    before = left(of)
    Switch.objects.turn(name, paused=True, by=lead, now=NOW)
    assert acted_on(name) == []
    Switch.objects.turn(name, paused=False, by=lead, now=NOW)
    Account.objects.filter(pk=of.pk).update(quarantine="3. Onboarded")
    assert acted_on(name, held=True) == []
    Account.objects.filter(pk=of.pk).update(quarantine="", held_by="import:1")
    assert acted_on(name) == []
    assert left(of) == before
    assert acted_on(name, held=True) == [of.pk]


@pytest.mark.parametrize("name", NAMES)
def test_a_skipped_account_is_left_alone(name):
    of = one_for(name)
    skip(named(name), of, by=user("lead"), now=NOW)
    before = left(of)
    assert acted_on(name, held=True) == []
    assert left(of) == before


@pytest.mark.parametrize(("name", "made", "last"), [(FINAL, here, 10), (MISSED, new, 10), (LARGE, large, 14)])
def test_a_renewal_that_moves_takes_the_account_in_or_out_before_anything_was_done(name, made, last):
    earlier, later = made(renews=last + 20), made(renews=last)
    earlier.edit(now=NOW, next_renewal_on=in_days(last))
    later.edit(now=NOW, next_renewal_on=in_days(last + 1))
    assert list(due(named(name), Policy.at(NOW)).values_list("pk", flat=True)) == [earlier.pk]
    assert acted_on(name) == [earlier.pk]


@pytest.mark.parametrize(("by", "again"), [(-8, False), (-1, False), (14, False), (15, True)])
def test_a_large_bill_whose_renewal_moves_by_less_than_15_days_is_the_same(by, again):
    of = large(renews=9)
    assert acted_on(LARGE) == [of.pk]
    of.edit(now=NOW, next_renewal_on=in_days(9 + by))
    assert acted_on(LARGE, now=NOW + days(max(by, 0))) == ([of.pk] if again else [])


@pytest.mark.parametrize("by", [-5, -8])
def test_a_renewal_that_moves_earlier_is_still_the_one_that_a_person_settled(by):
    of = here(renews=9)
    assert acted_on(FINAL) == [of.pk]
    of.refresh_from_db()
    of.move(S.INTRO_CALL_COMPLETED, by=user(), now=NOW + days(1) / 24, cause="board")
    of.edit(now=NOW, next_renewal_on=in_days(9 + by))
    assert acted_on(FINAL, now=NOW + days(1)) == []
