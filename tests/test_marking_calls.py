"""What follows when a call is said to be held, missed, cancelled or booked after all; by people and by events."""

from datetime import timedelta
from itertools import permutations

import pytest

from apps.crm.models import Account, Call, StageTransition, Task
from apps.crm.models.moving import Conflict, Refused
from apps.crm.pipeline import Stage
from tests.factories import NOW, TODAY, account, call, snapshot, user

pytestmark = pytest.mark.django_db

BOOKED, HELD, NO_SHOW, CANCELED = (
    Call.Status.BOOKED,
    Call.Status.HELD,
    Call.Status.NO_SHOW,
    Call.Status.CANCELED,
)
EVENT = {"by": None, "now": NOW, "cause": "event:7"}


def stage(of):
    return Account.objects.get(pk=of.account_id).stage


def open_tasks(of):
    return [*Task.objects.open().filter(account=of.account_id).values_list("title", "due_on", "cause")]


def kept(of):
    return snapshot(of.account), Call.objects.values().get(pk=of.pk)


@pytest.mark.parametrize("person", [True, False])
@pytest.mark.parametrize(
    ("kind", "at", "to"),
    [
        ("intro", Stage.CALL_BOOKED, Stage.INTRO_CALL_COMPLETED),
        ("second", Stage.INTRO_CALL_COMPLETED, Stage.SECOND_CALL_COMPLETED),
        *(("intro", at, at) for at in Stage if at not in (Stage.CALL_BOOKED,)),
        *(("second", at, at) for at in Stage if at not in (Stage.INTRO_CALL_COMPLETED,)),
        *(("consultation", at, at) for at in Stage),
        *(("", at, at) for at in Stage),
    ],
)
def test_a_held_call_moves_the_account_from_one_stage_alone(kind, at, to, person):
    held = call(account(at), kind)
    made = held.mark(HELD, by=user() if person else None, now=NOW, cause="list" if person else "event:7")
    assert (made.changed, held.status, held.marked_at, stage(held)) == (True, HELD, NOW, to)
    moves = StageTransition.objects.filter(account=held.account_id, version__gt=1 if at else 0)
    assert [row.pk for row in moves] == ([made.moved.pk] if to != at else [])
    assert bool(made.stayed) == (to == at and kind != "consultation")
    asked = [("Say which call was held, and move the account", TODAY, f"call:{held.pk}")]
    assert open_tasks(held) == (asked if kind == "" else [])


def test_a_held_call_is_an_engagement_unless_there_was_one():
    first, again = call(account(Stage.INITIATED)), call(account(Stage.ENGAGED_EMAIL))
    before = Account.objects.get(pk=again.account_id).engaged_via
    first.mark(HELD, **EVENT)
    again.mark(HELD, **EVENT)
    engaged = Account.objects.values_list("engaged_at", "engaged_via").get(pk=first.account_id)
    assert engaged == (NOW, "call")
    assert Account.objects.get(pk=again.account_id).engaged_via == before == "email"


def test_a_mark_said_twice_has_one_effect():
    unknown = call(account(Stage.CALL_BOOKED), "")
    assert unknown.mark(HELD, **EVENT).changed
    before = kept(unknown)
    assert not unknown.mark(HELD, **EVENT).changed
    assert kept(unknown) == before


@pytest.mark.parametrize(
    "said",
    [
        [(NO_SHOW, 1), (BOOKED, 2)],
        [(NO_SHOW, 1), (HELD, 2), (NO_SHOW, 3)],
        [(CANCELED, 1), (HELD, 1)],
        [(CANCELED, 1), (NO_SHOW, 1), (BOOKED, 1)],
        [(NO_SHOW, 1), (HELD, 2), (BOOKED, 3)],
    ],
)
def test_events_in_any_order_end_the_same(said):
    ends = set()
    for order in permutations(said):
        told = call(account(Stage.PAID_CALL), "consultation")
        for status, minute in order:
            told.mark(status, **EVENT, at=NOW + timedelta(minutes=minute))
        told.refresh_from_db()
        ends.add((told.status, told.marked_at))
    assert len(ends) == 1


@pytest.mark.parametrize("order", [("intro", "second"), ("second", "intro")])
def test_two_calls_held_end_in_4b_whichever_is_heard_of_first(order):
    of = account(Stage.CALL_BOOKED)
    calls = {
        "intro": call(of, "intro", starts_at=NOW - timedelta(days=9)),
        "second": call(of, "second", starts_at=NOW - timedelta(days=2)),
    }
    for kind in order:
        calls[kind].mark(HELD, **EVENT)
    of.refresh_from_db()
    assert (of.stage, of.version) == (Stage.SECOND_CALL_COMPLETED, 3)


def test_a_second_call_of_an_earlier_life_moves_nothing():
    of = account(Stage.CALL_BOOKED)
    old = call(of, "second", starts_at=NOW - timedelta(days=90))
    old.mark(HELD, **EVENT)
    call(of, "intro").mark(HELD, **EVENT)
    of.refresh_from_db()
    assert of.stage == Stage.INTRO_CALL_COMPLETED


def test_an_older_event_does_not_come_over_a_persons_word():
    told, me = call(account(Stage.PAID_CALL), "consultation"), user()
    told.mark(NO_SHOW, **EVENT, at=NOW + timedelta(seconds=40))
    told.mark(BOOKED, by=me, now=NOW, cause="list", seen=NO_SHOW)
    assert (told.status, told.marked_by) == (BOOKED, me)
    told.mark(NO_SHOW, **EVENT, at=NOW + timedelta(seconds=20))
    assert told.status == BOOKED
    told.mark(HELD, **EVENT, at=NOW + timedelta(minutes=5))
    assert (told.status, told.marked_by) == (HELD, None)


def test_a_cancelled_call_asks_to_be_rebooked_and_moves_nothing():
    owner = user()
    told = call(account(Stage.CALL_BOOKED, owner=owner))
    told.mark(CANCELED, **EVENT)
    task = Task.objects.get(account=told.account_id)
    assert (stage(told), task.title, task.due_on, task.assignee) == (
        Stage.CALL_BOOKED,
        "Rebook the call that was cancelled",
        TODAY,
        owner,
    )
    told.mark(BOOKED, by=owner, now=NOW, cause="list")
    task.refresh_from_db()
    assert (task.done_at, task.dropped, open_tasks(told)) == (NOW, True, [])


def test_a_call_that_was_rescheduled_asks_nobody():
    told = call(account(Stage.CALL_BOOKED))
    assert told.mark(CANCELED, **EVENT, rescheduled=True).changed
    assert (told.status, open_tasks(told)) == (CANCELED, [])


@pytest.mark.parametrize("person", [True, False])
def test_taking_a_held_call_back_undoes_its_move_if_a_person_does(person):
    me = user()
    held = call(account(Stage.CALL_BOOKED))
    held.mark(HELD, by=me, now=NOW, cause="list")
    who = {"by": me, "cause": "list"} if person else {"by": None, "cause": "event:8"}
    made = held.mark(BOOKED, now=NOW + timedelta(minutes=2), **who)
    assert (held.status, held.transition_id) == (BOOKED, None)
    assert stage(held) == (Stage.CALL_BOOKED if person else Stage.INTRO_CALL_COMPLETED)
    assert bool(made.stayed) == (not person)


def test_taking_a_held_call_back_leaves_an_account_that_has_moved_since():
    me = user()
    held = call(account(Stage.CALL_BOOKED))
    held.mark(HELD, by=me, now=NOW, cause="list")
    held.account.move(Stage.SECOND_CALL_COMPLETED, by=me, now=NOW, cause="list")
    made = held.mark(BOOKED, by=me, now=NOW, cause="list")
    assert (held.status, stage(held)) == (BOOKED, Stage.SECOND_CALL_COMPLETED)
    assert made.stayed.startswith("The account stays in “4b. Second Call Completed”")


def test_taking_a_held_call_back_takes_back_the_engagement_it_alone_recorded():
    me = user()
    held = call(account(Stage.INITIATED))
    held.mark(HELD, by=me, now=NOW, cause="list")
    held.mark(BOOKED, by=me, now=NOW + timedelta(minutes=1), cause="list")
    facts = Account.objects.values_list("engaged_at", "engaged_via").get(pk=held.account_id)
    assert facts == (None, "")


@pytest.mark.parametrize("status", [HELD, NO_SHOW])
@pytest.mark.parametrize(("begins", "refused"), [(0, False), (1, True)])
def test_a_person_marks_a_call_from_the_second_it_begins(status, begins, refused):
    told = call(account(Stage.CALL_BOOKED), starts_at=NOW + timedelta(seconds=begins))
    before = kept(told)
    if not refused:
        assert told.mark(status, by=user(), now=NOW, cause="list").changed
        return
    with pytest.raises(Refused) as error:
        told.mark(status, by=user(), now=NOW, cause="list")
    assert error.value.sentence == "The call has not begun, so it can be neither held nor missed yet."
    assert kept(told) == before
    assert told.mark(status, **EVENT).changed


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (HELD, "Dan marked it held first."),
        (NO_SHOW, "Dan marked it a no-show first."),
        (CANCELED, "Dan marked it cancelled first."),
    ],
)
def test_whoever_comes_second_is_told_and_changes_nothing(status, sentence):
    told = call(account(Stage.CALL_BOOKED))
    mine = Call.objects.get(pk=told.pk)
    told.mark(status, by=user(first_name="Dan"), now=NOW, cause="list", seen=BOOKED)
    before = kept(told)
    for wanted in (HELD, NO_SHOW):
        with pytest.raises(Conflict) as error:
            mine.mark(wanted, by=user(), now=NOW, cause="list", seen=BOOKED)
        assert error.value.sentence == sentence
    assert kept(told) == before


def test_hosts_are_added_once_and_taken_off_once():
    me, told = user(), call(account(Stage.CALL_BOOKED))
    assert [told.add_host(me), told.add_host(me), *told.hosts.all()] == [True, False, me]
    assert [told.remove_host(me), told.remove_host(me), *told.hosts.all()] == [True, False]
