"""The scope decision kept on an account: read where it still is today's, made anew where it may not be."""

from datetime import timedelta

import pytest
from django.db import connection

from apps.crm.models import Account, Policy, scoping
from apps.crm.pipeline import Stage
from apps.crm.scope import Asks, decided_row
from apps.playbooks.due import due
from apps.playbooks.engine import named, run
from apps.playbooks.registry import PLAYBOOKS
from tests.factories import NOW, TODAY, account, days, in_days

pytestmark = pytest.mark.django_db

ENTER, LEAD = "enter-pipeline", "sales-lead"
LATER = NOW + timedelta(minutes=1)


def entry_forecast(value, on=TODAY):
    return Policy.objects.create(name="scope_entry_forecast", value=str(value), starts_on=on)


def tick(now=NOW, **asked):
    """What enter-pipeline acts on in a run."""
    told = []
    run([ENTER], now=now, tell=told.append, **asked)
    return [line.account for line in told]


def ours(now, on=None):
    """Whom enter-pipeline would act on without anything being decided anew first."""
    return set(due(named(ENTER), Policy.at(now, on)).values_list("pk", flat=True))


def waiting(now):
    return set(Account.objects.to_decide(Policy.at(now)).values_list("pk", flat=True))


def written():
    """The version of every account's row: another one once anybody has written to it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, ctid::text FROM crm_account ORDER BY id")
        return cursor.fetchall()


CHANGES = {
    "a number that is set today": lambda kept: entry_forecast(50),
    "a number that was another": lambda kept: Policy.objects.filter(pk=kept.pk).update(value="50"),
    "a number that is taken back": lambda kept: kept.delete(),
    "a number that started earlier": lambda kept: Policy.objects.filter(pk=kept.pk).update(
        starts_on=in_days(3)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_policy_that_changes_within_the_day_is_followed_by_the_next_run(change):
    before = entry_forecast(900, on=in_days(-9))
    here = account(plan="pay_as_you_go", forecast="180")
    assert tick() == []
    assert waiting(NOW) == set()
    CHANGES[change](before)
    assert waiting(LATER) == ours(LATER) == {here.pk}
    assert tick(LATER) == [here.pk]
    here.refresh_from_db()
    assert (here.stage, here.scope, waiting(LATER)) == (Stage.NEW, "ours", set())


def test_one_that_a_new_policy_puts_out_of_scope_does_not_enter_by_its_old_decision():
    here = account(plan="pay_as_you_go", forecast="180", held_by="import:1")
    tick()
    entry_forecast(900)
    Account.objects.update(held_by="")
    here.refresh_from_db()
    assert (here.scope, here.scope_asks, ours(LATER), tick(LATER)) == ("ours", Asks.ENTER, set(), [])
    here.refresh_from_db()
    assert (here.stage, here.scope, here.scope_asks) == (Stage.OUTSIDE, "watch", Asks.NOTHING)


def test_a_policy_of_tomorrow_holds_from_tomorrow():
    here = account(plan="pay_as_you_go", forecast="180")
    entry_forecast(900, on=in_days(-9))
    entry_forecast(50, on=in_days(1))
    assert tick() == []
    assert (waiting(LATER), tick(LATER)) == (set(), [])
    assert ours(NOW + days(1)) == set(tick(NOW + days(1))) == {here.pk}


def test_a_changed_fact_is_decided_on_anew_and_another_is_not():
    here, other = account(plan="pay_as_you_go", forecast="50"), account(plan="pay_as_you_go", forecast="50")
    tick()
    other.edit(now=LATER, users_count=9)
    assert waiting(LATER) == set()
    here.edit(now=LATER, forecast="180")
    assert waiting(LATER) == ours(LATER) == {here.pk}
    assert tick(LATER) == [here.pk]


def test_the_day_changes_when_midnight_passes_in_the_teams_zone():
    Policy.objects.create(name="time_zone", value="Europe/Berlin", starts_on=in_days(-9))
    here = account(plan="yc", plan_ends_on=in_days(31))
    before, after = NOW.replace(hour=22, minute=59), NOW.replace(hour=23)
    assert tick(before) == []
    assert (waiting(before), waiting(after)) == (set(), {here.pk})
    assert tick(after) == [here.pk]


def test_a_new_time_zone_is_another_day():
    here = account(plan="yc", plan_ends_on=in_days(31))
    late = NOW.replace(hour=23)
    assert tick(late) == []
    Policy.objects.create(name="time_zone", value="Pacific/Auckland", starts_on=TODAY)
    assert tick(late + timedelta(minutes=1)) == [here.pk]


def test_a_time_zone_that_is_taken_back_takes_its_day_back():
    zone = Policy.objects.create(name="time_zone", value="Pacific/Auckland", starts_on=TODAY)
    here = account(plan="yc", plan_ends_on=in_days(31))
    late = NOW.replace(hour=23)
    Account.objects.all().decide(Policy.at(late), now=late)
    assert ours(late) == {here.pk}
    zone.delete()
    assert (ours(late), tick(late)) == (set(), [])


def test_a_decision_that_is_kept_is_the_tables_own_on_every_day_to_come():
    plans = ("", "pay_as_you_go", "startup", "yc", "boost", "annual")
    for plan in plans:
        for ends in (None, -400, 0, 30, 31, 32, 60):
            account(plan=plan, plan_ends_on=None if ends is None else in_days(ends), forecast="700")
    everybody = Account.objects.all()
    everybody.decide(Policy.at(NOW), now=NOW)
    again = []
    for later in range(45):
        numbers = Policy.at(NOW + days(later))
        undecided = everybody.to_decide(numbers)
        kept = everybody.exclude(pk__in=undecided.values("pk")).annotate(row=decided_row(numbers))
        assert [it.pk for it in kept if it.row != it.scope_row] == []
        again.append(undecided.count())
        undecided.decide(numbers, now=numbers.now)
    assert {day: number for day, number in enumerate(again) if number} == {
        1: len(plans),
        2: len(plans),
        30: len(plans),
    }


def test_a_run_that_finds_nothing_to_decide_writes_to_no_account():
    for number in range(5):
        account(plan="yc", plan_ends_on=in_days(40), forecast=number)
    run([*PLAYBOOKS], now=NOW)
    before = written()
    run([*PLAYBOOKS], now=LATER)
    run([*PLAYBOOKS], now=NOW + days(1))
    assert written() == before


def test_the_limit_stops_deciding_after_a_slice_and_the_next_run_goes_on(monkeypatch):
    monkeypatch.setattr(scoping, "SLICE", 2)
    made = {account(plan="pay_as_you_go", forecast="180").pk for _ in range(5)}
    asked = []

    def enough():
        asked.append(1)
        return len(asked) > 2

    assert tick(enough=enough) == []
    assert (len(waiting(NOW)), Account.objects.filter(scope="ours").count()) == (1, 4)
    assert ours(LATER) == made
    assert set(tick(LATER)) == made
    assert waiting(LATER) == set()


def test_of_a_day_gone_by_the_table_answers_and_nothing_is_decided():
    here = account(plan="yc", plan_ends_on=in_days(30))
    Account.objects.all().decide(Policy.at(NOW), now=NOW)
    before = written()
    assert (ours(NOW), ours(NOW, on=in_days(-1))) == ({here.pk}, set())
    assert tick(on=in_days(-1)) == tick(on=in_days(-1), dry_run=True) == []
    assert written() == before


@pytest.mark.parametrize("on", [None, -1, 0, 1, 2])
def test_a_dry_run_tells_what_the_run_then_does(on, settings):
    settings.DEBUG = True
    on = None if on is None else in_days(on)
    for ends in (29, 30, 31, 32):
        account(plan="yc", plan_ends_on=in_days(ends))
    Account.objects.all().decide(Policy.at(NOW - days(3)), now=NOW - days(3))
    told = tick(on=on, dry_run=True)
    assert told == tick(on=on)
    assert told


def test_a_lead_for_sales_asks_until_sales_is_told():
    here = account(plan="pay_as_you_go", forecast="2000")
    run([ENTER], now=NOW)
    here.refresh_from_db()
    assert here.scope_asks == Asks.REFER
    run([LEAD], now=NOW)
    here.refresh_from_db()
    assert (here.scope_asks, here.referred_at) == (Asks.NOTHING, NOW)
