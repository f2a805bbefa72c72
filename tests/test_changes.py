"""What open pages are told of others' changes."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.crm.models import Account
from apps.crm.models.touched import mark_of_now
from apps.crm.pipeline import Stage
from tests.factories import NOW, TODAY, account, call, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def viewer(client):
    client.force_login(user("viewer"))
    return client


def told(client, since):
    answer = client.get("/changes/", {"since": since})
    return answer.json() if answer.status_code == 200 else answer.status_code


def test_a_move_a_note_and_an_edit_are_told_once_and_then_nothing(viewer):
    here, person = account(Stage.NEW), user()
    account(Stage.NEW)
    since = mark_of_now()
    assert told(viewer, since) == 204
    for change in (
        lambda: here.move(Stage.INITIATED, by=person, now=NOW, cause="board"),
        lambda: here.add_note("Called", by=person, now=NOW),
        lambda: here.add_task("Call", TODAY, by=person, now=NOW),
        lambda: here.edit(now=NOW, owner=person),
    ):
        change()
        answer = told(viewer, since)
        assert [row["id"] for row in answer["accounts"]] == [here.pk]
        since = answer["since"]
        assert told(viewer, since) == 204
    assert answer["accounts"] == [{"id": here.pk, "stage": "initiated", "version": 2}]


def test_what_is_done_about_a_task_or_an_alert_is_told(viewer):
    """Also what leaves every count of its account as it was."""
    here, me, dan = account(Stage.NEW), user(), user()
    task = here.add_task("Call", TODAY, by=me, now=NOW)
    here.add_task("Call first", TODAY, by=me, now=NOW)
    alert = here.alerts.create(kind="missed-outreach", text="Late", raised_at=NOW)
    since = mark_of_now()
    for change in (
        lambda: task.reword("Call again", remind_on=None, seen="Call"),
        lambda: task.assign(dan, seen=task.assignee_id, by=me, now=NOW),
        lambda: task.reschedule(TODAY + timedelta(days=2), seen=TODAY),
        lambda: task.finish(by=me, now=NOW),
        lambda: alert.acknowledge(by=me, now=NOW),
        lambda: alert.snooze(TODAY + timedelta(days=2)),
        lambda: alert.assign(dan, seen=None, by=me, now=NOW),
        lambda: alert.resolve(by=me, now=NOW),
    ):
        assert change()
        answer = told(viewer, since)
        assert [row["id"] for row in answer["accounts"]] == [here.pk]
        since = answer["since"]
        assert told(viewer, since) == 204


def test_what_is_said_of_a_call_and_who_takes_it_is_told(viewer):
    """Also where no fact of the account changes with it."""
    here, dan = account(Stage.INTRO_CALL_COMPLETED), user()
    met = call(here, "", starts_at=NOW - timedelta(hours=2))
    since = mark_of_now()
    for change in (
        lambda: met.add_host(dan),
        lambda: met.remove_host(dan),
        lambda: met.mark(met.Status.NO_SHOW, by=dan, now=NOW, cause="list").changed,
        lambda: met.mark(met.Status.BOOKED, by=dan, now=NOW, cause="list").changed,
    ):
        assert change()
        answer = told(viewer, since)
        assert [row["id"] for row in answer["accounts"]] == [here.pk]
        since = answer["since"]


@pytest.mark.parametrize(
    ("address", "here", "not_here"),
    [
        ("/calls/changed/?kind=intro", "Acorn", "Birch"),
        ("/calls/changed/?kind=second", "Birch", "Acorn"),
        ("/hygiene/changed/?owner=none", "Acorn", "nothing else"),
        ("/hygiene/changed/?owner=me", "contradicts itself", "Acorn"),
    ],
)
def test_the_desk_and_the_contradictions_are_drawn_anew_as_they_are_filtered(client, address, here, not_here):
    client.force_login(user())
    for name, kind in (("Acorn", "intro"), ("Birch", "second")):
        call(account(Stage.CALL_BOOKED, name=name), kind, starts_at=timezone.now() - timedelta(hours=30))
    page = client.get(address).text
    assert (here in page, not_here in page, 'hx-target="#count-tasks"' in page) == (True, False, True)


def test_what_no_page_shows_is_not_told(viewer):
    account(Stage.NEW)
    since = mark_of_now()
    Account.objects.update(decided_under=1, decided_until=TODAY)
    assert told(viewer, since) == 204


def test_a_change_that_is_committed_late_is_not_missed(viewer):
    slow, quick, person = account(Stage.NEW), account(Stage.NEW), user()
    since = mark_of_now()
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("UPDATE crm_account SET notes_count = 9 WHERE id = %s", [slow.pk])
        quick.edit(now=NOW, owner=person)
        answer = told(viewer, since)
        assert [row["id"] for row in answer["accounts"]] == [quick.pk]
        other.commit()
        late = told(viewer, answer["since"])
        assert [row["id"] for row in late["accounts"]] == [slow.pk]
    finally:
        other.close()


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 30, "1\0:2:", "5:4:", "9" * 19 + ":1:", "1:9:8,7"])
def test_an_unreadable_mark_starts_anew(viewer, since):
    answer = told(viewer, since)
    assert (answer["accounts"], answer["all"], ":" in answer["since"]) == ([], True, True)


def test_a_poll_that_finds_nothing_is_one_look_at_an_index(viewer):
    since = mark_of_now()
    told(viewer, since)
    with CaptureQueriesContext(connection) as captured:
        assert told(viewer, since) == 204
    assert len(captured) == 3  # session, user with roles, accounts


def test_a_visitor_is_told_nothing(client):
    assert client.get("/changes/", headers={"HX-Request": "true"}).status_code == 401
    assert client.get("/changes/").status_code == 302


def test_the_rows_that_others_changed_come_back_with_the_counts_above(client):
    person, one, two = user(), account(Stage.NEW), account(Stage.INITIATED)
    client.force_login(person)
    one.edit(now=NOW, owner=person)
    page = client.get(f"/daily/changed/?ids={one.pk},{two.pk},x,,{'9' * 25}").content.decode()
    assert f'<tr id="a{one.pk}"' in page
    assert f'<tr id="a{two.pk}"' in page
    assert page.count("<tr ") == 2
    assert 'id="pile-mine">1<' in page


def new_to(client):
    page = client.get("/?fresh=1").content.decode()
    return page.count("data-fresh")


def test_what_entered_or_renews_another_day_is_new_until_i_have_seen_it(client):
    person = user(date_joined=NOW - timedelta(days=30))
    client.force_login(person)
    old = account(Stage.NEW, since=NOW - timedelta(days=40))
    entered = account(Stage.NEW, since=NOW)
    assert new_to(client) == 1
    assert "1 new since you looked" in client.get("/").content.decode()
    drawn = timezone.now()
    old.edit(now=NOW, next_renewal_on=TODAY + timedelta(days=3))
    assert new_to(client) == 2
    answer = client.post("/daily/looked/", {"until": drawn.isoformat()})
    assert (answer.status_code, answer.url) == (302, "/")
    assert new_to(client) == 1
    client.post("/daily/looked/", {"until": (drawn - timedelta(days=9)).isoformat()})
    client.post("/daily/looked/", {"until": "yesterday"})
    assert new_to(client) == 1
    client.post("/daily/looked/", {"until": (timezone.now() + timedelta(days=9)).isoformat()})
    person.refresh_from_db()
    assert new_to(client) == 0
    assert person.looked_at <= timezone.now()
    assert entered.stage == Stage.NEW
