"""The tasks page: what it shows by the reader's days, what each change does and answers, and who may."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.crm.models import Account, Task
from apps.crm.models.task import NEXT_STEPS
from apps.crm.pipeline import Stage
from apps.web.views.tasking import CHANGES
from tests.answers import toast
from tests.factories import NOW, TODAY, account, in_days, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

# What each change needs to succeed on a task due in three days and nobody's.
VALUES = {
    "finish": {},
    "reopen": {},
    "drop": {},
    "day": {"due_on": str(in_days(9)), "seen": str(in_days(3))},
    "assign": {"assignee": "", "seen": ""},
    "edit": {"title": "Write to them", "seen": "Call them"},
}


@pytest.fixture
def me():
    return user(first_name="Mia", last_name="Berg")


def task(title="Call them", due_on=None, *, of=None, **fields):
    """An open task, due in three days, of a new account unless one is given."""
    of = of or account(Stage.NEW)
    return of.add_task(title, due_on or in_days(3), **{"by": None, "now": NOW, **fields})


def ready_for(action, by, **fields):
    """A task in the state a change is for."""
    made = task(**fields)
    if action == "reopen":
        made.finish(by=by, now=NOW)
    return made


def post(client, action, of, /, query="", **values):
    return client.post(reverse(f"web:task_{action}", args=[of.pk]) + query, {"from": "tasks"} | values)


def undo(client, answer):
    return client.post(toast(answer)["undo"]["url"], toast(answer)["undo"]["values"])


def kept(of):
    """Everything a refusal must leave as it was."""
    return list(Task.objects.order_by("pk").values()), Account.objects.values().get(pk=of.account_id)


def titles(client, query=""):
    """The titles of the tasks on the page, in order."""
    return re.findall(r'<tr id="task-\d+"[^>]* data-title="([^"]*)"', client.get(f"/tasks/{query}").text)


def counts(text, nav):
    block = text.split(f'id="task-{nav}"')[1].split("</nav>")[0]
    return re.findall(r">([^<>]+) <span class=\"count\">([\d,+]+)</span>", block)


def of_every_day(me):
    """A task of mine for each part of the page, and one that is somebody else's."""
    task("Late", in_days(-1), assignee=me), task("Now", in_days(0), assignee=me)
    task("Tomorrow", in_days(1), assignee=me), task("In six", in_days(6), assignee=me)
    task("In seven", in_days(7), assignee=me)
    task("Ended", in_days(2), assignee=me).finish(by=me, now=NOW)
    task("Dropped", in_days(2), assignee=me).drop(by=me, now=NOW)
    task("Theirs", in_days(-4), assignee=user()), task("Free", in_days(0))


def test_the_page_shows_my_open_tasks_and_counts_every_part(browser, me):
    of_every_day(me)
    text = browser.get("/tasks/").text
    assert titles(browser) == ["Late", "Now", "Tomorrow", "In six", "In seven"]
    assert counts(text, "whose") == [("Mine", "5"), ("All", "7"), ("Nobody’s", "1")]
    assert counts(text, "when") == [
        *(("Open", "5"), ("Overdue", "1"), ("Today", "1")),
        *(("This week", "2"), ("Later", "1"), ("Done", "1")),
    ]
    assert '<span class="count" id="count-tasks">2</span>' in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?due=overdue", ["Late"]),
        ("?due=today", ["Now"]),
        ("?due=week", ["Tomorrow", "In six"]),
        ("?due=later", ["In seven"]),
        ("?due=done", ["Ended"]),
        ("?assignee=all&due=overdue", ["Theirs", "Late"]),
        ("?assignee=none", ["Free"]),
        ("?sort=-due", ["In seven", "In six", "Tomorrow", "Now", "Late"]),
    ],
)
def test_each_filter_shows_its_own_and_nothing_else(browser, me, query, expected):
    of_every_day(me)
    assert titles(browser, query) == expected


def test_every_count_is_what_its_link_shows(browser, me):
    of_every_day(me)
    text = browser.get("/tasks/?assignee=all").text
    links = re.findall(r'<a href="/tasks/([^"]*)"[^>]*>[^<>]+ <span class="count">(\d+)', text)
    assert len(links) == 9
    for address, count in links:
        assert len(titles(browser, address.replace("&amp;", "&"))) == int(count)


def test_a_row_says_all_there_is_to_know(browser, me):
    of = account(Stage.INITIATED, name="Blue <b> Harbor", next_renewal_on=in_days(10))
    task("Send the final outreach", in_days(-2), of=of, assignee=me, cause="playbook:final-outreach-due")
    text = browser.get("/tasks/").text
    for words in (
        "Send the final outreach",
        "Blue &lt;b&gt; Harbor",
        "2. Onboarding Initiated",
        "1 Dec <small>· 10 d",
        '19 Nov <small>· <b class="bad">2 days ago</b>',
        "Mia Berg",
        "Playbook final-outreach-due",
    ):
        assert words in text


def test_days_are_the_readers_own(browser, me):
    task("Due", date(2026, 11, 21), assignee=me)
    for zone, part in (("Pacific/Kiritimati", "overdue"), ("Pacific/Pago_Pago", "week"), ("UTC", "today")):
        me.time_zone = zone
        me.save()
        moment = {
            "overdue": datetime(2026, 11, 21, 12, tzinfo=UTC),
            "week": datetime(2026, 11, 21, 6, tzinfo=UTC),
        }
        with time_machine.travel(moment.get(part, NOW), tick=False):
            browser.force_login(me)
            assert titles(browser, f"?due={part}") == ["Due"]
            bar = browser.get("/playbooks/").text
            assert f'id="count-tasks">{"" if part == "week" else 1}</span>' in bar


@pytest.mark.parametrize(
    ("query", "notice"),
    [
        ("?due=soon", "Due “soon” is not known here, so it was ignored."),
        (
            "?assignee=99999999999999999999",
            "Assignee “99999999999999999999” is not known here, so it was ignored.",
        ),
        ("?sort=title", "Sort order “title” is not known here, so it was ignored."),
        ("?colour=red", "There is no filter “colour”, so it was ignored."),
        ("?cursor=broken", "That page of the list is not there any more; this is the first one."),
        ("?due=%00&sort=%00", "is not known here, so it was ignored."),
    ],
)
def test_what_is_not_known_is_ignored_with_a_notice(browser, me, query, notice):
    task(assignee=me)
    answer = browser.get(f"/tasks/{query}")
    assert (answer.status_code, titles(browser, query)) == (200, ["Call them"])
    assert notice in answer.text


def test_the_list_goes_on_by_cursor_and_its_queries_do_not_grow(browser, me):
    def queries():
        with CaptureQueriesContext(connection) as made:
            browser.get("/tasks/?assignee=all")
        return len(made)

    of = account(Stage.NEW)
    task("First", of=of, assignee=me, by=me)
    few = queries()
    for number in range(59):
        task(
            f"Task {number}",
            of=account(Stage.NEW) if number < 4 else of,
            assignee=user() if number < 4 else None,
        )
    assert queries() <= few
    text = browser.get("/tasks/?assignee=all").text
    more = text.split('id="more"')[1].split('href="')[1].split('"')[0].replace("&amp;", "&")
    first, second = titles(browser, "?assignee=all"), titles(browser, more.removeprefix("/tasks/"))
    assert (len(first), len(second), {*first} & {*second}) == (50, 10, set())
    # What was gone on to stays there when a change is answered.
    url = reverse("web:task_finish", args=[Task.objects.get(title="First").pk])
    answer = browser.post(f"{url}?assignee=all", {"from": "tasks"}, headers={"Rows": "60"})
    assert answer.text.count('<tr id="task-') == 59


def test_a_task_is_done_and_undone_where_it_stands(browser, me):
    done = task(assignee=me)
    answer = post(browser, "finish", done, "?due=week")
    done.refresh_from_db()
    assert (answer.status_code, done.done_at, done.done_by) == (200, NOW, me)
    assert Account.objects.get(pk=done.account_id).next_task_on is None
    assert "task-" + str(done.pk) not in answer.text
    assert '<hx-partial hx-target="#count-tasks" hx-swap="innerHTML">' in answer.text
    assert undo(browser, answer).status_code == 200
    done.refresh_from_db()
    assert (done.done_at, done.done_by) == (None, None)
    assert Account.objects.get(pk=done.account_id).next_task_on == in_days(3)


@pytest.mark.parametrize(
    ("step", "due"),
    [
        ("circle-back", date(2026, 11, 30)),
        ("second-call", date(2026, 11, 24)),
        ("homework", date(2026, 11, 23)),
    ],
)
def test_a_next_step_is_one_press_on_a_working_day_and_can_be_undone(browser, me, step, due):
    dan = user(first_name="Dan")
    done = task(assignee=dan)
    offered = post(browser, "finish", done).text
    assert all(words.words in offered for words in NEXT_STEPS.values())
    answer = post(browser, "next", done, step=step)
    made = Task.objects.exclude(pk=done.pk).get()
    assert (answer.status_code, made.title, made.due_on, made.assignee, made.created_by) == (
        *(200, NEXT_STEPS[step].words, due),
        *(dan, me),
    )
    assert undo(browser, answer).status_code == 200
    made.refresh_from_db()
    assert (made.dropped, Account.objects.get(pk=made.account_id).next_task_on) == (True, None)


def test_another_day_a_colleague_and_other_words_each_with_undo(browser, me):
    one, dan = task(assignee=me), user(first_name="Dan", last_name="Ohm")
    for action, values, words, now, before in (
        ("day", VALUES["day"], "is due 30 Nov, in 9 days.", {"due_on": in_days(9)}, {"due_on": in_days(3)}),
        (
            "assign",
            {"assignee": dan.pk, "seen": me.pk},
            "is Dan Ohm’s now.",
            {"assignee": dan},
            {"assignee": me},
        ),
        (
            "edit",
            {"title": "Write", "seen": "Call them", "remind_on": str(in_days(1))},
            "It says “Write” now.",
            {"title": "Write", "remind_on": in_days(1)},
            {"title": "Call them", "remind_on": None},
        ),
    ):
        answer = post(browser, action, one, **values)
        assert (answer.status_code, toast(answer)["text"].endswith(words)) == (200, True)
        assert Task.objects.filter(pk=one.pk, **now).exists()
        assert undo(browser, answer).status_code == 200
        assert Task.objects.filter(pk=one.pk, **before).exists()


def test_a_reminder_is_given_once():
    one = task()
    one.reword("Call them", remind_on=in_days(1), seen="Call them")
    assert not Task.objects.to_remind(TODAY).exists()
    due = Task.objects.to_remind(in_days(1))
    assert list(due) == [one]
    assert [Task.objects.filter(pk=one.pk).reminded(now=NOW) for _ in range(2)] == [1, 0]
    one.refresh_from_db()
    one.reword("Call them", remind_on=in_days(2), seen="Call them")
    assert not Task.objects.to_remind(in_days(5)).exists()


@pytest.mark.parametrize(
    ("action", "first", "sentence"),
    [
        ("finish", lambda t, dan: t.finish(by=dan, now=NOW), "Dan Ohm finished “Call them” already."),
        ("finish", lambda t, dan: t.drop(by=dan, now=NOW), "“Call them” was dropped meanwhile."),
        ("day", lambda t, dan: t.finish(by=dan, now=NOW), "Dan Ohm finished “Call them” already."),
        (
            "day",
            lambda t, dan: t.reschedule(in_days(1), seen=in_days(3)),
            "Somebody else moved it meanwhile: it is due 22 Nov, tomorrow.",
        ),
        (
            "assign",
            lambda t, dan: t.assign(dan, seen=None, by=None, now=NOW),
            "It was given to Dan Ohm meanwhile.",
        ),
        (
            "edit",
            lambda t, dan: t.reword("Ring them", remind_on=None, seen="Call them"),
            "Somebody else changed it meanwhile: it says “Ring them”.",
        ),
        ("reopen", lambda t, dan: t.reopen(), "“Call them” is open again already."),
        ("drop", lambda t, dan: t.finish(by=dan, now=NOW), "Dan Ohm finished “Call them” already."),
    ],
)
def test_the_second_of_two_is_told_and_changes_nothing(browser, me, action, first, sentence):
    one = ready_for(action, me)
    assert first(Task.objects.get(pk=one.pk), user(first_name="Dan", last_name="Ohm"))
    before = kept(one)
    answer = post(browser, action, one, **VALUES[action])
    assert (answer.status_code, kept(one)) == (409, before)
    assert (toast(answer)["text"], toast(answer)["bad"], "undo" in toast(answer)) == (sentence, True, False)
    assert 'hx-target="#task-rows"' in answer.text


@pytest.mark.parametrize("role", ["viewer", "revenue", "specialist", "lead", "admin"])
def test_who_only_reads_sees_the_page_without_buttons_and_is_refused(client, role):
    person = user(role)
    client.force_login(person)
    works = role not in ("viewer", "revenue")
    one = ready_for("finish", person, assignee=person)
    text = client.get("/tasks/").text
    assert "Call them" in text
    assert (("data-action" in text), ("<template" in text)) == (works, works)
    for action in (*CHANGES, "next"):
        one = ready_for(action, person)
        before = kept(one)
        answer = post(client, action, one, **VALUES.get(action, {"step": "homework"}))
        assert answer.status_code == (200 if works else 403)
        assert (kept(one) == before) is (not works or action == "assign")


@pytest.mark.parametrize(
    ("action", "values", "sentence"),
    [
        ("day", {"due_on": ""}, "Say by which day."),
        ("day", {"due_on": "0001-01-01"}, "The day is between the years 2000 and 2100."),
        ("day", {"due_on": "soon"}, "The day is written like 2026-12-01."),
        ("day", {"due_on": "2026-02-30"}, "The day is written like 2026-12-01."),
        ("day", {"seen": ""}, "Say by which day it was due."),
        ("edit", {"title": "  "}, "Say what there is to do."),
        ("edit", {"title": "x" * 301}, "Ensure this value has at most 300 characters (it has 301)."),
        ("edit", {"remind_on": "x"}, "The day is written like 2026-12-01."),
        ("assign", {"assignee": "9" * 20}, "It can be given to a specialist, a lead or an admin."),
        ("assign", {"seen": "x"}, "Enter a whole number."),
        ("next", {}, "Say which step."),
        ("next", {"step": "party"}, "There is no step “party”."),
        ("edit", {"title": "a\x00b"}, "Null characters are not allowed."),
    ],
)
def test_bad_input_gets_a_sentence_and_changes_nothing(browser, action, values, sentence):
    one = task()
    before = kept(one)
    answer = post(browser, action, one, **VALUES.get(action, {}) | values)
    assert (answer.status_code, kept(one)) == (422, before)
    assert toast(answer)["text"] == sentence


def test_a_task_cannot_be_given_to_who_only_reads(browser):
    one, viewer = task(), user("viewer")
    assert post(browser, "assign", one, assignee=viewer.pk).status_code == 422
    assert Task.objects.get(pk=one.pk).assignee is None


@pytest.mark.parametrize("action", [*CHANGES, "next"])
def test_a_change_wants_a_post_a_known_task_a_token_and_a_login(browser, me, action):
    one = ready_for(action, me)
    before, address = kept(one), reverse(f"web:task_{action}", args=[one.pk])
    values = VALUES.get(action, {"step": "homework"})
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(me)
    assert browser.get(address).status_code == 405
    assert strict.post(address, values).status_code == 403
    assert Client().post(address, values).status_code == 302
    assert browser.post(f"/tasks/{one.pk + 1}/{action}/", values).status_code == 404
    assert kept(one) == before


def test_a_change_beside_the_list_draws_what_slid_over_it_and_the_list(browser, me):
    one = task(assignee=me)
    other = task("Another", of=one.account, assignee=me)
    answer = post(browser, "finish", one, **{"from": "account", "behind": "tasks"})
    assert 'hx-target="#account"' in answer.text
    assert f'<tr id="task-{other.pk}"' in answer.text
    assert f'<tr id="task-{one.pk}"' not in answer.text
    later = timedelta(days=1)
    assert Task.objects.get(pk=other.pk).due_on - later == in_days(2)


@pytest.mark.parametrize("origin", ["tasks", "list", "account"])
def test_the_second_of_two_is_shown_both_values_of_a_task_and_keeps_their_own_at_will(browser, me, origin):
    one = task(assignee=me)
    dan = user(first_name="Dan", last_name="Ohm")
    eve = user(first_name="Eve", last_name="Ohm")
    for action, first, mine, theirs, kept_mine in (
        (
            "day",
            {"due_on": in_days(1)},
            {"due_on": in_days(9), "seen": in_days(3)},
            "due 22 Nov, tomorrow",
            in_days(9),
        ),
        ("assign", {"assignee": dan}, {"assignee": eve.pk, "seen": me.pk}, "Dan Ohm", eve),
        (
            "edit",
            {"title": "Ring them"},
            {"title": "Write", "seen": "Call them", "remind_on": ""},
            "Ring them",
            "Write",
        ),
    ):
        Task.objects.filter(pk=one.pk).update(**first)
        answer = post(browser, action, one, **mine, **{"from": origin})
        assert answer.status_code == 409
        assert f"<dd>{theirs}</dd>" in answer.text
        [field] = first
        assert Task.objects.filter(pk=one.pk, **first).exists()
        clash = answer.text.partition('id="clash"')[2].partition("</section>")[0]
        values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', clash))
        address = re.search(r'action="([^"]+)"', clash)[1]
        assert browser.post(address, values).status_code == 200
        assert getattr(Task.objects.get(pk=one.pk), field) == kept_mine
