"""Sales candidates, first bills, paid calls, leavers, stale risks and returned handoffs: what each leaves behind."""

from typing import Any

import pytest

from apps.crm.models import Account, Alert, Bill, Call, Contact, Policy, Purchase, Signal, Task
from apps.crm.models.alert import ALERT_KINDS
from apps.crm.pipeline import CLOSED, STAGES
from apps.playbooks.engine import run
from apps.playbooks.models import Act
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import RaiseAlert
from tests.factories import NOW, TODAY, account, days, in_days, user
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
