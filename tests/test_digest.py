"""The morning mail: who gets one, when by their own clock, what it says, and that it is one whatever happens."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from threading import Thread

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Alert, Call, CallHost, Notice, Policy, Task, User
from apps.crm.pipeline import Stage
from apps.outbox.models import Message
from apps.outbox.send import drain
from apps.playbooks import digest, jobs
from tests.factories import account, call, user

pytestmark = pytest.mark.django_db

# A Monday.
DAY = date(2026, 11, 23)
LONG_AGO = datetime(2020, 1, 6, tzinfo=UTC)


def at(hour, minute=0, *, day=DAY):
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def person(role="specialist", **fields):
    return user(role, **{"date_joined": LONG_AGO} | fields)


def task(of, title="Call them", due_on=DAY, **fields):
    """A task of a person, made by themselves."""
    return account(Stage.NEW, since=at(0)).add_task(title, due_on, by=of, now=at(0), assignee=of, **fields)


def tell(now):
    return digest.tell(now=now)


def mails():
    return Message.objects.filter(kind="digest").order_by("pk")


def mail():
    """The one mail that was written."""
    return Message.objects.get(kind="digest")


def policy(**numbers):
    for name, value in numbers.items():
        Policy.objects.create(name=name, value=str(value), starts_on=date(2020, 1, 1))


def test_a_mail_says_what_awaits_somebody_today_with_links_and_in_html_and_text(settings):
    settings.BASE_URL = "https://onramp.test"
    me, boss = person(time_zone="Europe/Berlin", email="Me@onramp.example"), user("lead", first_name="Luis")
    acme = account(
        Stage.NEW, since=at(0), name="Acme & Co", owner=me, next_renewal_on=DAY + timedelta(days=9)
    )
    acme.add_task("Send <b>slides</b>", DAY - timedelta(days=2), by=me, now=at(0), assignee=me)
    acme.add_task("Write back", DAY, by=me, now=at(0), assignee=me)
    acme.add_task("Not yet", DAY + timedelta(days=1), by=me, now=at(0), assignee=me)
    call(acme, starts_at=at(13, 30))
    Alert.objects.create(
        account=acme, kind="failed-payment", text="Bill 7 of 2026-11-20.", assignee=me, raised_at=at(0)
    )
    acme.add_note(f"@{me.username} have a look", by=boss, now=at(5))
    given = account(Stage.INITIATED, since=at(0), name="Beta")
    given.edit(owner=me, by=boss, now=at(4))
    given.add_task("Offer a call", DAY + timedelta(days=3), by=boss, now=at(5), assignee=me)
    assert tell(at(6)) == 1
    sent = mail()
    assert (sent.to, sent.until) == ("me@onramp.example", datetime(2026, 11, 23, 23, tzinfo=UTC))
    assert sent.subject == (
        "Monday: 1 call, 2 tasks, 1 alert, 1 account to write to, 1 mention, 2 new for you"
    )
    link = f"https://onramp.test/accounts/{acme.pk}/"
    lines = [line for line in sent.text.splitlines() if line.strip()]
    assert lines == [
        "Monday, 23 November",
        *("Calls today (1)", "- Acme & Co (14:30): Intro call", f"  {link}"),
        *("Overdue (1)", "- Acme & Co (due 21 Nov, 2 days ago): Send <b>slides</b>", f"  {link}"),
        *("Due today (1)", "- Acme & Co (due 23 Nov, today): Write back", f"  {link}"),
        *("Alerts (1)", "- Acme & Co: Payment failed: Bill 7 of 20 Nov.", f"  {link}"),
        *("Write now (1)", "- Acme & Co (renews 2 Dec, in 9 days): 1. New Account", f"  {link}"),
        *("You were mentioned (1)", f"- Acme & Co: Luis: @{me.username} have a look", f"  {link}"),
        "Yours since the last mail (2)",
        "- Beta (due 26 Nov, in 3 days): Luis: Offer a call",
        f"  https://onramp.test/accounts/{given.pk}/",
        *("- Beta: Luis gave it to you", f"  https://onramp.test/accounts/{given.pk}/"),
        "It comes at 7:00 on working days. Times are in Europe/Berlin."
        " Change it, or turn it off: https://onramp.test/notices/#mail",
    ]
    assert "Send &lt;b&gt;slides&lt;/b&gt;" in sent.html
    assert "<b>slides" not in sent.html
    assert "Acme &amp; Co" in sent.html
    assert set(re.findall(r'href="([^"]+)"', sent.html)) == {
        *(link, f"https://onramp.test/accounts/{given.pk}/", "https://onramp.test/notices/#mail")
    }


def test_what_is_not_theirs_or_not_for_today_makes_no_mail():
    me, other = person(), person(email="")
    theirs = account(Stage.NEW, since=at(0), owner=other, next_renewal_on=DAY)
    task(other)
    task(me).finish(by=me, now=at(1))
    task(me, due_on=DAY + timedelta(days=1))
    Alert.objects.create(account=theirs, kind="failed-payment", text="x", assignee=None, raised_at=at(0))
    Alert.objects.create(
        account=theirs,
        kind="large-invoice",
        text="x",
        assignee=me,
        raised_at=at(0),
        snoozed_until="2026-11-24",
    )
    call(theirs, starts_at=at(12))
    mine = account(Stage.CALL_BOOKED, owner=me)
    call(mine, starts_at=at(12), status=Call.Status.CANCELED)
    call(mine, starts_at=at(12) + timedelta(days=1))
    CallHost.objects.create(call=call(mine, starts_at=at(12)), user=other)
    assert tell(at(9)) == 1
    assert not mails().exists()
    me.refresh_from_db()
    assert me.digested_on == DAY
    # What comes up later in the day waits for the next morning: this mail is no alarm.
    task(me)
    assert tell(at(15)) == 0
    assert not mails().exists()


@pytest.mark.parametrize(
    ("who", "told"),
    [
        ({"role": "lead"}, True),
        ({"role": "specialist"}, False),
        ({"role": "lead", "digest": False}, False),
        ({"role": "lead", "is_active": False}, False),
        ({"role": "lead", "email": ""}, False),
        # The first comes on the morning after one joined.
        ({"role": "lead", "date_joined": at(1)}, False),
    ],
)
def test_an_alert_of_nobody_is_for_leads_who_want_mail(who, told):
    person(**who)
    Alert.objects.create(account=account(), kind="failed-payment", text="x", raised_at=at(0))
    tell(at(9))
    assert mails().exists() == told


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("UTC", at(7)),
        ("America/New_York", at(12)),
        ("Europe/Berlin", at(6)),
        # There it is Monday when it is Sunday evening in UTC.
        ("Pacific/Apia", at(18, day=date(2026, 11, 22))),
    ],
)
def test_a_mail_comes_at_seven_of_ones_own_clock_on_ones_own_day_once(zone, first):
    me = person(time_zone=zone)
    task(me)
    assert [tell(first - timedelta(minutes=1)), mails().count()] == [0, 0]
    assert [tell(first), mails().count()] == [1, 1]
    assert [tell(first + timedelta(minutes=step)) for step in range(1, 24 * 60, 60)] == [0] * 17 + [0] * 7
    assert mail().key == f"digest:{me.pk}:2026-11-23"


@pytest.mark.parametrize(("own", "team", "hour"), [(None, 5, 5), (9, 5, 9), (0, 5, 0)])
def test_the_hour_is_ones_own_or_else_the_policys(own, team, hour):
    policy(digest_hour=team)
    task(person(digest_hour=own))
    if hour:
        assert tell(at(hour - 1, 59)) == 0
    assert tell(at(hour)) == 1


# Each walk begins on a Thursday. The clocks change on the Sunday, but in Amman, where that was on a Friday.
WALKS = [
    ("America/New_York", date(2026, 3, 5), 2),
    ("America/New_York", date(2026, 10, 29), 1),
    ("Europe/Berlin", date(2026, 3, 26), 2),
    ("Europe/Berlin", date(2026, 10, 22), 7),
    ("UTC", date(2026, 3, 26), 0),
    ("Pacific/Apia", date(2026, 9, 24), 7),
    ("Asia/Amman", date(2021, 3, 25), 0),
    ("Asia/Amman", date(2021, 10, 28), 0),
]
# There is no midnight on the day the clocks go forward there.
SKIPPED = {("Asia/Amman", date(2021, 3, 26), 0): 1}


@pytest.mark.parametrize(("zone", "start", "hour"), WALKS)
def test_across_a_change_of_clocks_there_is_one_mail_on_each_working_day_at_its_hour(zone, start, hour):
    me = person(time_zone=zone, digest_hour=hour, date_joined=datetime(2019, 1, 1, tzinfo=UTC))
    task(me, due_on=date(2021, 1, 1))
    midnight = datetime(start.year, start.month, start.day, tzinfo=me.zone).astimezone(UTC)
    days = [start + timedelta(days=number) for number in range(5)]
    for step in range(24 * 5 - 1):
        tell(midnight + timedelta(hours=step))
    assert [one.key[-10:] for one in mails()] == [f"{day}" for day in days if day.weekday() < 5]
    moments = [one.created_at.astimezone(me.zone) for one in mails()]
    assert [(moment.date(), moment.hour, moment.fold) for moment in moments] == [
        (day, SKIPPED.get((zone, day, hour), hour), 0) for day in days if day.weekday() < 5
    ]


def test_where_a_whole_day_is_skipped_so_is_its_mail():
    me = person(time_zone="Pacific/Apia", date_joined=datetime(2010, 1, 1, tzinfo=UTC))
    task(me, due_on=date(2011, 12, 1))
    for step in range(0, 5 * 24, 2):
        tell(at(0, day=date(2011, 12, 28)) + timedelta(hours=step))
    days = ["2011-12-27", "2011-12-28", "2011-12-29", "2012-01-02"]
    assert [one.key[-10:] for one in mails()] == days
    # The mail of the 29th is over when the 31st begins.
    assert mails()[2].until == datetime(2011, 12, 30, 10, tzinfo=UTC)


def test_a_worker_that_was_away_catches_up_on_the_same_day_and_never_sends_yesterdays():
    me = person()
    task(me)
    assert [tell(at(23, 59)), mail().key] == [1, f"digest:{me.pk}:2026-11-23"]
    assert [tell(at(6, 59, day=date(2026, 11, 25))), tell(at(7, day=date(2026, 11, 25)))] == [0, 1]
    assert [one.key[-2:] for one in mails()] == ["23", "25"]


def test_a_mail_that_could_not_leave_on_its_day_is_held_back(settings):
    settings.DEBUG = True
    task(person())
    tell(at(7))
    assert drain("mail", clock=lambda: at(0, day=date(2026, 11, 24))) == 0
    kept = mail()
    assert (kept.sent_at, kept.because) == (None, "Its day is over.")
    kept.retry(now=at(23, 59))
    assert drain("mail", clock=lambda: at(23, 59)) == 1
    assert mail().sent_at == at(23, 59)


def test_five_hundred_events_make_one_mail_of_bounded_lists():
    me, boss = person(), person("viewer", digest=False)
    one = account(Stage.INITIATED, since=at(0))
    for number in range(60):
        one.add_note(f"@{me.username} {number}", by=boss, now=at(1))
        one.add_task(f"Task {number}", DAY, by=boss, now=at(1), assignee=me)
    made = Task.objects.bulk_create(
        Task(
            account=one,
            title=f"Later {number}",
            due_on=DAY + timedelta(days=9),
            assignee=me,
            created_at=at(1),
        )
        for number in range(380)
    )
    Notice.objects.tell_of_tasks(made, by=boss, now=at(1))
    with CaptureQueriesContext(connection) as asked:
        assert tell(at(7)) == 1
    sent = Message.objects.get()
    assert sent.subject == "Monday: 60 tasks, 60 mentions, 380 new for you"
    assert [sent.text.count(words) for words in ("and 50 more", "and 370 more")] == [2, 1]
    assert sent.html.count("<li>") == 3 * 11
    assert len(sent.html) < 20_000
    assert len(asked) < 35
    assert not Notice.objects.untold().exists()


def test_what_was_told_or_seen_is_not_told_again():
    me, boss = person(), person("viewer")
    one = account(Stage.INITIATED, since=at(0))
    one.add_note(f"@{me.username} first", by=boss, now=at(1))
    one.add_note(f"@{me.username} second", by=boss, now=at(2))
    Notice.objects.filter(at=at(2)).see(until=at(3), now=at(3))
    tell(at(7))
    assert [words in mail().text for words in ("first", "second")] == [True, False]
    tell(at(7, day=date(2026, 11, 24)))
    # Of whatever kind: a mention is not mailed by itself again either.
    assert Message.objects.count() == 1


def test_a_task_is_brought_to_mind_once_and_only_by_a_mail():
    me = person(digest=False)
    reminded = task(me, due_on=DAY + timedelta(days=4))
    Task.objects.filter(pk=reminded.pk).update(remind_on=DAY)
    tell(at(7))
    reminded.refresh_from_db()
    assert reminded.reminded_at is None
    me.want(digest=True, digest_hour=None, mention_mail=True, now=at(8))
    assert tell(at(9)) == 0
    tell(at(7, day=date(2026, 11, 24)))
    assert "To keep in mind (1)" in mail().text
    reminded.refresh_from_db()
    assert reminded.reminded_at == at(7, day=date(2026, 11, 24))
    assert tell(at(7, day=date(2026, 11, 25))) == 1
    assert mails().count() == 1


def test_one_whose_mail_cannot_be_written_holds_up_nobody(monkeypatch):
    broken, fine = person(), person()
    task(broken)
    task(fine)
    real = digest.read

    def read(parts, reader):
        if reader.person == broken:
            raise ValueError("No.")
        return real(parts, reader)

    monkeypatch.setattr(digest, "read", read)
    assert tell(at(7)) == 1
    assert mail().to == fine.email
    monkeypatch.undo()
    assert tell(at(8)) == 1
    assert mails().last().to == broken.email


def test_the_job_tells_by_the_real_clock_and_stops_when_it_has_no_time_left():
    task(person())
    jobs.tell()
    assert digest.tell(now=at(7), enough=lambda: True) == 0
    assert not mails().filter(created_at=at(7)).exists()


@pytest.mark.django_db(transaction=True)
def test_five_workers_at_once_write_one_mail_and_tell_everything_once():
    me, boss = person(), person("viewer")
    account(Stage.INITIATED, since=at(0)).add_note(f"@{me.username} look", by=boss, now=at(1))
    task(me)
    done = []

    def work():
        try:
            done.append(tell(at(7)))
        finally:
            connection.close()

    workers = [Thread(target=work) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # The boss has nothing to be told, and is dealt with once as well.
    assert sum(done) == 2
    assert [(one.kind, one.to) for one in Message.objects.all()] == [("digest", me.email)]


def mention_mails():
    return Message.objects.filter(kind="mentions").order_by("pk")


def test_mentions_are_gathered_and_mailed_together_and_once():
    me, boss = person(first_name="Mia"), person("viewer", first_name="Luis")
    one = account(Stage.INITIATED, since=at(0))
    tell(at(7))
    for number in range(60):
        one.add_note(f"@{me.username} number {number}", by=boss, now=at(20) + timedelta(seconds=8 * number))
    assert [tell(at(20, 14)), mention_mails().count()] == [0, 0]
    assert [tell(at(20, 15)), mention_mails().count()] == [1, 1]
    sent = mention_mails().get()
    assert (sent.to, sent.subject) == (me.email, "60 mentions of you in notes")
    assert "and 50 more" in sent.text
    assert [tell(at(20, 30)), tell(at(7, day=date(2026, 11, 24))), Message.objects.count()] == [0, 2, 1]
    one.add_note(f"@{me.username} again", by=boss, now=at(8, day=date(2026, 11, 24)))
    assert [tell(at(8, minute, day=date(2026, 11, 24))) for minute in (14, 15)] == [0, 1]
    assert mention_mails().last().subject == "1 mention of you in notes"


@pytest.mark.parametrize(
    ("fields", "minutes"),
    [({"mention_mail": False}, 15), ({"email": ""}, 15), ({"is_active": False}, 15), ({}, 0)],
)
def test_who_wants_no_mail_about_mentions_gets_none_and_has_them_here(fields, minutes):
    policy(mention_mail_minutes=minutes)
    me, boss = person(), person()
    # The day's mail has been, and tells nothing of this any more.
    tell(at(7))
    account(Stage.INITIATED).add_note(f"@{me.username} look", by=boss, now=at(20))
    User.objects.filter(pk=me.pk).update(**{"digest": True} | fields)
    tell(at(23))
    assert not Message.objects.exists()
    assert Notice.objects.unseen().mentions().filter(user=me).count() == 1


def test_replies_that_wait_are_told_those_who_wait_longest_first(settings):
    settings.BASE_URL = "https://onramp.test"
    me, other = person(), person(email="")
    for name, days_ago, owner, answered in (
        ("Late", 5, me, False),
        ("Soon", 1, me, False),
        ("Answered", 3, me, True),
        ("Theirs", 4, other, False),
    ):
        one = account(Stage.ENGAGED_EMAIL, since=LONG_AGO, name=name, owner=owner)
        one.heard("last_reply_at", at(5) - timedelta(days=days_ago))
        if answered:
            one.heard("last_outreach_at", at(5))
    tell(at(9))
    sent = mail()
    assert sent.subject == "Monday: 2 replies waiting"
    lines = [line for line in sent.text.splitlines() if line.startswith(("Replies", "- "))]
    assert lines == [
        "Replies waiting (2)",
        "- Late (wrote 18 Nov, 5 days ago): 3a. Engaged — Email",
        "- Soon (wrote 22 Nov, yesterday): 3a. Engaged — Email",
    ]
