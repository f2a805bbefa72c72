"""Running the playbooks: once an occasion, whatever happens in between."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Account, Alert, Policy, StageTransition, Task
from apps.playbooks import engine
from apps.playbooks.due import due
from apps.playbooks.engine import NotRun, named, run, skip
from apps.playbooks.jobs import tick
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import MoveWithTask
from tests import renewing
from tests.factories import NOW, days, in_days, snapshot, user
from tests.renewing import (
    BOTH,
    FINAL,
    FINAL_CASES,
    LATER,
    MISSED,
    MISSED_CASES,
    S,
    acted_on,
    here,
    policy,
    written,
)

failing = renewing.failing

pytestmark = pytest.mark.django_db


def test_a_new_entry_is_a_new_occasion():
    person = user()
    of = here(S.NEW)
    run([MISSED], now=NOW)
    of.move(S.CHURNED, by=person, now=LATER, cause="board", reason="left")
    of.move(S.NEW, by=person, now=LATER, cause="board", reason="back")
    assert acted_on([MISSED], now=LATER + days(1)) == [of.pk]
    assert Alert.objects.open().filter(account=of).count() == 1


def test_a_resolved_alert_is_not_raised_again_for_the_same_entry():
    of = here(S.NEW)
    run([MISSED], now=NOW)
    of.alerts.get().resolve(by=user(), now=LATER, resolution="wrote by hand")
    assert acted_on([MISSED], now=NOW + days(1)) == []


def test_running_twice_is_running_once():
    moved, alerted = here(), here(S.NEW)
    results = run(BOTH, now=NOW)
    assert [(result.acted, result.failed) for result in results] == [(1, 0), (1, 0)]
    before = snapshot(moved), snapshot(alerted)
    again = run(BOTH, now=LATER)
    assert [(result.acted, result.failed) for result in again] == [(0, 0), (0, 0)]
    assert (snapshot(moved), snapshot(alerted)) == before
    assert Run.objects.count() == 2


def test_three_days_of_silence_are_caught_up():
    of = [here(renews=renews) for renews in (10, 11, 12, 13, 14)]
    daily = {
        pk
        for day in range(4)
        for pk in due(named(FINAL), Policy.at(NOW + days(day))).values_list("pk", flat=True)
    }
    assert set(acted_on([FINAL], now=NOW + days(3))) == daily == {one.pk for one in of[:4]}


@pytest.mark.parametrize(("by_days", "again"), [(14, False), (15, True), (30, True)])
def test_a_renewal_moved_by_less_than_15_days_is_still_the_same(by_days, again):
    of = here(renews=5)
    run([FINAL], now=NOW)
    of.move(S.INTRO_CALL_COMPLETED, by=user(), now=LATER, cause="board")
    Account.objects.filter(pk=of.pk).update(next_renewal_on=in_days(5 + by_days))
    assert acted_on([FINAL], now=NOW + days(by_days)) == ([of.pk] if again else [])


def test_what_a_person_undid_is_left_alone_for_that_renewal_and_the_task_is_dropped():
    person = user()
    of = here(S.ENGAGED_EMAIL)
    run([FINAL], now=NOW)
    of.undo(by=person, now=LATER)
    assert (of.stage, of.tasks.get().dropped) == (S.ENGAGED_EMAIL, True)
    before = snapshot(of)
    assert acted_on([FINAL], now=NOW + days(1), held=True) == []
    assert snapshot(of) == before
    Account.objects.filter(pk=of.pk).update(next_renewal_on=in_days(35))
    assert acted_on([FINAL], now=NOW + days(30)) == [of.pk]


@pytest.mark.parametrize("undone", [True, False])
def test_what_a_person_took_out_of_5_by_hand_is_not_put_back(undone):
    person = user()
    of = here(renews=8)
    of.move(S.AWAITING_FINAL_OUTREACH, by=person, now=NOW, cause="board")
    if undone:
        of.undo(by=person, now=LATER)
    else:
        of.move(S.CALL_BOOKED, by=person, now=LATER, cause="board")
    assert acted_on([FINAL], now=NOW + days(1)) == []
    Account.objects.filter(pk=of.pk).update(next_renewal_on=in_days(38))
    assert acted_on([FINAL], now=NOW + days(30)) == [of.pk]


def test_held_accounts_wait_for_their_release_and_quarantined_ones_for_a_person():
    held, quarantined = here(held_by="import:1"), here(quarantine="3. Onboarded")
    tick()
    before = snapshot(quarantined)
    tick()
    assert acted_on(BOTH) == []
    assert acted_on(BOTH, held=True) == [held.pk]
    assert snapshot(quarantined) == before


def test_a_paused_playbook_is_passed_over_until_it_is_resumed():
    of, lead = here(), user("lead")
    Switch.objects.turn(FINAL, paused=True, by=lead, now=NOW)
    assert [result.paused for result in run(BOTH, now=NOW)] == [True, False]
    assert not Run.objects.exists()
    Switch.objects.turn(FINAL, paused=False, by=lead, now=NOW)
    assert acted_on([FINAL]) == [of.pk]


@pytest.mark.parametrize(("name", "stage"), [(FINAL, S.INITIATED), (MISSED, S.NEW)])
def test_a_skipped_account_is_left_alone_until_its_next_renewal(name, stage):
    of, lead = here(stage), user("lead")
    assert skip(named(name), of, by=lead, now=NOW) is True
    assert skip(named(name), of, by=lead, now=NOW) is False
    assert acted_on([name], held=True) == []
    act = of.acts.get()
    assert (act.skipped, act.by, act.run) == (True, lead, None)
    Account.objects.filter(pk=of.pk).update(next_renewal_on=in_days(35))
    assert acted_on([name], now=NOW + days(30)) == [of.pk]


def test_a_playbook_moves_an_account_once_a_run(monkeypatch):
    base = PLAYBOOKS[FINAL]
    second = type(base)(
        **{field: getattr(base, field) for field in base.__dataclass_fields__}
        | {
            "name": "hand-over",
            "who": lambda numbers: Account.objects.filter(stage=S.AWAITING_FINAL_OUTREACH),
            "then": MoveWithTask(S.SALES_HANDOFF, "Hand over", due_in_days=1),
        }
    )
    monkeypatch.setitem(PLAYBOOKS, "hand-over", second)
    of = here()
    assert acted_on([FINAL, "hand-over"]) == [of.pk]
    assert acted_on([FINAL, "hand-over"], now=LATER) == [of.pk]
    of.refresh_from_db()
    assert of.stage == S.SALES_HANDOFF


def test_one_failing_account_holds_up_no_other_and_is_tried_again(failing):
    good = [here(renews=3 + number) for number in range(4)]
    bad = here(renews=5)
    failing(bad)
    before = snapshot(bad)
    [result] = run([FINAL], now=NOW)
    assert (result.acted, result.failed) == (4, 1)
    assert all(one.transitions.first().to_stage == S.AWAITING_FINAL_OUTREACH for one in good)
    assert snapshot(bad) == before
    assert not bad.acts.exists()
    kept = Run.objects.get()
    assert (kept.acted, kept.failed, [error["account"] for error in kept.errors]) == (4, 1, [bad.pk])
    assert "is broken" in kept.errors[0]["error"]
    for minute in (1, 2, 3):
        run([FINAL], now=NOW + timedelta(minutes=minute))
    assert [(one.acted, one.failed, one.tries) for one in Run.objects.all()] == [(0, 1, 3), (4, 1, 1)]
    failing(None)
    assert acted_on([FINAL], now=LATER + days(1)) == [bad.pk]


def test_the_errors_kept_are_bounded_and_a_broken_playbook_stops_no_other(failing, monkeypatch):
    monkeypatch.setattr(engine, "ERRORS_KEPT", 2)
    alerted = here(S.NEW)
    for _ in range(5):
        here(name="broken")
    failing(name="broken")
    results = run(BOTH, now=NOW)
    assert [(result.acted, result.failed) for result in results] == [(0, 5), (1, 0)]
    assert len(Run.objects.get(playbook=FINAL).errors) == 2
    assert alerted.alerts.count() == 1


def test_a_run_that_is_told_enough_leaves_the_rest_to_the_next(monkeypatch):
    monkeypatch.setattr(engine, "SLICE", 2)
    of = [here(renews=renews) for renews in (1, 2, 3, 4, 5)]
    asked = iter([False, False, True])
    first = acted_on([FINAL], enough=lambda: next(asked, True))
    assert first == [one.pk for one in of[:4]]
    assert acted_on([FINAL], now=LATER) == [of[4].pk]


def test_a_dry_run_writes_nothing_and_names_exactly_whom_the_run_then_acts_on():
    everybody = [made() for made, _ in (*FINAL_CASES.values(), *MISSED_CASES.values())]
    before = [snapshot(of) for of in everybody]
    foreseen, done = [], []
    dry = run([*PLAYBOOKS], now=NOW, dry_run=True, tell=foreseen.append)
    assert [snapshot(of) for of in everybody] == before
    assert written() == 0
    wet = run([*PLAYBOOKS], now=NOW, tell=done.append)
    assert done == foreseen
    assert len(done) > 20
    assert [result.acted for result in wet] == [result.acted for result in dry]


@pytest.mark.parametrize(
    ("zone", "last_hour_before", "first_hour"),
    [
        (
            "Pacific/Apia",
            datetime(2026, 11, 20, 10, 30, tzinfo=UTC),
            datetime(2026, 11, 20, 11, 30, tzinfo=UTC),
        ),
        ("UTC", datetime(2026, 11, 20, 23, 30, tzinfo=UTC), datetime(2026, 11, 21, 0, 30, tzinfo=UTC)),
        (
            "America/New_York",
            datetime(2026, 11, 21, 4, 30, tzinfo=UTC),
            datetime(2026, 11, 21, 5, 30, tzinfo=UTC),
        ),
    ],
)
def test_each_team_acts_on_its_own_day(zone, last_hour_before, first_hour):
    policy(time_zone=zone)
    of = here(renews=10, since=NOW - days(60))
    assert acted_on([FINAL], now=last_hour_before) == []
    assert acted_on([FINAL], now=first_hour) == [of.pk]
    of.refresh_from_db()
    assert (of.stage_since, of.next_task_on) == (first_hour, in_days(2))


def test_another_day_sets_today_and_every_time_written_is_the_real_one(settings):
    settings.DEBUG = False
    of = here(renews=5)
    assert acted_on([FINAL], on=in_days(-5)) == [of.pk]
    row = of.transitions.first()
    assert (row.at, row.reason) == (NOW, "Renews 2026-11-26, in 10 days")
    assert (of.tasks.get().created_at, of.tasks.get().due_on) == (NOW, in_days(-3))
    assert Run.objects.get().on == in_days(-5)


def test_a_day_ahead_is_for_a_dry_run_or_a_trial_machine_only(settings):
    of = here(renews=30)
    settings.DEBUG = False
    before = snapshot(of)
    with pytest.raises(NotRun, match="2026-12-11 lies ahead"):
        run([FINAL], now=NOW, on=in_days(20))
    assert acted_on([FINAL], on=in_days(20), dry_run=True) == [of.pk]
    assert snapshot(of) == before
    settings.DEBUG = True
    assert acted_on([FINAL], on=in_days(20)) == [of.pk]


def test_a_run_asks_as_many_queries_for_fifty_accounts_as_for_one():
    def queries(number, now):
        for _ in range(number):
            here(), here(S.NEW)
        with CaptureQueriesContext(connection) as captured:
            assert sum(result.acted for result in run(BOTH, now=now)) == 2 * number
        return len(captured)

    assert queries(1, NOW) == queries(50, LATER)


def test_a_tick_that_finds_nothing_writes_no_run_and_one_statement():
    here(renews=30)
    tick()
    with CaptureQueriesContext(connection) as captured:
        tick()
    written = [query["sql"] for query in captured if not query["sql"].startswith(("SELECT", "DECLARE"))]
    assert [sql.split()[0] for sql in written if "SAVEPOINT" not in sql] == ["INSERT"]
    assert len(captured) <= 3 * len(PLAYBOOKS)
    assert not Run.objects.exists()
    assert set(Switch.objects.values_list("playbook", flat=True)) == set(PLAYBOOKS)


def test_an_account_that_was_acted_on_can_be_erased():
    moved, alerted, kept = here(), here(S.NEW), here(renews=4)
    run(BOTH, now=NOW)
    moved.delete()
    alerted.delete()
    assert list(Act.objects.values_list("account", flat=True)) == [kept.pk]
    assert not Task.objects.exclude(account=kept).exists()
    assert not StageTransition.objects.exclude(account=kept).exists()


@pytest.mark.parametrize(("other", "soonest"), [(None, 2), (1, 1), (9, 2)])
def test_the_counts_of_an_account_are_right_after_a_move_that_adds_a_task_and_ends_an_alert(other, soonest):
    made = here()
    Alert.objects.create(account=made, kind=MISSED, text="Late.", raised_at=NOW)
    made.recount()
    if other:
        made.add_task("Call them", in_days(other), by=None, now=NOW)
    assert acted_on([FINAL]) == [made.pk]
    made.refresh_from_db()
    assert (made.open_alerts, made.next_task_on) == (0, in_days(soonest))
    assert Account.objects.all().recount() == 0
