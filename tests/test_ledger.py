"""The ledger and the one writer: what the database refuses, who wins, and what undo takes back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction

from apps.crm.models import Account, Alert, StageTransition, Task
from apps.crm.models.moving import Conflict, Refused
from apps.crm.models.transition import is_automatic
from apps.crm.pipeline import Stage
from tests.factories import NOW, TODAY, account, in_days, snapshot, user

pytestmark = pytest.mark.django_db


def refused_by_the_database(sql, *values):
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def replayed(of):
    stage = ""
    rows = StageTransition.objects.filter(account=of).order_by("version")
    for number, row in enumerate(rows, start=1):
        assert (row.version, row.from_stage) == (number, stage)
        stage = row.to_stage
    return stage


def test_the_database_refuses_a_stage_that_no_move_wrote():
    here = account(Stage.NEW)
    before = snapshot(here)
    for sql in (
        "UPDATE crm_account SET stage = 'initiated' WHERE id = %s",
        "UPDATE crm_account SET stage = 'initiated', version = version + 1 WHERE id = %s",
        "UPDATE crm_account SET version = version + 1 WHERE id = %s",
        "UPDATE crm_account SET version = 1, stage = 'initiated' WHERE id = %s",
    ):
        refused_by_the_database(sql, here.pk)
    refused_by_the_database(
        """INSERT INTO crm_account (external_id, name, domain, plan, stage, version, stage_before_paid_call,
             engaged_via, bills_reported, bills_held, contacted_sales, sales_contact_kind, sales_contact_name,
             sales_contact_email, reported_by, owner_reported, payment_risk, payment_risk_reason, extended_reason,
             route, held_by, quarantine, notes_count, open_alerts, created_at, changed_at)
           VALUES ('x', 'X', '', '', 'new', 0, '', '', 0, 0, false, '', '', '', '', '', '', '', '', '', '', '', 0,
                   0, now(), now())"""
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.create(external_id="y", name="Y", stage=Stage.NEW)
    assert snapshot(here) == before
    assert Account.objects.count() == 1


def test_a_ledger_row_alone_lets_only_its_own_move_through():
    here = account(Stage.NEW)
    StageTransition.objects.create(
        account=here, version=2, from_stage="new", to_stage="initiated", at=NOW, cause="board"
    )
    refused_by_the_database("UPDATE crm_account SET stage = 'churned', version = 2 WHERE id = %s", here.pk)
    refused_by_the_database("UPDATE crm_account SET stage = 'initiated', version = 3 WHERE id = %s", here.pk)


def test_the_database_refuses_to_change_or_delete_history():
    here = account(Stage.NEW)
    before = snapshot(here)
    refused_by_the_database("DELETE FROM crm_stagetransition WHERE account_id = %s", here.pk)
    refused_by_the_database(
        "UPDATE crm_stagetransition SET to_stage = 'churned' WHERE account_id = %s", here.pk
    )
    refused_by_the_database("UPDATE crm_stagetransition SET reason = 'other' WHERE account_id = %s", here.pk)
    refused_by_the_database(
        "UPDATE crm_stagetransition SET reason = '', at = now() WHERE account_id = %s", here.pk
    )
    assert snapshot(here) == before


def test_a_reason_can_be_blanked_and_an_erased_account_takes_its_history_along():
    here = account(Stage.NEW)
    here.move(Stage.CHURNED, by=user(), now=NOW, cause="board", reason="Names a person")
    here.add_task("Call", TODAY, by=None, now=NOW)
    StageTransition.objects.filter(account=here).update(reason="")
    assert set(here.transitions.values_list("reason", flat=True)) == {""}
    here.delete()
    assert not StageTransition.objects.exists()
    assert not Task.objects.exists()


def test_the_stage_attribute_is_closed_but_reload_and_full_clean_work():
    here = account(Stage.NEW)
    with pytest.raises(AttributeError):
        here.stage = Stage.CHURNED
    here.stage = Stage.NEW
    here.full_clean()
    Account.objects.get(pk=here.pk).move(Stage.INITIATED, by=None, now=NOW, cause="playbook:test")
    here.refresh_from_db()
    assert here.stage == Stage.INITIATED
    with pytest.raises(AttributeError):
        here.stage = Stage.CHURNED


def test_a_stale_version_is_told_who_moved_the_account_where():
    dan, here = user(first_name="Dan"), account(Stage.NEW)
    here.move(Stage.INITIATED, by=dan, now=NOW, cause="board", version=1)
    before = snapshot(here)
    for target in (Stage.INITIATED, Stage.CHURNED):
        with pytest.raises(Conflict) as told:
            here.move(target, by=user(), now=NOW, cause="board", reason="x", version=1)
        assert told.value.sentence == "Dan moved it to “2. Onboarding Initiated” first."
    assert here.move(Stage.INITIATED, by=dan, now=NOW, cause="board", version=2) is None
    assert snapshot(here) == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("versioned", [True, False], ids=["with version", "without version"])
def test_of_twenty_who_move_one_card_one_wins_and_nineteen_are_told(versioned):
    here, people = account(Stage.NEW), [user(first_name=f"P{number}") for number in range(20)]
    start = Barrier(20)
    targets = [Stage.INITIATED, Stage.CALL_BOOKED, Stage.CHURNED, Stage.SALES_HANDOFF]

    def move(number):
        try:
            start.wait()
            mine = Account.objects.get(pk=here.pk)
            to = targets[number % 4] if versioned else Stage.INITIATED
            row = mine.move(
                to, by=people[number], now=NOW, cause="board", reason="x", version=1 if versioned else None
            )
            return "won" if row else "there already"
        except Conflict as conflict:
            return conflict.sentence
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(move, range(20)))
    assert answers.count("won") == 1
    winner = people[answers.index("won")]
    here.refresh_from_db()
    told = f"{winner} moved it to “{here.stage_label}” first." if versioned else "there already"
    assert answers.count(told) == 19
    assert here.version == 2
    assert replayed(here) == here.stage
    assert here.transitions.get(version=2).by == winner


def test_replaying_the_rows_gives_every_stage():
    person, here = user(), account(Stage.NEW)
    for step, target in enumerate(
        [
            Stage.INITIATED,
            Stage.CALL_BOOKED,
            Stage.INTRO_CALL_COMPLETED,
            Stage.PAID_CALL,
            Stage.AWAITING_FINAL_OUTREACH,
            Stage.ONBOARDED_ENGAGED,
            Stage.NEW,
            Stage.SALES_HANDOFF,
            Stage.NEW,
        ],
        start=2,
    ):
        here.move(target, by=person, now=NOW + timedelta(hours=step), cause="list", reason="as agreed")
        assert here.version == step
        assert replayed(here) == here.stage == target
        assert here.stage_since == NOW + timedelta(hours=step)
    assert here.entered_at == NOW + timedelta(hours=10)


@pytest.mark.parametrize(
    ("source", "target", "via"),
    [
        (Stage.INITIATED, Stage.ENGAGED_EMAIL, "email"),
        (Stage.NEW, Stage.CALL_BOOKED, "call"),
        (Stage.INITIATED, Stage.PAID_CALL, "purchase"),
    ],
)
def test_the_first_engagement_is_kept_with_how_and_when_and_undo_takes_it_back(source, target, via):
    person, here = user(), account(source)
    here.move(target, by=person, now=NOW, cause="board")
    assert (here.engaged_at, here.engaged_via) == (NOW, via)
    here.undo(by=person, now=NOW + timedelta(minutes=9))
    assert (here.engaged_at, here.engaged_via, here.stage) == (None, "", source)
    assert here.transitions.first().cause == f"undo:{here.transitions.get(version=2).pk}"


def test_later_engagement_does_not_overwrite_the_first_and_survives_the_undo_of_a_later_move():
    person, here = user(), account(Stage.INITIATED)
    here.move(Stage.ENGAGED_EMAIL, by=person, now=NOW, cause="board")
    later = NOW + timedelta(days=1)
    here.move(Stage.CALL_BOOKED, by=person, now=later, cause="board")
    assert (here.engaged_at, here.engaged_via) == (NOW, "email")
    here.undo(by=person, now=later)
    assert (here.engaged_at, here.engaged_via, here.stage_since) == (NOW, "email", NOW)


def test_undo_restores_where_a_paid_call_was_bought_from():
    person, here = user(), account(Stage.INTRO_CALL_COMPLETED)
    here.move(Stage.PAID_CALL, by=person, now=NOW, cause="board")
    here.move(Stage.CALL_BOOKED, by=person, now=NOW, cause="board")
    here.undo(by=person, now=NOW)
    assert here.stage == Stage.PAID_CALL
    here.leave_paid_call(by=person, now=NOW, cause="account")
    assert here.stage == Stage.INTRO_CALL_COMPLETED
    assert replayed(here) == here.stage


def test_leaving_a_paid_call_leads_outside_for_a_buyer_from_outside():
    here = account()
    here.move(Stage.PAID_CALL, by=None, now=NOW, cause="event:1")
    here.leave_paid_call(by=None, now=NOW, cause="event:2")
    assert (here.stage, here.stage_since) == (Stage.OUTSIDE, None)


def test_a_refund_does_not_take_back_a_paid_call_that_was_held():
    here = account(Stage.PAID_CALL)
    here.calls.create(
        external_id="c", kind="consultation", status="held", starts_at=NOW, ends_at=NOW + timedelta(hours=1)
    )
    before = snapshot(here)
    with pytest.raises(Refused):
        here.leave_paid_call(by=None, now=NOW, cause="event:2")
    assert snapshot(here) == before
    here.leave_paid_call(by=user(), now=NOW, cause="account")
    assert here.stage == Stage.OUTSIDE


@pytest.mark.parametrize(
    ("cause", "by_whom", "later", "words"),
    [
        ("board", "same", timedelta(minutes=9, seconds=59), ""),
        ("board", "same", timedelta(minutes=10), "more than 10 minutes ago"),
        ("board", "other", timedelta(0), "only they can undo it"),
        ("playbook:test", "nobody", timedelta(days=6, hours=23), ""),
        ("playbook:test", "nobody", timedelta(days=7), "more than 7 days ago"),
        ("event:9", "nobody", timedelta(days=6), ""),
    ],
)
def test_who_may_undo_a_move_and_for_how_long(cause, by_whom, later, words):
    me, here = user(), account(Stage.NEW)
    by = {"same": me, "other": user(), "nobody": None}[by_whom]
    here.move(Stage.INITIATED, by=by, now=NOW, cause=cause)
    before = snapshot(here)
    if words:
        with pytest.raises(Refused, match=words):
            here.undo(by=me, now=NOW + later)
        assert snapshot(here) == before
    else:
        here.undo(by=me, now=NOW + later)
        assert (here.stage, here.version, replayed(here)) == (Stage.NEW, 3, Stage.NEW)


def test_an_undo_cannot_be_undone_and_neither_can_a_first_load():
    me, here = user(), account(Stage.NEW)
    with pytest.raises(Refused, match="first load"):
        here.undo(by=me, now=NOW)
    here.move(Stage.INITIATED, by=me, now=NOW, cause="board")
    here.undo(by=me, now=NOW)
    before = snapshot(here)
    with pytest.raises(Refused, match="undo cannot be undone"):
        here.undo(by=me, now=NOW)
    assert snapshot(here) == before


def test_undo_is_refused_once_somebody_else_has_moved_the_account():
    me, dan, here = user(), user(first_name="Dan"), account(Stage.NEW)
    mine = here.move(Stage.INITIATED, by=me, now=NOW, cause="board")
    here.move(Stage.ENGAGED_EMAIL, by=dan, now=NOW, cause="board")
    before = snapshot(here)
    with pytest.raises(Conflict, match="Dan moved it"):
        here.undo(by=me, now=NOW, transition_id=mine.pk)
    with pytest.raises(Conflict, match="Dan moved it"):
        here.undo(by=me, now=NOW, version=2)
    assert snapshot(here) == before


def test_undo_drops_the_tasks_and_alerts_a_move_made_and_brings_back_those_it_ended():
    me, here = user(), account(Stage.NEW)
    Alert.objects.create(account=here, kind="missed-outreach", subject="entry:1", text="Late", raised_at=NOW)
    here.recount()
    row = here.move(Stage.INITIATED, by=None, now=NOW, cause="playbook:test")
    here.refresh_from_db()
    assert here.open_alerts == 0
    task = here.add_task("Send it", in_days(2), by=None, now=NOW, transition=row)
    mine = here.add_task("My own", in_days(3), by=me, now=NOW)
    here.undo(by=me, now=NOW)
    task.refresh_from_db()
    mine.refresh_from_db()
    here.refresh_from_db()
    assert (task.dropped, task.done_at, mine.done_at) == (True, NOW, None)
    assert (here.open_alerts, here.next_task_on) == (1, in_days(3))


def test_a_persons_move_releases_a_held_or_quarantined_account_and_a_playbooks_does_not():
    here = account(Stage.NEW)
    Account.objects.filter(pk=here.pk).update(held_by="import:1", quarantine="3. Onboarded")
    here.move(Stage.INITIATED, by=None, now=NOW, cause="playbook:test")
    here.refresh_from_db()
    assert here.held_by == "import:1"
    person = user()
    here.move(Stage.ENGAGED_EMAIL, by=person, now=NOW, cause="board")
    here.refresh_from_db()
    assert (here.held_by, here.quarantine) == ("", "")
    here.undo(by=person, now=NOW)
    here.refresh_from_db()
    assert (here.held_by, here.quarantine) == ("import:1", "3. Onboarded")


def test_a_first_load_moves_nobody_who_is_here_and_never_into_the_future():
    here, new = account(Stage.NEW), account()
    with transaction.atomic():
        placed = Account.objects.all().first_load(
            {
                here.pk: (Stage.CHURNED, NOW),
                new.pk: (Stage.SECOND_CALL_COMPLETED, NOW + timedelta(days=3)),
            },
            by=None,
            now=NOW,
        )
    new.refresh_from_db()
    here.refresh_from_db()
    assert set(placed) == {new.pk}
    assert (here.stage, here.version) == (Stage.NEW, 1)
    assert (new.stage, new.stage_since, new.engaged_at, new.engaged_via) == (
        Stage.SECOND_CALL_COMPLETED,
        NOW,
        NOW,
        "call",
    )
    assert new.intro_call_completed_at == NOW


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [(30, 44, True), (30, 45, False), (30, 16, True), (30, 15, False), (30, None, True)],
)
def test_a_renewal_that_moves_less_than_15_days_is_the_same_renewal(old, new, kept):
    here = account(next_renewal_on=in_days(old))
    Account.objects.filter(pk=here.pk).update(next_renewal_on=in_days(new) if new else None)
    here.refresh_from_db()
    assert here.renewal_anchor_on == in_days(old if kept else new)


def test_a_renewal_that_creeps_is_compared_with_the_date_last_seen():
    here = account(next_renewal_on=in_days(0))
    for new in (10, 20, 30):
        Account.objects.filter(pk=here.pk).update(next_renewal_on=in_days(new))
    here.refresh_from_db()
    assert here.renewal_anchor_on == in_days(0)


def test_an_annual_plan_renews_with_its_contract():
    here = account(plan="annual", next_renewal_on=in_days(3), contract_renewal_on=in_days(200))
    here.refresh_from_db()
    assert here.renewal_on == here.renewal_anchor_on == in_days(200)
    without = account(plan="annual", next_renewal_on=in_days(3))
    without.refresh_from_db()
    assert without.renewal_on == without.renewal_anchor_on == in_days(3)


def test_who_is_behind_a_move_is_read_from_its_cause():
    assert [is_automatic(cause) for cause in ("playbook:x", "event:1", "undo:1", "import", "board")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_nobody_can_be_deleted_who_stands_in_the_history():
    person = user()
    account(Stage.NEW).move(Stage.INITIATED, by=person, now=NOW, cause="board")
    with pytest.raises(Exception, match="Deactivate"):
        person.delete()
    person.groups.clear()
    refused_by_the_database("DELETE FROM crm_user WHERE id = %s; SET CONSTRAINTS ALL IMMEDIATE", person.pk)
