"""Accounts that enter by themselves, and the leads that are Sales's."""

from datetime import timedelta

import pytest

from apps.crm.models import Account, Policy
from apps.crm.pipeline import Stage
from apps.playbooks.engine import run
from tests.factories import NOW, account, days, in_days, snapshot, user

pytestmark = pytest.mark.django_db

ENTER, LEAD = "enter-pipeline", "sales-lead"


def ours(**facts):
    return account(**{"plan": "pay_as_you_go", "forecast": "180", **facts})


def acts(name, now=NOW, **asked):
    return run([name], now=now, **asked)[0].acted


def test_an_account_that_is_ours_enters_at_1_with_the_reason_and_no_owner():
    here = ours()
    assert acts(ENTER) == 1
    here.refresh_from_db()
    row = here.transitions.get()
    assert (here.stage, here.owner, here.entered_at, here.scope) == (Stage.NEW, None, NOW, "ours")
    assert (row.cause, row.by, row.reason) == ("playbook:enter-pipeline", None, "Forecast $180, above $100.")


@pytest.mark.parametrize(
    "facts",
    [
        {"forecast": "100"},
        {"bills_reported": 4},
        {"contacted_sales": True},
        {"forecast": "2000"},
        {"held_by": "import:1"},
        {"quarantine": "3. Onboarded"},
        {"sales_contact_kind": "AE"},
    ],
)
def test_an_account_that_is_not_ours_or_waits_for_a_person_stays_outside(facts):
    here = ours(**facts)
    assert acts(ENTER) == 0
    here.refresh_from_db()
    assert (here.stage, here.version) == (Stage.OUTSIDE, 0)


def test_a_forecast_that_flaps_around_the_threshold_for_five_reports_makes_one_entry():
    here = ours(forecast="499")
    Policy.objects.create(name="scope_entry_forecast", value="500", starts_on=in_days(-1))
    for day, forecast in enumerate(["501", "499", "501", "499", "501"]):
        now = NOW + days(day)
        here.edit(now=now, forecast=forecast)
        acts(ENTER, now=now)
    here.refresh_from_db()
    assert (here.stage, here.version, here.transitions.count()) == (Stage.NEW, 1, 1)


def test_one_that_is_in_stays_in_and_only_the_decision_changes():
    here = ours()
    acts(ENTER)
    here.edit(now=NOW, bills_reported=9)
    acts(ENTER, now=NOW + days(1))
    here.refresh_from_db()
    assert (here.stage, here.scope, here.route) == (Stage.NEW, "out", "Has paid 9 bills, more than 3.")


def test_an_entry_that_a_person_undid_is_not_made_again():
    here = ours()
    acts(ENTER)
    here.refresh_from_db()
    here.undo(by=user(), now=NOW + days(1))
    assert acts(ENTER, now=NOW + days(2)) == 0
    here.refresh_from_db()
    assert here.stage == Stage.OUTSIDE


def test_a_day_to_come_is_seen_in_a_dry_run_and_nothing_is_written():
    here = account(plan="yc", plan_ends_on=in_days(31))
    before = snapshot(here)
    assert acts(ENTER, dry_run=True) == 0
    assert acts(ENTER, dry_run=True, on=in_days(1)) == 1
    assert snapshot(here) == before
    assert not here.decisions.exists()


def test_a_lead_for_sales_is_noted_once_and_stays_outside():
    here = ours(forecast="2000")
    held_back = ours(sales_contact_kind="AE")
    assert acts(LEAD) == 1
    assert acts(LEAD, now=NOW + timedelta(minutes=1)) == 0
    here.refresh_from_db()
    held_back.refresh_from_db()
    assert (here.stage, here.referred_at, held_back.referred_at) == (Stage.OUTSIDE, NOW, None)


def test_the_tick_decides_on_everybody_whose_facts_have_changed():
    inside, outside = account(Stage.ENGAGED_EMAIL, forecast="1"), account()
    acts(ENTER)
    assert set(Account.objects.values_list("pk", "scope")) == {(inside.pk, "watch"), (outside.pk, "watch")}
