"""The playbooks: whom each is for at the edges, once an occasion, whatever happens in between."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Account, Alert, Call, Policy, StageTransition, Task
from apps.crm.models.account import Plan
from apps.crm.pipeline import CLOSED, OPEN, Stage
from apps.playbooks import engine
from apps.playbooks.due import due
from apps.playbooks.engine import NotRun, named, run, skip
from apps.playbooks.jobs import tick
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import MoveWithTask
from tests.factories import NOW, TODAY, account, days, in_days, snapshot, user

pytestmark = pytest.mark.django_db

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


def is_due(name, of, numbers=None, **options):
    return due(named(name), numbers or Policy.at(NOW), **options).filter(pk=of.pk).exists()


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


@pytest.mark.parametrize(("made", "expected"), FINAL_CASES.values(), ids=FINAL_CASES)
def test_the_final_outreach_is_due_for_exactly_these(made, expected):
    of = made()
    before = snapshot(of)
    assert is_due(FINAL, of) is expected
    assert acted_on([FINAL]) == ([of.pk] if expected else [])
    after = snapshot(of)
    if not expected:
        assert after == before
        assert not Run.objects.exists()
        return
    assert (after["stage"], after["version"]) == (S.AWAITING_FINAL_OUTREACH, before["version"] + 1)
    assert (after["stage_since"], after["next_task_on"]) == (NOW, in_days(2))


@pytest.mark.parametrize(
    ("gap", "written", "in_2_since", "expected"),
    [
        (0, 0, 30, True),
        (21, 20, 30, False),
        (21, 21, 30, True),
        (21, 30, 20, True),
        (21, None, 20, False),
        (21, None, 21, True),
    ],
)
def test_the_final_outreach_keeps_its_distance_from_the_last_one(gap, written, in_2_since, expected):
    policy(final_outreach_gap_days=gap)
    last = None if written is None else NOW - days(written)
    of = here(since=NOW - days(in_2_since), last_outreach_at=last)
    assert acted_on([FINAL]) == ([of.pk] if expected else [])


@pytest.mark.parametrize(("window", "renews", "expected"), [(5, 6, False), (12, 12, True)])
def test_the_window_before_the_renewal_is_the_teams_to_tune(window, renews, expected):
    policy(final_outreach_days=window)
    of = here(renews=renews)
    assert acted_on([FINAL]) == ([of.pk] if expected else [])


def test_the_final_outreach_moves_with_a_reason_and_a_task_for_the_owner():
    owner = user()
    of = here(S.ENGAGED_EMAIL, renews=10, owner=owner)
    run([FINAL], now=NOW)
    row = of.transitions.first()
    assert (row.from_stage, row.to_stage) == (S.ENGAGED_EMAIL, S.AWAITING_FINAL_OUTREACH)
    assert (row.cause, row.by, row.reason, row.at) == (
        "playbook:final-outreach-due",
        None,
        "Renews 2026-12-01, in 10 days",
        NOW,
    )
    task = of.tasks.get()
    assert (task.title, task.due_on, task.assignee) == ("Send the final outreach", in_days(2), owner)
    assert (task.transition, task.cause, task.done_at) == (row, "playbook:final-outreach-due", None)
    act = of.acts.get()
    assert (act.occasion, act.because, act.transition) == ("renewal:2026-12-01", row.reason, row)
    assert (act.run.acted, act.run.failed, act.run.by, act.run.on) == (1, 0, None, None)


def test_a_task_is_given_to_nobody_when_the_owner_has_left():
    of = here(owner=user(is_active=False))
    run([FINAL], now=NOW)
    assert of.tasks.get().assignee is None


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


@pytest.mark.parametrize(("made", "expected"), MISSED_CASES.values(), ids=MISSED_CASES)
def test_the_outreach_is_missed_for_exactly_these(made, expected):
    of = made()
    before = snapshot(of)
    assert is_due(MISSED, of) is expected
    assert acted_on([MISSED]) == ([of.pk] if expected else [])
    after = snapshot(of)
    if expected:
        assert (after["open_alerts"], len(after["alerts"])) == (1, 1)
        after |= {"open_alerts": 0, "alerts": []}
    assert after == before


def test_a_missed_outreach_tells_the_day_in_words():
    entry, renewal = here(S.NEW, renews=60), here(S.NEW, renews=3)
    run([MISSED], now=NOW)
    assert entry.alerts.get().text == "Nobody has written to them yet; the account entered on 22 Oct 2026."
    assert renewal.alerts.get().text == "Nobody has written to them yet; the account renews on 24 Nov 2026."
    assert entry.acts.get().because == "Not written to yet; entered 2026-10-22, 30 days ago"
    assert renewal.acts.get().because == "Not written to yet; renews 2026-11-24, in 3 days"
    entered = entry.transitions.get()
    assert entry.alerts.get().subject == entry.acts.get().occasion == f"entry:{entered.pk}"


def test_an_alert_goes_to_the_alert_owner_else_the_accounts_owner_else_to_nobody():
    owner, alert_owner, gone = user(), user("lead"), user("lead", is_active=False)
    for named_owner, expected in [("", owner), (alert_owner.username, alert_owner), (gone.username, owner)]:
        Policy.objects.all().delete()
        policy(alert_owner=named_owner)
        owned, nobodys = here(S.NEW, owner=owner), here(S.NEW)
        run([MISSED], now=NOW)
        assert owned.alerts.get().assignee == expected
        assert nobodys.alerts.get().assignee == (alert_owner if named_owner == alert_owner.username else None)


def test_a_missed_outreach_closes_with_the_outreach_and_is_not_raised_again_by_an_undo():
    person = user()
    of = here(S.NEW)
    run([MISSED], now=NOW)
    of.move(S.INITIATED, by=person, now=LATER, cause="board")
    assert of.alerts.get().resolved_at == LATER
    of.undo(by=person, now=LATER + timedelta(minutes=1))
    assert acted_on([MISSED], now=NOW + days(1)) == []
    assert [alert.resolved_at for alert in of.alerts.all()] == [None]
    of.refresh_from_db()
    assert of.open_alerts == 1


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


def said(capsys, *args, **options):
    call_command("playbooks", *args, **options)
    return capsys.readouterr()


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.mark.usefixtures("clock")
def test_the_command_prints_a_line_for_each_account_it_acts_on(capsys):
    of = here(external_id="org-1", name="Hogs\tLtd", held_by="import:1")
    line = "final-outreach-due\torg-1\tHogs Ltd\tRenews 2026-11-26, in 5 days\n"
    assert said(capsys, "due", FINAL).out == line
    assert said(capsys, "run", dry_run=True).out == line
    assert not of.acts.exists()
    assert said(capsys, "run").out == line
    assert said(capsys, "run").out == said(capsys, "due", FINAL).out == ""
    assert of.acts.count() == 1


@pytest.mark.usefixtures("clock")
def test_the_command_prints_one_json_array(capsys):
    here(external_id="org-1", name="Hogs"), here(external_id="org-2", renews=6)
    assert json.loads(said(capsys, "due", MISSED, json=True).out) == []
    printed = json.loads(said(capsys, "run", FINAL, json=True).out)
    assert printed[0] == {
        "playbook": FINAL,
        "external_id": "org-1",
        "name": "Hogs",
        "because": "Renews 2026-11-26, in 5 days",
    }
    assert len(printed) == 2
    assert [one["playbook"] for one in json.loads(said(capsys, "list", json=True).out)] == [*PLAYBOOKS]


@pytest.mark.usefixtures("clock")
def test_the_command_lists_the_playbooks_and_says_what_was_passed_over(capsys):
    Switch.objects.turn(FINAL, paused=True, by=user("lead"), now=NOW)
    assert said(capsys, "run").err == "final-outreach-due is paused and was passed over.\n"
    listed = said(capsys).out.splitlines()
    assert [line.split("\t")[0] for line in listed] == [*PLAYBOOKS]
    first, second = listed[2:4]
    assert first.startswith("final-outreach-due\tpaused\tnot run yet\t")
    assert second.startswith("missed-outreach\ton\t2026-11-21 09:00:00 UTC\t")


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("args", "options", "words"),
    [
        (
            ["run", "nonsense"],
            {},
            "There is no playbook “nonsense”. There are: enter-pipeline, sales-lead, final",
        ),
        (["due"], {}, "`due` takes the name of one playbook."),
        (["due", FINAL, MISSED], {}, "`due` takes the name of one playbook."),
        (["walk"], {}, "“walk” is none of list, due and run."),
        (["run"], {"on": "2026-02-30"}, "“2026-02-30” is not a day, such as 2026-12-01."),
        (["run"], {"on": "31/12/26"}, "“31/12/26” is not a day"),
        (["run"], {"on": "2026-12-11"}, "2026-12-11 lies ahead"),
    ],
)
def test_the_command_refuses_what_it_cannot_read_in_a_sentence(args, options, words, settings):
    settings.DEBUG = False
    of = here()
    before = snapshot(of)
    with pytest.raises(CommandError, match=words.replace("(", r"\(")):
        call_command("playbooks", *args, **options)
    assert snapshot(of) == before


@pytest.mark.usefixtures("clock")
def test_the_command_says_which_account_failed_and_exits_badly(failing, capsys):
    good, bad = here(), here(name="Brokers")
    failing(bad)
    with pytest.raises(CommandError, match="failed on: 1"):
        call_command("playbooks", "run")
    assert (
        f"final-outreach-due failed on account {bad.pk}: ValueError: Brokers is broken"
        in capsys.readouterr().err
    )
    assert (good.acts.count(), bad.acts.count()) == (1, 0)


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
