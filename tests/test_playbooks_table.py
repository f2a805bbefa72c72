"""Sales candidates, first bills, paid calls, customers who leave, stale risks, returned handoffs: each at its edges."""

from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest

from apps.crm.models import Account, Alert, Bill, Call, Contact, Policy, Purchase, Signal, Task
from apps.crm.models.account import Plan
from apps.crm.models.alert import ALERT_KINDS
from apps.crm.pipeline import CLOSED, ONBOARDED, OPEN, STAGES, Stage
from apps.playbooks.due import due
from apps.playbooks.engine import named, run, skip
from apps.playbooks.models import Act, Switch
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import RaiseAlert
from tests.factories import NOW, TODAY, account, days, in_days, snapshot, user

pytestmark = pytest.mark.django_db

S = Stage
CANDIDATE, FIRST, ROUTING, NO_SHOW, CHURN, STALE, RETURNED = NAMES = (
    "sales-candidate",
    "first-bill-check",
    "paid-call-routing",
    "paid-call-no-show",
    "churn-signal",
    "payment-risk-stale",
    "handover-returned",
)
A_MONTH_AGO, LONG_AGO = NOW - days(30), NOW - days(300)
LATER = NOW + timedelta(minutes=1)
_serial = count(1)


def with_bill(of, amount="1200", *, due=-1, ends=None, status="open", starts=None):
    """An account with one more bill, due and closed on days counted from today."""
    ends = due if ends is None else ends
    Bill.objects.create(
        account=of,
        external_id=f"in_{next(_serial)}",
        amount=amount,
        status=status,
        due_on=None if due is None else in_days(due),
        period_start=in_days(ends - 30 if starts is None else starts),
        period_end=in_days(ends),
        reported_at=NOW,
    )
    Account.objects.filter(pk=of.pk).recount()
    return of


def with_purchase(of, order=None, **fields):
    Purchase.objects.create(
        account=of,
        external_id=order or f"order-{next(_serial)}",
        **{"amount": "300", "bought_at": NOW - days(1)} | fields,
    )
    return of


def with_call(of, status="no_show", *, days_ago=1, kind="consultation", marked=True):
    at = NOW - days(days_ago)
    Call.objects.create(
        account=of,
        external_id=f"call-{next(_serial)}",
        kind=kind,
        status=status,
        starts_at=at,
        ends_at=at,
        marked_at=at if marked else None,
    )
    return of


def with_signal(of, kind=Signal.Kind.SUBSCRIPTION_CANCELED, *, days_ago=1, **fields):
    event = f"event-{next(_serial)}"
    Signal.objects.create(account=of, kind=kind, external_id=event, at=NOW - days(days_ago), **fields)
    return of


def candidate(stage=S.INITIATED, forecast="2000", **fields):
    return account(stage, forecast=forecast, since=A_MONTH_AGO, **fields)


def first_bill(stage=S.INITIATED, *, forecast="1000.01", **bill):
    reported = bill.pop("bills_reported", 0)
    outreach = bill.pop("last_outreach_at", None)
    of = account(
        stage, forecast=forecast, bills_reported=reported, last_outreach_at=outreach, since=A_MONTH_AGO
    )
    return with_bill(of, **bill)


def paid_call_from(stage, **fields):
    of = account(stage, since=A_MONTH_AGO, forecast="1500", **fields)
    of.move(S.PAID_CALL, by=None, now=NOW - days(1), cause="event:1")
    return of


def at_zero(*amounts, stage=S.INITIATED, ends=-1, since=LONG_AGO, **fields):
    """An account with these monthly bills, the last of them closed on a day counted from today."""
    of = account(stage, since=since, **fields)
    for back, amount in enumerate(reversed(amounts)):
        with_bill(of, amount, status="paid", due=ends - 30 * back)
    return of


def at_risk(risk="high", *, confirmed=-30, renews=10, stage=S.ENGAGED_EMAIL, **fields):
    """At risk since a day counted from today; the renewal in 10 days was last on the 1st of the month, 20 days ago."""
    confirmed_at = None if confirmed is None else NOW + days(confirmed)
    fields.setdefault("next_renewal_on", None if renews is None else in_days(renews))
    return account(stage, payment_risk=risk, payment_risk_at=confirmed_at, **fields)


def returned(stage=S.SALES_HANDOFF, *, days_ago=1, since=A_MONTH_AGO, **fields):
    return with_signal(
        account(stage, since=since, **fields), Signal.Kind.SALES_DISQUALIFIED, days_ago=days_ago
    )


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


def acted_on(name, **options):
    told = []
    run([name], **{"now": NOW, "tell": told.append} | options)
    return [line.account for line in told]


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


def test_a_candidate_is_asked_about_once_an_entry():
    owner = user()
    of = candidate(S.NEW, owner=owner, forecast="2500")
    assert acted_on(CANDIDATE) == [of.pk]
    task = of.tasks.get()
    assert (task.title, task.due_on, task.assignee, task.urgent) == (
        "Consider a sales handoff",
        in_days(2),
        owner,
        False,
    )
    assert of.acts.get().because == "Forecast $2,500, at or above $2,000"
    for forecast in ("1500", "2600"):
        Account.objects.filter(pk=of.pk).update(forecast=forecast)
        assert acted_on(CANDIDATE, now=NOW + days(1)) == []
    of.move(S.SALES_HANDOFF, by=owner, now=NOW + days(2), cause="board", reason="large")
    of.move(S.NEW, by=owner, now=NOW + days(3), cause="board", reason="came back")
    assert acted_on(CANDIDATE, now=NOW + days(4)) == [of.pk]


def test_an_undone_move_is_no_other_entry():
    person = user()
    of = candidate(S.NEW)
    run([CANDIDATE], now=NOW)
    of.move(S.INITIATED, by=person, now=LATER, cause="board")
    of.undo(by=person, now=LATER)
    assert acted_on(CANDIDATE, now=NOW + days(1)) == []


def test_the_limits_are_the_teams_to_tune():
    Policy.objects.create(name="sales_candidate_from", value="3000", starts_on=TODAY)
    Policy.objects.create(name="first_bill_forecast", value="2000", starts_on=TODAY)
    Policy.objects.create(name="paid_call_silence_days", value="3", starts_on=TODAY)
    Policy.objects.create(name="churn_month_days", value="5", starts_on=TODAY)
    candidate(forecast="2999.99")
    first_bill(forecast="2000")
    at_zero("120", "0", ends=-6)
    silent = with_call(account(), days_ago=3)
    run(NAMES, now=NOW)
    assert list(Act.objects.values_list("account", "playbook")) == [(silent.pk, NO_SHOW)]
    assert silent.tasks.get().title == "Offer credits for the missed call"


def test_the_first_bill_is_checked_by_the_owner_tomorrow():
    of = first_bill(due=-3)
    run([FIRST], now=NOW)
    bill, task, act = of.bills.get(), of.tasks.get(), of.acts.get()
    assert (task.title, task.due_on) == ("Did the first bill come through?", in_days(1))
    assert act.occasion == f"bill:{bill.pk}"
    assert (
        act.because == f"The first bill {bill.external_id} was due 2026-11-18, 3 days ago; forecast $1,000.01"
    )


SALES: dict[str, Any] = {
    "sales_contact_kind": "CSM",
    "sales_contact_name": "Ana Lopez",
    "sales_contact_email": "Ana@sales.example",
}
ROUTES = {
    "a contact of Sales": (lambda: account(S.INITIATED, **SALES), "Have CSM Ana Lopez run the paid call"),
    "only an address": (
        lambda: account(sales_contact_email="ana@sales.example"),
        "Have ana@sales.example run the paid call",
    ),
    "ours": (lambda: account(S.ENGAGED_EMAIL), "Prioritise, and credit the price back"),
    "ours before it bought": (lambda: paid_call_from(S.NEW), "Prioritise, and credit the price back"),
    "outside": (account, "Prepare the paid call"),
    "outside before it bought": (lambda: paid_call_from(S.OUTSIDE), "Prepare the paid call"),
    "onboarded": (lambda: account(S.ONBOARDED_ENGAGED), "Prepare the paid call"),
    "with Sales, nobody named": (lambda: account(S.SALES_HANDOFF), "Prepare the paid call"),
}


@pytest.mark.parametrize(("made", "title"), ROUTES.values(), ids=ROUTES)
def test_a_purchase_goes_to_whom_it_belongs(made, title):
    owner = user()
    of = with_purchase(made(), "1001")
    of.edit(now=NOW, owner=owner)
    run([ROUTING], now=NOW)
    task, act = of.tasks.get(), of.acts.get()
    assert (task.title, task.urgent, task.due_on, task.assignee) == (title, True, in_days(1), owner)
    assert (act.occasion, act.because) == ("purchase:1001", "Bought a paid call for $300, order 1001")


@pytest.mark.parametrize("active", [True, False])
def test_somebody_of_sales_with_a_login_is_given_the_call(active):
    ana = user(email="ana@sales.example", is_active=active)
    of = with_purchase(account(**SALES))
    run([ROUTING], now=NOW)
    task = of.tasks.get()
    expected = ("Run the paid call", ana) if active else ("Have CSM Ana Lopez run the paid call", None)
    assert (task.title, task.assignee) == expected


def test_each_purchase_is_routed_and_one_in_another_currency_says_so():
    of = with_purchase(with_purchase(account(), "1"), "2", amount="250", currency="EUR")
    assert acted_on(ROUTING) == [of.pk, of.pk]
    assert sorted(act.because for act in of.acts.all()) == [
        "Bought a paid call for $300, order 1",
        "Bought a paid call for 250.00 EUR, order 2",
    ]
    assert of.tasks.count() == 2


@pytest.mark.parametrize(
    ("after", "replied", "credits"),
    [(13, None, False), (14, None, True), (14, -1, True), (14, 1, False), (17, None, True)],
)
def test_credits_are_offered_once_they_stayed_silent_for_two_weeks(after, replied, credits):
    of = with_call(account(), days_ago=0)
    run([NO_SHOW], now=NOW)
    if replied is not None:
        of.edit(now=NOW, last_reply_at=NOW + days(replied))
    for moment in (NOW + days(after), NOW + days(after + 1) if credits else NOW + days(after)):
        run([NO_SHOW], now=moment)
    titles = list(of.tasks.order_by("pk").values_list("title", flat=True))
    assert titles == ["Offer another time", *["Offer credits for the missed call"] * credits]
    call = of.calls.get()
    assert set(of.acts.values_list("occasion", flat=True)) == {
        f"call:{call.pk}",
        *[f"call:{call.pk}:silent"] * credits,
    }


def test_a_call_booked_meanwhile_takes_the_credits_off_the_table():
    of = with_call(account(), days_ago=0)
    run([NO_SHOW], now=NOW)
    with_call(of, "booked", days_ago=-20)
    assert acted_on(NO_SHOW, now=NOW + days(15)) == []


def test_a_churn_signal_says_why_and_proposes_the_move():
    canceled = with_signal(account(S.ENGAGED_EMAIL, since=A_MONTH_AGO), reason="too dear.")
    nothing = at_zero("120", "0")
    run([CHURN], now=NOW)
    assert canceled.alerts.get().text == (
        "Cancelled the subscription on 2026-11-20: too dear."
        " Ask them, and move the account to “6d. Churned” if they have left."
    )
    assert nothing.alerts.get().text == (
        "The month to 2026-11-20 came to $0, after $120."
        " Ask them, and move the account to “6d. Churned” if they have left."
    )
    assert {one.stage for one in Account.objects.all()} == {S.ENGAGED_EMAIL, S.INITIATED}


def test_a_churn_alert_closes_when_they_leave_and_is_open_again_after_an_undo():
    person = user()
    of = with_signal(account(S.ENGAGED_EMAIL, since=A_MONTH_AGO))
    run([CHURN], now=NOW)
    of.move(S.CHURNED, by=person, now=LATER, cause="board", reason="left")
    assert of.alerts.get().resolved_at == LATER
    of.undo(by=person, now=LATER)
    run([CHURN], now=NOW + days(1))
    of.refresh_from_db()
    assert ([alert.resolved_at for alert in of.alerts.all()], of.open_alerts) == ([None], 1)


@pytest.mark.parametrize(
    "made", [lambda: with_signal(account(S.NEW, since=A_MONTH_AGO)), lambda: at_zero("9", "0")]
)
@pytest.mark.parametrize(
    ("starts", "amount", "status", "closes"),
    [(-1, "5", "paid", True), (-1, "5", "draft", False), (-1, "0", "paid", False), (-2, "5", "paid", False)],
)
def test_a_churn_alert_closes_with_a_later_bill(made, starts, amount, status, closes):
    of = made()
    run([CHURN], now=NOW)
    with_bill(of, amount, starts=starts, ends=29, due=29, status=status)
    run([CHURN], now=LATER)
    of.refresh_from_db()
    alert = of.alerts.get()
    assert (alert.resolved_at, alert.resolution, of.open_alerts) == (
        (LATER, "They were billed for a later period.", 0) if closes else (None, "", 1)
    )


def test_a_second_cancellation_is_a_second_signal():
    of = with_signal(account(S.NEW, since=A_MONTH_AGO), days_ago=5)
    run([CHURN], now=NOW)
    with_signal(of, days_ago=0)
    assert acted_on(CHURN, now=LATER) == [of.pk]


def test_a_stale_risk_is_asked_about_once_a_renewal_however_the_date_moves():
    of = at_risk()
    assert acted_on(STALE) == [of.pk]
    task = of.tasks.get()
    assert (task.title, task.due_on) == ("Still at risk?", in_days(3))
    assert of.acts.get().because == "High risk, last confirmed 2026-10-22; renewed 2026-11-01"
    for moved_to in (4, 14):
        of.edit(now=NOW, next_renewal_on=in_days(moved_to))
        assert acted_on(STALE, now=NOW + days(1)) == []
    of.edit(now=NOW, next_renewal_on=in_days(44))
    assert acted_on(STALE, now=NOW + days(14)) == [of.pk]
    of.edit(now=NOW, next_renewal_on=in_days(75), payment_risk_at=NOW + days(44))
    assert acted_on(STALE, now=NOW + days(45)) == []


def test_a_returned_handoff_says_who_and_why_and_closes_with_the_move():
    person = user()
    of = returned()
    Signal.objects.filter(account=of).update(by="Max", reason="too small")
    run([RETURNED], now=NOW)
    assert of.alerts.get().text == (
        "Disqualified by Max on 2026-11-20: too small."
        " Take it back to “1. New Account”, or find it an AE, CSM or AM."
    )
    of.move(S.NEW, by=person, now=LATER, cause="board", reason="back")
    assert of.alerts.get().resolution == "The account moved on."
    of.move(S.SALES_HANDOFF, by=person, now=LATER + days(1), cause="board", reason="once more")
    assert acted_on(RETURNED, now=NOW + days(2)) == []
    with_signal(of, Signal.Kind.SALES_DISQUALIFIED, days_ago=-3)
    assert acted_on(RETURNED, now=NOW + days(4)) == [of.pk]


def test_a_returned_handoff_closes_when_somebody_of_sales_takes_it():
    of, other = returned(), returned()
    run([RETURNED], now=NOW)
    of.edit(now=NOW, sales_contact_kind="AE", sales_contact_name="Ana")
    run([RETURNED], now=LATER)
    of.refresh_from_db()
    alert = of.alerts.get()
    assert (alert.resolved_at, alert.resolution, of.open_alerts) == (LATER, "Sales looks after it now.", 0)
    assert other.alerts.get().resolved_at is None


def test_every_playbook_that_raises_an_alert_has_a_kind_that_says_when_it_closes():
    raising = [name for name, playbook in PLAYBOOKS.items() if isinstance(playbook.then, RaiseAlert)]
    assert list(ALERT_KINDS) == raising
    assert all(kind.closes.startswith("when ") for kind in ALERT_KINDS.values())
    assert {stage for kind in ALERT_KINDS.values() for stage in kind.stages or ()} <= set(STAGES)
    assert S.CHURNED in CLOSED


def test_an_account_with_all_of_it_can_be_erased():
    of = at_zero("120", "0", owner=user())
    with_purchase(with_call(with_signal(of)))
    Contact.objects.create(account=of, email="a@b.example")
    run([*PLAYBOOKS], now=NOW)
    assert Task.objects.filter(account=of).count() == 2
    of.delete()
    left = (Act, Alert, Bill, Call, Contact, Purchase, Signal, Task)
    assert [model.objects.filter(account=of.pk).count() for model in left] == [0] * len(left)
