"""The final outreach and the missed one: whom each is for at the edges, and what it leaves behind."""

from datetime import timedelta

import pytest

from apps.crm.models import Policy
from apps.playbooks.due import due
from apps.playbooks.engine import named, run
from apps.playbooks.models import Run
from tests.factories import NOW, days, in_days, snapshot, user
from tests.renewing import FINAL, FINAL_CASES, LATER, MISSED, MISSED_CASES, S, acted_on, here, policy

pytestmark = pytest.mark.django_db


def is_due(name, of, numbers=None, **options):
    return due(named(name), numbers or Policy.at(NOW), **options).filter(pk=of.pk).exists()


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


def test_a_missed_outreach_tells_the_day():
    entry, renewal = here(S.NEW, renews=60), here(S.NEW, renews=3)
    run([MISSED], now=NOW)
    assert entry.alerts.get().text == "Nobody has written to them yet; the account entered on 2026-10-22."
    assert renewal.alerts.get().text == "Nobody has written to them yet; the account renews on 2026-11-24."
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
