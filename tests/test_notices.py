"""What a person is told of: mentions, and what others give them; the page, the bell, and what it costs."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Account, Alert, Note, Notice, Task, User
from apps.crm.models.moving import Conflict
from apps.crm.models.notice import mentioned
from apps.crm.pipeline import Stage
from apps.playbooks.engine import run
from tests.factories import NOW, account, days, in_days, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def me():
    return user(username="mia", first_name="Mia", last_name="Berg")


@pytest.fixture
def dan():
    return user("lead", username="dan.ohm", first_name="Dan", last_name="Ohm")


def told():
    """Who is told of what, by whom, and whether it is new to them."""
    rows = Notice.objects.order_by("pk").select_related("user", "account", "note", "task", "alert", "by")
    return [(str(one.user), one.kind, one.about, one.actor, one.seen_at is None) for one in rows]


def alert(of, **fields):
    given = {"kind": "failed-payment", "subject": str(Alert.objects.count()), "text": "Bill 7."}
    return Alert.objects.create(account=of, raised_at=NOW, **given | fields)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@mia look", ["mia"]),
        ("Look, @Mia.", ["mia"]),
        ("(@dan.ohm) and @mia's, @mia again", ["dan.ohm", "mia"]),
        ("@dan.", ["dan.ohm"]),
        ("**@mia**\n@dan.ohm", ["dan.ohm", "mia"]),
        ("@nobody", []),
        ("mail@mia.example and x@mia", []),
        ("https://x.example/@mia", []),
        ("`@mia` and\n```\n@dan\n```", []),
        ("@anna", []),
        ("@sam", ["sam"]),
        ("@gone", []),
        ("@" * 20_000, []),
        ("@" + "mia" * 6_000, []),
        ("`" * 20_000, []),
    ],
)
def test_a_name_behind_an_at_is_a_colleagues_login_or_only_first_name(me, dan, text, named):
    user(first_name="Anna")
    user(first_name="Anna")
    user(username="sam")
    user(first_name="Sam")
    user(username="gone", is_active=False)
    assert list(User.objects.filter(pk__in=mentioned(text)).order_by("username").values_list("username")) == [
        (name,) for name in named
    ]


def test_a_note_tells_whom_it_names_but_not_its_author_and_asks_nothing_where_it_names_nobody(me, dan):
    one = account()
    one.add_note("@mia and @dan and @mia", by=dan, now=NOW)
    assert told() == [("Mia Berg", "mention", "@mia and @dan and @mia", "Dan Ohm", True)]
    with CaptureQueriesContext(connection) as asked:
        one.add_note("Nobody at all", by=dan, now=NOW)
    assert not [query for query in asked if "auth" in query["sql"] and "first_name" in query["sql"]]


def test_an_edited_note_tells_those_it_names_newly_and_takes_back_those_it_names_no_more(me, dan):
    tom = user(username="tom")
    note = account().add_note("@mia look", by=dan, now=NOW)
    Notice.objects.all().see(until=NOW, now=NOW)
    assert note.edit("@mia @tom look", by=dan, now=LATER, seen=None)
    assert [(who, new) for who, *_, new in told()] == [("Mia Berg", False), ("tom", True)]
    assert not note.edit("@dan", by=tom, now=LATER, seen=LATER)
    assert len(told()) == 2
    assert note.edit("@tom look", by=dan, now=LATER, seen=LATER)
    assert [who for who, *_ in told()] == ["tom"]


GIVEN = {
    "task added": lambda one, to, by: one.add_task("Call", in_days(1), by=by, now=NOW, assignee=to),
    "task given": lambda one, to, by: one.add_task("Call", in_days(1), by=by, now=NOW).assign(
        to, seen=None, by=by, now=NOW
    ),
    "alert given": lambda one, to, by: alert(one).assign(to, seen=None, by=by, now=NOW),
    "alerts given": lambda one, to, by: Alert.objects.filter(pk=alert(one).pk).assign(to, by=by, now=NOW),
    "account given": lambda one, to, by: one.edit(owner=to, by=by, now=NOW),
}
SAID = {
    "task": ("task", "Call"),
    "alert": ("alert", "Payment failed: Bill 7."),
    "alerts": ("alert", "Payment failed: Bill 7."),
    "account": ("account", ""),
}


@pytest.mark.parametrize("how", GIVEN)
def test_what_somebody_gives_is_told_and_what_one_takes_oneself_is_not(me, dan, how):
    kind, about = SAID[how.split()[0]]
    GIVEN[how](account(), me, me)
    assert told() == []
    GIVEN[how](account(), me, dan)
    GIVEN[how](account(), me, None)
    assert told() == [
        ("Mia Berg", kind, about, "Dan Ohm", True),
        ("Mia Berg", kind, about, "Onramp", True),
    ]


def test_the_database_refuses_a_notice_of_ones_own_doing_and_one_about_two_things(me, dan):
    one = account()
    note = one.add_note("x", by=dan, now=NOW)
    task = one.add_task("x", in_days(1), by=dan, now=NOW)
    for bad in ({"by": me}, {"by": dan, "note": note, "task": task}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Notice.objects.create(user=me, account=one, at=NOW, **bad)
    assert told() == []


def test_what_is_given_again_is_new_again_and_one_row(me, dan):
    one = account()
    task = one.add_task("Call", in_days(1), by=dan, now=NOW, assignee=me)
    Notice.objects.update(seen_at=NOW, told_at=NOW)
    task.assign(None, seen=me.pk, by=dan, now=NOW)
    assert not Notice.objects.standing().exists()
    task.assign(me, seen=None, by=dan, now=LATER)
    assert Notice.objects.standing().unseen().untold().get().at == LATER


def test_an_owner_who_stays_is_not_told_and_a_clash_tells_nobody(me, dan):
    one = account(owner=me)
    one.edit(owner=me, by=dan, now=NOW)
    seen = one.changed_at
    one.edit(domain="a.example", by=dan, now=LATER)
    with pytest.raises(Conflict):
        one.edit(owner=dan, by=me, now=LATER, seen=seen - days(1))
    assert told() == []


def test_a_playbook_tells_whom_its_tasks_and_alerts_are_for_once(me):
    late = account(Stage.NEW, since=NOW - days(20), owner=me, next_renewal_on=in_days(20))
    due = account(Stage.INITIATED, since=NOW - days(30), owner=me, next_renewal_on=in_days(5))
    nobodys = account(Stage.NEW, since=NOW - days(20), next_renewal_on=in_days(20))
    for _ in range(2):
        run(["missed-outreach", "final-outreach-due"], now=NOW)
    assert sorted((who, kind, actor) for who, kind, _, actor, _ in told()) == [
        ("Mia Berg", "alert", "Onramp"),
        ("Mia Berg", "task", "Onramp"),
    ]
    assert set(Notice.objects.values_list("account", flat=True)) == {late.pk, due.pk}
    assert nobodys.alerts.count() == 1


def test_a_notice_stands_while_what_it_is_about_is_open_and_ones_own(me, dan):
    one = account()
    task = one.add_task("Call", in_days(1), by=dan, now=NOW, assignee=me)
    bad = alert(one)
    bad.assign(me, seen=None, by=dan, now=NOW)
    one.edit(owner=me, by=dan, now=NOW)
    one.add_note("@mia", by=dan, now=NOW)

    def standing():
        return sorted(one.kind for one in Notice.objects.standing())

    assert standing() == ["account", "alert", "mention", "task"]
    task.finish(by=me, now=NOW)
    bad.resolve(by=me, now=NOW)
    one.edit(owner=None, by=me, now=NOW)
    assert standing() == ["mention"]
    assert Account.objects.filter(pk=one.pk).delete()
    assert told() == []


def test_the_page_lists_what_one_is_told_of_newest_first_and_nothing_of_others(browser, me, dan):
    acme = account(name="Acme <b>")
    acme.add_note("@mia see <script>x</script>", by=dan, now=NOW - days(1))
    acme.add_task("Call them", in_days(1), by=None, now=NOW, assignee=me)
    acme.add_task("Theirs", in_days(1), by=me, now=NOW, assignee=dan)
    text = browser.get("/notices/").text
    rows = re.findall(r"<li(.*?)</li>", text.split('class="notices"')[1].split("</ul>")[0], re.DOTALL)
    words = [" ".join(re.sub(r"<[^>]+>", "", row.partition(">")[2]).split()) for row in rows]
    assert words == [
        "New: Onramp gave you a task for Acme &lt;b&gt; 21 Nov, today Call them, due 22 Nov",
        "New: Dan Ohm mentioned you on Acme &lt;b&gt; 20 Nov, yesterday"
        " @mia see &lt;script&gt;x&lt;/script&gt;",
    ]
    assert 'id="count-notices">2</span>' in text


def test_having_seen_them_ends_the_count_but_not_for_what_came_later_nor_for_others(browser, me, dan):
    one = account()
    one.add_note("@mia @dan", by=user(), now=NOW)
    one.add_note("@mia again", by=dan, now=LATER)
    assert browser.post("/notices/seen/", {"until": NOW.isoformat()}).headers["Location"] == "/notices/"
    assert [(who, about, new) for who, _, about, _, new in told()] == [
        *(("Mia Berg", "@mia @dan", False), ("Dan Ohm", "@mia @dan", True)),
        ("Mia Berg", "@mia again", True),
    ]
    for bad in ({}, {"until": "soon"}, {"until": "9999-12-31T23:59:59Z"}):
        assert browser.post("/notices/seen/", bad).status_code == 302
    assert told()[-1][-1] is True
    assert 'id="count-notices">1</span>' in browser.get("/notices/").text
    assert browser.get("/notices/seen/").status_code == 405


def test_the_bell_and_the_page_cost_the_same_queries_however_many_there_are(browser, me, dan):
    one = account()

    def cost(path):
        with CaptureQueriesContext(connection) as made:
            text = browser.get(path).text
        return len(made), text

    one.add_note("@mia 0", by=dan, now=NOW)
    cost("/notices/")
    few = [cost(path)[0] for path in ("/notices/", "/playbooks/")]
    for number in range(51):
        one.add_note(f"@mia {number}", by=dan, now=NOW)
        one.add_task("Call", in_days(1), by=dan, now=NOW, assignee=me)
    many = [cost(path) for path in ("/notices/", "/playbooks/")]
    assert [queries for queries, _ in many] == few
    assert all('id="count-notices">99+</span>' in text for _, text in many)
    assert many[0][1].count('<li class="new">') == 50
    older = re.search(r'href="(\?cursor=[^"]+)">Older', many[0][1])
    assert browser.get(f"/notices/{older[1]}").text.count('<li class="new">') == 50
    assert "first one" in browser.get("/notices/?cursor=broken").text


@pytest.mark.parametrize(
    ("given", "kept", "says"),
    [
        ({"digest": "on", "digest_hour": "9"}, (True, 9, False), "Your mail is set."),
        ({"mention_mail": "on"}, (False, None, True), "Your mail is set."),
        ({"digest": "on", "digest_hour": "24"}, (True, 8, True), "The hour is a whole number from 0 to 23."),
        ({"digest_hour": "soon"}, (True, 8, True), "The hour is a whole number from 0 to 23."),
        ({"digest_hour": "-1"}, (True, 8, True), "The hour is a whole number from 0 to 23."),
    ],
)
def test_a_person_chooses_which_mail_they_want(browser, me, given, kept, says):
    me.digest_hour = 8
    me.save()
    answer = browser.post("/notices/mail/", given, follow=True)
    assert says in answer.text
    me.refresh_from_db()
    assert (me.digest, me.digest_hour, me.mention_mail) == kept


def test_a_viewer_has_the_page_too(client):
    client.force_login(user("viewer"))
    assert client.get("/notices/").status_code == 200
    assert "show here" in client.get("/notices/").text


def test_giving_in_the_browser_and_by_the_api_tells_by_whom(browser, me, dan):
    one = account(Stage.NEW)
    task = one.add_task("Call", in_days(1), by=me, now=NOW)
    browser.post(f"/tasks/{task.pk}/assign/", {"assignee": dan.pk, "seen": "", "from": "tasks"})
    bad = alert(one)
    browser.post(f"/alerts/{bad.pk}/assign/", {"assignee": dan.pk, "seen": "", "from": "alerts"})
    browser.post(f"/accounts/{one.pk}/assign/", {"owner": dan.pk, "from": "account"})
    browser.post(f"/accounts/{one.pk}/note/", {"text": "@dan.ohm look", "from": "account"})
    assert [(who, kind, actor) for who, kind, _, actor, _ in told()] == [
        ("Dan Ohm", kind, "Mia Berg") for kind in ("task", "alert", "account", "mention")
    ]


def test_giving_in_the_admin_tells_too(client, me):
    boss = user("admin", username="boss", is_staff=True)
    client.force_login(boss)
    one = account()
    note = one.add_note("x", by=me, now=NOW)
    task = one.add_task("Call", in_days(1), by=me, now=NOW)
    bad = alert(one)
    client.post(f"/admin/crm/note/{note.pk}/change/", {"kind": "note", "text": "@mia"})
    given = {"title": "Call", "due_on": str(in_days(1)), "assignee": me.pk}
    client.post(f"/admin/crm/task/{task.pk}/change/", given)
    client.post(f"/admin/crm/alert/{bad.pk}/change/", {"assignee": me.pk})
    assert [(who, kind, actor) for who, kind, _, actor, _ in told()] == [
        ("Mia Berg", kind, "boss") for kind in ("mention", "task", "alert")
    ]
    assert Note.objects.get().text == "@mia"
    assert Task.objects.get().assignee == me


def test_whom_a_note_may_name_is_a_list_the_browser_keeps_without_oneself_and_without_who_left(
    client, me, dan
):
    user(username="gone", is_active=False)
    client.force_login(me)
    answer = client.get("/colleagues/")
    assert answer.json() == {"colleagues": [{"login": "dan.ohm", "name": "Dan Ohm"}]}
    assert answer.headers["Cache-Control"] == "private, max-age=3600"
    assert mentioned("@dan.ohm") == [dan.pk]
    assert client.get(f"/accounts/{account(Stage.NEW).pk}/").text.count("data-mentions") == 1
