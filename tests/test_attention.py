"""Claims that end by themselves, snoozes, replies that wait, and what is said of others at an account."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Account, Contact, Outreach, Policy
from apps.crm.models.touched import mark_of_now
from apps.crm.pipeline import Stage
from apps.web.standing import standing
from tests.answers import toast
from tests.factories import NOW, account, in_days, snapshot, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


@pytest.fixture
def me():
    return user(first_name="Sam", last_name="Smith")


@pytest.fixture
def dan():
    return user(first_name="Dan", last_name="Day")


@pytest.fixture
def shown():
    return account(Stage.NEW, name="Amber", next_renewal_on=in_days(5))


def claimed(by, minutes=0, **fields):
    return account(
        Stage.INITIATED, name="Birch", claimed_by=by, claimed_at=NOW - timedelta(minutes=minutes), **fields
    )


def names(answer):
    return [
        part.partition("</a>")[0].rpartition(">")[2] for part in answer.text.split('<th scope="row">')[1:]
    ]


# Claims


def test_a_claim_is_shown_on_the_list_the_board_and_the_account(browser, dan):
    of = claimed(dan, minutes=12)
    assert "Dan on it, 12 min" in browser.get("/").text
    for address in ("/board/", f"/accounts/{of.pk}/", f"/accounts/{of.pk}/forms/write/"):
        assert "Dan Day is on this, 12 min" in browser.get(address).text


def test_a_claim_ends_by_itself_and_the_policy_says_when(browser, dan):
    of = claimed(dan, minutes=30)
    assert "0 min" not in browser.get("/").text + browser.get("/board/").text
    Policy.objects.create(name="claim_minutes", value="45", starts_on=in_days(-1))
    assert "Dan on it, 30 min" in browser.get("/").text
    assert of.holder(Policy.at(NOW)) == dan.pk


def test_claiming_says_so_and_can_be_taken_back(browser, shown, me):
    answer = browser.post(f"/accounts/{shown.pk}/claim/", {"from": "list"})
    shown.refresh_from_db()
    assert (answer.status_code, shown.claimed_by, shown.claimed_at) == (200, me, NOW)
    assert "Sam on it, 0 min" in answer.text
    undo = toast(answer)["undo"]
    assert browser.post(undo["url"], undo["values"]).status_code == 200
    shown.refresh_from_db()
    assert (shown.claimed_by, shown.claimed_at) == (None, None)


def test_a_second_claim_asks_first_and_takes_over_only_from_whom_it_saw(browser, dan, me):
    of = claimed(dan, minutes=12)
    answer = browser.post(f"/accounts/{of.pk}/claim/", {"from": "list"})
    assert (answer.status_code, toast(answer)["code"]) == (409, "held")
    assert toast(answer)["text"] == "Dan Day is on this, 12 min."
    form = browser.get(f"/accounts/{of.pk}/forms/take-over/?from=list").text
    assert f'name="over" value="{dan.pk}"' in form
    third = user()
    assert browser.post(f"/accounts/{of.pk}/claim/", {"over": third.pk}).status_code == 409
    of.refresh_from_db()
    assert of.claimed_by == dan
    assert browser.post(f"/accounts/{of.pk}/claim/", {"over": dan.pk}).status_code == 200
    of.refresh_from_db()
    assert of.claimed_by == me


def test_opening_the_form_claims_quietly_and_never_takes_over(browser, shown, dan, me):
    held = claimed(dan)
    for of in (shown, held):
        assert browser.post(f"/accounts/{of.pk}/claim/", {"quiet": "1"}).status_code == 204
        of.refresh_from_db()
    assert (shown.claimed_by, held.claimed_by) == (me, dan)


def test_only_ones_own_claim_is_let_go(browser, dan):
    of = claimed(dan)
    answer = browser.post(f"/accounts/{of.pk}/claim/", {"off": "1"})
    of.refresh_from_db()
    assert of.claimed_by == dan
    assert toast(answer)["undo"] is None


def test_a_claim_that_was_let_go_is_taken_back_with_undo(browser, shown, me):
    browser.post(f"/accounts/{shown.pk}/claim/")
    undo = toast(browser.post(f"/accounts/{shown.pk}/claim/", {"off": "1", "from": "list"}))["undo"]
    shown.refresh_from_db()
    assert shown.claimed_by is None
    browser.post(undo["url"], undo["values"])
    shown.refresh_from_db()
    assert shown.claimed_by == me


@pytest.mark.django_db(transaction=True)
def test_colleagues_are_told_of_claims_and_snoozes_and_edits_do_not_clash(browser, shown):
    before, mark = shown.changed_at, mark_of_now()
    browser.post(f"/accounts/{shown.pk}/claim/", {})
    assert list(Account.objects.touched_since(mark)) == [shown]
    mark = mark_of_now()
    browser.post(f"/accounts/{shown.pk}/snooze/", {"until": in_days(3).isoformat(), "seen": ""})
    assert list(Account.objects.touched_since(mark)) == [shown]
    shown.refresh_from_db()
    assert shown.changed_at == before


def test_claims_cost_no_query_a_row(browser, dan):
    def queries(address):
        with CaptureQueriesContext(connection) as asked:
            browser.get(address)
        return len(asked)

    claimed(dan)
    few = [queries("/"), queries("/board/")]
    for _ in range(10):
        claimed(user())
    assert [queries("/"), queries("/board/")] == few


# Who else is there


def outreach(of, by, hours):
    at = NOW - timedelta(hours=hours)
    of.write_down(
        Outreach(
            key=f"{by.pk}-{hours}",
            account=of,
            by=by,
            at=at,
            way="own",
            to="a@x.example",
            subject="S",
            text="T",
        ),
        cause="account",
    )


def test_what_a_colleague_wrote_lately_is_said_and_ones_own_is_not(shown, me, dan):
    numbers = Policy.at(NOW)
    outreach(shown, dan, 80)
    assert standing(shown, me, numbers) == []
    outreach(shown, me, 3)
    assert standing(shown, me, numbers) == []
    outreach(shown, dan, 2)
    assert [word.text for word in standing(shown, me, numbers)] == ["Dan Day wrote 2 hours ago."]


def test_mail_that_came_by_bcc_is_said_without_its_writer(shown, me):
    shown.heard("last_outreach_at", NOW - timedelta(minutes=5))
    assert [word.text for word in standing(shown, me, Policy.at(NOW))] == [
        "Mail went out to them 5 minutes ago."
    ]


def test_a_thread_of_sales_is_said(me):
    numbers = Policy.at(NOW)
    theirs = account(Stage.INITIATED, sales_contact_kind="AE", sales_contact_name="Jo Ray")
    asking = account(Stage.INITIATED, contacted_sales=True)
    assert [standing(of, me, numbers)[0].text for of in (theirs, asking)] == [
        "Jo Ray is their AE: a live thread may run there.",
        "They are talking with Sales.",
    ]


def test_writing_ends_ones_own_claim(shown, me):
    shown.claim(by=me, numbers=Policy.at(NOW))
    outreach(shown, me, 0)
    shown.refresh_from_db()
    assert shown.claimed_by is None


# Snoozes and replies


def test_what_is_snoozed_is_out_of_the_list_and_its_counts_until_its_day(browser, shown):
    answer = browser.post(f"/accounts/{shown.pk}/snooze/", {"until": in_days(3).isoformat(), "seen": ""})
    assert (answer.status_code, toast(answer)["text"]) == (200, "Amber is snoozed to 24 Nov, in 3 days.")
    for address in ("/", "/?write=now", "/?stage=new"):
        assert names(browser.get(address)) == []
    assert names(browser.get("/?snoozed=1")) == names(browser.get("/?q=Amber")) == ["Amber"]
    assert "Snoozed to 24 Nov" in browser.get("/?snoozed=1").text
    assert 'id="pile-write">0<' in browser.get("/").text
    assert 'id="pile-snoozed">1<' in browser.get("/").text
    undo = toast(answer)["undo"]
    assert browser.post(undo["url"], undo["values"]).status_code == 200
    assert names(browser.get("/?write=now")) == ["Amber"]


def test_on_its_day_it_is_back_without_anybody_doing_anything(browser, shown):
    Account.objects.filter(pk=shown.pk).update(snoozed_until=in_days(0))
    assert names(browser.get("/?write=now")) == ["Amber"]
    assert names(browser.get("/?snoozed=1")) == []


def test_a_reply_ends_a_snooze_and_an_older_one_does_not(shown):
    shown.heard("last_reply_at", NOW - timedelta(days=1))
    shown.snooze(in_days(3), seen=None)
    shown.heard("last_reply_at", NOW - timedelta(days=2))
    assert shown.snoozed_until == in_days(3)
    shown.heard("last_reply_at", NOW)
    shown.refresh_from_db()
    assert (shown.snoozed_until, shown.last_reply_at) == (None, NOW)


REFUSED = {
    "today": ({"until": in_days(0).isoformat()}, 422, "An account can be snoozed to a day after today."),
    "no day": ({"until": "soon"}, 422, "The day is written like 2026-12-01."),
    "seen otherwise": (
        {"until": in_days(3).isoformat(), "seen": in_days(2).isoformat()},
        409,
        "Somebody else has snoozed it or taken it back meanwhile. Nothing was changed.",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_snooze_that_cannot_be_is_refused_in_a_sentence(browser, shown, what):
    given, status, says = REFUSED[what]
    before = snapshot(shown)
    answer = browser.post(f"/accounts/{shown.pk}/snooze/", given)
    assert (answer.status_code, toast(answer)["text"], snapshot(shown)) == (status, says, before)


def test_a_reply_waits_until_somebody_writes(browser, me):
    never = account(Stage.ENGAGED_EMAIL, name="Never", last_reply_at=NOW)
    account(Stage.ENGAGED_EMAIL, name="Answered", last_reply_at=NOW, last_outreach_at=NOW)
    account(Stage.ONBOARDED_ENGAGED, name="Closed", last_reply_at=NOW)
    answer = browser.get("/?reply=waiting")
    assert names(answer) == ["Never"]
    assert 'id="pile-replies">1<' in answer.text
    outreach(never, me, -1)
    assert names(browser.get("/?reply=waiting")) == []


# Copying


def test_the_addresses_of_an_account_come_ranked_without_whom_we_must_not_write_to(browser, shown):
    Contact.objects.create(account=shown, email="b@x.example")
    Contact.objects.create(account=shown, email="a@x.example", role="Owner")
    Contact.objects.create(account=shown, email="no@x.example", do_not_contact=True)
    assert browser.get(f"/accounts/{shown.pk}/emails/").text == "a@x.example, b@x.example"


@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_may_not_write_neither_claims_nor_snoozes(client, shown, role):
    client.force_login(user(role))
    before = snapshot(shown)
    for address in ("claim", "snooze"):
        assert client.post(f"/accounts/{shown.pk}/{address}/", {"until": in_days(3)}).status_code == 403
    assert client.get(f"/accounts/{shown.pk}/forms/take-over/").status_code == 403
    assert snapshot(shown) == before
