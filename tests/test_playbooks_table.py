"""Sales candidates, first bills, paid calls, customers who leave, stale risks, returned handoffs: each at its edges."""

from functools import partial

import pytest

from apps.crm.models import Account, Alert, Policy
from apps.crm.models.account import Plan
from apps.crm.pipeline import ONBOARDED, OPEN, STAGES, Stage
from apps.playbooks.due import due
from apps.playbooks.engine import named, run, skip
from apps.playbooks.models import Act, Switch
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import RaiseAlert
from tests.factories import NOW, account, days, in_days, snapshot, user
from tests.occasions import (
    A_MONTH_AGO,
    CANDIDATE,
    CHURN,
    FIRST,
    LATER,
    NAMES,
    NO_SHOW,
    RETURNED,
    ROUTING,
    STALE,
    S,
    acted_on,
    at_risk,
    at_zero,
    candidate,
    first_bill,
    paid_call_from,
    returned,
    with_bill,
    with_call,
    with_purchase,
    with_signal,
)

pytestmark = pytest.mark.django_db


def in_every(made, expected):
    """A case for each stage, and for outside."""
    return {f"in {stage.number}": (partial(made, stage), stage in expected) for stage in Stage}


CASES = {
    CANDIDATE: {
        **in_every(candidate, OPEN),
        "forecast a cent below": (lambda: candidate(forecast="1999.99"), False),
        "forecast a cent above": (lambda: candidate(forecast="2000.01"), True),
        "no forecast": (lambda: candidate(forecast=None), False),
        "extended": (lambda: candidate(extended_until=in_days(30)), True),
    },
    FIRST: {
        **in_every(first_bill, {stage for stage in OPEN if stage not in (S.NEW, S.PAID_CALL)}),
        "in 1, written to": (lambda: first_bill(S.NEW, last_outreach_at=NOW), True),
        "in 7 from outside": (lambda: with_bill(paid_call_from(S.OUTSIDE)), False),
        "in 7 from 1": (lambda: with_bill(paid_call_from(S.NEW)), False),
        "in 7 from 2": (lambda: with_bill(paid_call_from(S.INITIATED)), True),
        "forecast at the limit": (lambda: first_bill(forecast="1000"), False),
        "no forecast": (lambda: first_bill(forecast=None), False),
        "due today": (lambda: first_bill(due=0), False),
        "due yesterday": (lambda: first_bill(due=-1), True),
        "no due day, closed yesterday": (lambda: first_bill(due=None, ends=-1), True),
        "the first is paid": (lambda: first_bill(status="paid"), False),
        "others were paid before": (lambda: first_bill(bills_reported=1), False),
        "the first is void": (lambda: first_bill(status="void"), False),
        "the first is of nothing": (lambda: first_bill(amount="0"), False),
        "uncollectible": (lambda: first_bill(status="uncollectible"), True),
        "no bill": (lambda: account(S.INITIATED, forecast="1500"), False),
        "only the second fell due": (lambda: with_bill(first_bill(due=5, ends=-40), due=-1), False),
    },
    ROUTING: {
        **in_every(lambda stage: with_purchase(account(stage)), set(Stage)),
        "refunded": (lambda: with_purchase(account(), refunded_at=NOW), False),
        "nothing bought": (account, False),
        "bought long ago": (lambda: with_purchase(account(), bought_at=NOW - days(90)), True),
    },
    NO_SHOW: {
        **in_every(lambda stage: with_call(account(stage)), set(Stage)),
        **{
            status: (lambda status=status: with_call(account(), status), False)
            for status in ("booked", "held", "canceled")
        },
        "an intro call": (lambda: with_call(account(), kind="intro"), False),
        "of no known kind": (lambda: with_call(account(), kind=""), False),
        "not said when": (lambda: with_call(account(), marked=False), True),
        "booked again": (lambda: with_call(with_call(account()), "booked", days_ago=-3), False),
        "held since": (lambda: with_call(with_call(account(), days_ago=5), "held"), False),
        "held before": (lambda: with_call(with_call(account()), "held", days_ago=5), True),
        "booked again and cancelled": (
            lambda: with_call(with_call(account()), "canceled", days_ago=-3),
            True,
        ),
        "an intro call booked": (
            lambda: with_call(with_call(account()), "booked", days_ago=-3, kind="intro"),
            True,
        ),
    },
    CHURN: {
        **in_every(
            lambda stage: with_signal(account(stage, since=A_MONTH_AGO)),
            {stage for stage in STAGES if stage != S.CHURNED},
        ),
        "disqualified by Sales": (lambda: returned(S.INITIATED), False),
        "cancelled before it entered": (lambda: with_signal(account(S.NEW), days_ago=1), False),
        "cancelled, and billed since": (
            lambda: with_bill(with_signal(account(S.NEW, since=A_MONTH_AGO), days_ago=5), ends=30, starts=-5),
            False,
        ),
        "cancelled, last billed before": (
            lambda: with_bill(with_signal(account(S.NEW, since=A_MONTH_AGO), days_ago=5), ends=24, starts=-6),
            True,
        ),
        "120, then 0": (lambda: at_zero("120", "0"), True),
        "120, then a cent": (lambda: at_zero("120", "0.01"), False),
        "a cent, then 0": (lambda: at_zero("0.01", "0"), True),
        "0 from the start": (lambda: at_zero("0"), False),
        "0, then 0": (lambda: at_zero("120", "0", "0"), False),
        "120, 0, then 120": (lambda: at_zero("120", "0", "120"), False),
        "0 in a month that closes today": (lambda: at_zero("120", "0", ends=0), True),
        "0 in a month that closes tomorrow": (lambda: at_zero("120", "0", ends=1), False),
        "0 in a month closed 62 days ago": (lambda: at_zero("120", "0", ends=-62), True),
        "0 in a month closed 63 days ago": (lambda: at_zero("120", "0", ends=-63), False),
        "0 in a month closed 63 days ago, once cancelled": (
            lambda: with_signal(at_zero("120", "0", ends=-63), days_ago=301),
            False,
        ),
        "0, and a month that closes tomorrow is billed": (
            lambda: with_bill(at_zero("120", "0", ends=-29), "5", ends=1),
            False,
        ),
        "0 while on credit": (lambda: at_zero("120", "0", credit_use="0.01"), False),
        "0 with no credit used": (lambda: at_zero("120", "0", credit_use="0"), True),
        "0 before it entered": (lambda: at_zero("120", "0", since=NOW), False),
        "0 and churned": (lambda: at_zero("120", "0", stage=S.CHURNED), False),
        "0 and outside": (lambda: at_zero("120", "0", stage=S.OUTSIDE), False),
        "a draft of 0": (
            lambda: with_bill(at_zero("120", ends=-31), "0", status="draft"),
            False,
        ),
    },
    STALE: {
        **in_every(lambda stage: at_risk(stage=stage), {*OPEN, *ONBOARDED}),
        "medium": (lambda: at_risk("medium"), True),
        "low": (lambda: at_risk("low"), False),
        "not assessed": (lambda: at_risk(""), False),
        "never said when": (lambda: at_risk(confirmed=None), True),
        "confirmed the day before it renewed": (lambda: at_risk(confirmed=-21), True),
        "confirmed the day it renewed": (lambda: at_risk(confirmed=-20), False),
        "no renewal known": (lambda: at_risk(renews=None), False),
        "renews in more than a month": (lambda: at_risk(renews=31), False),
        "renews in a month": (lambda: at_risk(renews=30), True),
        "annual, confirmed within the year": (
            lambda: at_risk(plan=Plan.ANNUAL, contract_renewal_on=in_days(10), confirmed=-354),
            False,
        ),
        "annual, confirmed before": (
            lambda: at_risk(plan=Plan.ANNUAL, contract_renewal_on=in_days(10), confirmed=-356),
            True,
        ),
        "annual, no contract date": (lambda: at_risk(plan=Plan.ANNUAL), True),
    },
    RETURNED: {
        **in_every(returned, {S.SALES_HANDOFF}),
        "an AE": (lambda: returned(sales_contact_kind="AE"), False),
        "a contact by name": (lambda: returned(sales_contact_name="Ana"), False),
        "a contact by address": (lambda: returned(sales_contact_email="ana@sales.example"), False),
        "only referred": (lambda: account(S.SALES_HANDOFF), False),
        "cancelled": (lambda: with_signal(account(S.SALES_HANDOFF, since=A_MONTH_AGO)), False),
        "in an earlier time with us": (lambda: returned(days_ago=31), False),
    },
}


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
    before = snapshot(of)
    assert due(named(name), Policy.at(NOW)).filter(pk=of.pk).exists() is expected
    assert acted_on(name) == ([of.pk] if expected else [])
    assert acted_on(name, now=LATER) == []
    # Not only is it not acted on twice: it is not found again.
    assert not due(named(name), Policy.at(LATER)).exists()
    after = snapshot(of)
    made_here = (len(after["tasks"]) - len(before["tasks"]), len(after["alerts"]) - len(before["alerts"]))
    one = (0, 1) if isinstance(PLAYBOOKS[name].then, RaiseAlert) else (1, 0)
    assert made_here == (one if expected else (0, 0))
    kept = {"tasks": 0, "alerts": 0, "next_task_on": 0, "open_alerts": 0, "touched": 0}
    assert after | kept == before | kept


@pytest.mark.parametrize("name", NAMES)
def test_it_waits_while_paused_for_a_release_and_for_a_person(name):
    of = next(made for made, expected in CASES[name].values() if expected)()
    Switch.objects.turn(name, paused=True, by=user("lead"), now=NOW)
    assert acted_on(name) == []
    Switch.objects.turn(name, paused=False, by=user("lead"), now=NOW)
    Account.objects.filter(pk=of.pk).update(quarantine="3. Onboarded")
    assert acted_on(name, held=True) == []
    Account.objects.filter(pk=of.pk).update(quarantine="", held_by="import:1")
    assert acted_on(name) == []
    assert acted_on(name, held=True) == [of.pk]


@pytest.mark.parametrize("name", NAMES)
def test_a_skipped_account_is_left_alone(name):
    of = next(made for made, expected in CASES[name].values() if expected)()
    assert skip(named(name), of, by=user("lead"), now=NOW) is True
    before = snapshot(of)
    assert acted_on(name, held=True) == []
    assert snapshot(of) == before


def test_everything_run_again_and_after_three_days_of_silence_changes_nothing_more():
    of = [made() for cases in CASES.values() for made, _ in cases.values()]
    run([*PLAYBOOKS], now=NOW)
    before = [snapshot(one) for one in of]
    run([*PLAYBOOKS], now=LATER)
    assert [snapshot(one) for one in of] == before
    run([*PLAYBOOKS], now=NOW + days(3))
    acts = list(Act.objects.values_list("account", "playbook", "occasion"))
    assert len(acts) == len(set(acts)) > 60
    alerts = list(Alert.objects.values_list("account", "kind", "subject"))
    assert len(alerts) == len(set(alerts))
