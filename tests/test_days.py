"""No day is off by one at any midnight: tasks by the reader's day, renewals by the team's."""

import re
from datetime import UTC, date, datetime, time, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
import time_machine

from apps.crm.models import Account, Policy
from apps.crm.pipeline import Stage
from apps.intake.models import Import
from apps.playbooks.registry import PLAYBOOKS
from tests.factories import account, user

pytestmark = pytest.mark.django_db

ZONES = ("Pacific/Auckland", "America/Los_Angeles", "Europe/Berlin")
DAY = date(2026, 11, 23)
MINUTE = timedelta(minutes=1)


def midnight(zone):
    """When ``DAY`` begins there."""
    return datetime.combine(DAY, time.min, ZoneInfo(zone))


def text_of(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


@pytest.mark.parametrize("team", ["UTC", *ZONES])
@pytest.mark.parametrize("reader", ZONES)
def test_a_task_is_due_from_the_readers_own_midnight_on_whatever_the_teams_day_is(client, reader, team):
    before = midnight(reader) - timedelta(days=3)
    Policy.objects.create(name="time_zone", value=team, starts_on=before.date() - timedelta(days=9))
    me = user(time_zone=reader)
    here = account(Stage.NEW, since=before, next_renewal_on=DAY + timedelta(days=40))
    here.add_task("Call", DAY, by=me, now=before, assignee=me)
    for moment, is_due, tab, cell in (
        (midnight(reader) - MINUTE, 0, "tomorrow", "23 Nov"),
        (midnight(reader), 1, "today", "Today"),
        (midnight(reader) + timedelta(days=1) - MINUTE, 1, "today", "Today"),
        (midnight(reader) + timedelta(days=1), 1, "yesterday", "1 d late"),
    ):
        with time_machine.travel(moment, tick=False):
            client.force_login(me)
            tasks, listed = client.get("/tasks/"), client.get("/")
            assert f"23 Nov · {tab}" in text_of(tasks), moment
            assert cell in text_of(listed), moment
            assert (f'id="count-tasks">{is_due or ""}<') in tasks.text
            assert ('id="pile-tasks"' in listed.text, f'id="pile-tasks">{is_due}<' in listed.text) == (
                True,
                True,
            )
            found = client.get("/?task=today").text.count('<tr id="a')
            assert found == is_due, moment
            board = "Task overdue" in client.get("/board/").text
            assert board == (tab == "yesterday"), moment


@pytest.mark.parametrize("reader", ZONES)
@pytest.mark.parametrize("team", ZONES)
def test_days_to_a_renewal_are_the_teams_for_every_reader_and_those_the_playbook_counts(client, reader, team):
    before = midnight(team) - timedelta(days=40)
    Policy.objects.create(name="time_zone", value=team, starts_on=before.date() - timedelta(days=9))
    me = user(time_zone=reader)
    here = account(Stage.INITIATED, since=before, next_renewal_on=DAY + timedelta(days=10))
    for moment, days in ((midnight(team) - MINUTE, 11), (midnight(team), 10)):
        with time_machine.travel(moment, tick=False):
            client.force_login(me)
            assert f"3 Dec · {days} d" in text_of(client.get("/")), moment
            assert f"in {days} days" in text_of(client.get(f"/accounts/{here.pk}/")), moment
            assert f"3 Dec · {days} d" in text_of(client.get("/board/")), moment
            due = PLAYBOOKS["final-outreach-due"].who(Policy.at(moment))
            assert due.filter(pk=here.pk).exists() == (days == 10), moment
            shown = client.get("/?renews=0-10").text.count('<tr id="a')
            assert shown == (days == 10), moment


@pytest.mark.parametrize("reader", ZONES)
def test_a_new_task_is_for_the_readers_own_today_before_anything_is_typed(client, reader):
    me, here = user(time_zone=reader), account(Stage.NEW)
    for moment, day in ((midnight(reader) - MINUTE, "2026-11-22"), (midnight(reader), "2026-11-23")):
        with time_machine.travel(moment, tick=False):
            client.force_login(me)
            for page in (f"/accounts/{here.pk}/forms/task/?from=account", "/daily/forms/"):
                form = client.get(page).text
                assert f'name="due_on" required value="{day}"' in form, page
            asked = client.post("/daily/many/task/ask/", {"ids": here.pk}).text
            assert f'name="due_on" required value="{day}"' in asked
    assert Account.objects.get().next_task_on is None


def test_a_moment_is_told_on_the_readers_own_clock_with_the_year_where_it_is_another(client):
    me = user("lead", time_zone="Pacific/Auckland")
    upload = Import.upload(
        "a.csv", b"external_id,name\nacc-x,X\n", by=me, now=datetime(2026, 12, 31, 12, 30, tzinfo=UTC)
    )
    client.force_login(me)
    for now, said in (
        ("2027-01-02T09:00:00Z", "1 Jan, 01:30"),
        ("2028-02-01T09:00:00Z", "1 Jan 2027, 01:30"),
    ):
        with time_machine.travel(now, tick=False):
            client.force_login(me)
            for address in ("/import/", f"/import/{upload.pk}/"):
                assert said in text_of(client.get(address))
