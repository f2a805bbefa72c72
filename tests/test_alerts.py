"""The alerts page: what it shows, what each action changes and answers, and who may."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.crm.models import Account, Alert, Bill, Policy
from apps.crm.models.alert import ALERT_KINDS
from apps.crm.pipeline import Stage
from tests.answers import toast
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()
# What each action needs to succeed on an alert that is open, snoozed or resolved.
ACTIONS = {
    "acknowledge": {},
    "leave": {},
    "assign": {"assignee": "", "seen": ""},
    "reopen": {},
    "resolve": {"resolution": "Wrote to them"},
    "snooze": {"until": str(TODAY + timedelta(days=3))},
    "wake": {},
}
BEFORE = {"reopen": "resolved", "wake": "snoozed", "leave": "acknowledged"}


@pytest.fixture
def me():
    return user(first_name="Mia", last_name="Berg")


def raised(kind="failed-payment", *, of=None, **fields):
    """An open alert, of a new account unless one is given, with the account's counts right."""
    of = of or account(Stage.NEW)
    made = Alert.objects.create(
        **{"account": of, "kind": kind, "text": "Look at it.", "raised_at": NOW, **fields}
    )
    Account.objects.filter(pk=of.pk).recount()
    return made


def ready_for(action, by, **fields):
    """An alert in the state an action is for."""
    alert = raised(**fields)
    if BEFORE.get(action) == "acknowledged":
        alert.acknowledge(by=by, now=NOW)
    if BEFORE.get(action) == "resolved":
        alert.resolve(by=by, now=NOW, resolution="Done")
    if BEFORE.get(action) == "snoozed":
        alert.snooze(TODAY + timedelta(days=5))
    return alert


def post(client, action, alert, /, query="", **values):
    return client.post(reverse(f"web:alert_{action}", args=[alert.pk]) + query, values)


def kept(alert):
    """Everything a refusal must leave as it was."""
    return Alert.objects.values().get(pk=alert.pk), Account.objects.values().get(pk=alert.account_id)


def open_alerts(alert):
    return Account.objects.get(pk=alert.account_id).open_alerts


def shown(client, query=""):
    """The ids of the alerts on the page, in order."""
    text = client.get(f"/alerts/{query}").text
    return [int(part.split('"')[0]) for part in text.split('<tr id="alert-')[1:]]


def on(alert, **bill):
    """A bill that the alert names."""
    facts = {"amount": Decimal("512.40"), "status": "open", "attempts": 2, "reported_at": NOW, **bill}
    return Bill.objects.create(
        account=alert.account, external_id=alert.subject.removeprefix("bill:"), **facts
    )


def test_the_page_shows_what_wants_somebody_now_the_next_renewal_first(browser, me):
    late = raised(of=account(Stage.NEW, next_renewal_on=TODAY + timedelta(days=20)))
    soon = raised(
        of=account(Stage.NEW, name="Amber <b>", next_renewal_on=TODAY + timedelta(days=2)),
        subject="bill:in_7",
        attempts=2,
        assignee=me,
    )
    back = raised(of=account(Stage.NEW, next_renewal_on=None), snoozed_until=TODAY)
    raised(snoozed_until=TODAY + timedelta(days=1))
    raised(resolved_at=NOW)
    of_old = raised("kind-of-old", of=account(Stage.NEW, next_renewal_on=None))
    on(soon)
    assert shown(browser) == [soon.pk, late.pk, back.pk, of_old.pk]
    text = browser.get("/alerts/").text
    for words in (
        "Payment failed",
        "Amber &lt;b&gt;",
        "1. New Account",
        "2 attempts",
        "$512",
        "Mia Berg",
        "· 2 d",
    ):
        assert words in text
    assert '<span class="count" id="count-alerts">4</span>' in text


def test_each_filter_and_sort_shows_its_own_and_nothing_else(browser, me):
    first = raised("failed-payment", assignee=me, raised_at=NOW, subject="bill:in_1")
    second = raised("missed-outreach", raised_at=NOW - timedelta(days=3))
    third = raised("large-invoice", assignee=user(), raised_at=NOW + timedelta(hours=1), subject="bill:in_3")
    snoozed = raised(snoozed_until=TODAY + timedelta(days=4))
    resolved = raised(resolved_at=NOW)
    on(first, amount=900), on(third, amount=1200)
    assert shown(browser, "?kind=failed-payment") == [first.pk]
    assert shown(browser, "?assignee=me") == shown(browser, f"?assignee={me.pk}") == [first.pk]
    assert shown(browser, "?assignee=none") == [second.pk]
    assert shown(browser, "?state=snoozed") == [snoozed.pk]
    assert shown(browser, "?state=resolved") == [resolved.pk]
    assert shown(browser, "?sort=raised") == [second.pk, first.pk, third.pk]
    assert shown(browser, "?sort=-amount") == [third.pk, first.pk, second.pk]
    assert shown(browser, "?sort=amount") == [first.pk, third.pk, second.pk]


@pytest.mark.parametrize(
    ("query", "notice"),
    [
        ("?kind=nonsense", "Kind “nonsense” is not known here, so it was ignored."),
        (
            "?assignee=99999999999999999999",
            "Assignee “99999999999999999999” is not known here, so it was ignored.",
        ),
        ("?state=gone", "State “gone” is not known here, so it was ignored."),
        ("?sort=resolution", "Sort order “resolution” is not known here, so it was ignored."),
        ("?colour=red", "There is no filter “colour”, so it was ignored."),
        ("?cursor=broken", "That page of the list is not there any more; this is the first one."),
        ("?kind=%00&sort=%00", "is not known here, so it was ignored."),
    ],
)
def test_what_is_not_known_is_ignored_with_a_notice(browser, query, notice):
    alert = raised()
    answer = browser.get(f"/alerts/{query}")
    assert (answer.status_code, shown(browser, query)) == (200, [alert.pk])
    assert notice in answer.text


def test_the_amount_is_the_bills_the_renewals_or_the_forecast(browser):
    renewal = TODAY + timedelta(days=8)
    forecast, billed, odd = (account(Stage.NEW, next_renewal_on=renewal, forecast=1950) for _ in range(3))
    subject = f"period:{renewal}"
    raised("large-invoice", of=forecast, subject=subject)
    about = raised("large-invoice", of=billed, subject=subject)
    raised("large-invoice", of=odd, subject="period:2026-99-99x")
    Bill.objects.create(
        account=about.account,
        external_id="in_9",
        amount=1717,
        status="draft",
        due_on=renewal,
        reported_at=NOW,
    )
    euros = raised(subject="bill:in_10")
    on(euros, amount=1300, currency="EUR")
    text = browser.get("/alerts/").text
    assert [text.count(words) for words in ("$1,950", "$1,717", "EUR 1,300")] == [1, 1, 1]


def test_the_list_goes_on_by_cursor_and_its_queries_do_not_grow(browser, me):
    def queries(query=""):
        with CaptureQueriesContext(connection) as made:
            browser.get(f"/alerts/{query}")
        return len(made)

    on(raised(subject="bill:in_0", assignee=me, acknowledged_by=me, acknowledged_at=NOW))
    few = queries()
    of = account(Stage.NEW)
    for number in range(1, 60):
        on(raised(of=of, subject=f"bill:in_{number}", assignee=user() if number < 4 else None))
    assert queries() <= few
    text = browser.get("/alerts/").text
    more = text.split('id="more"')[1].split('href="')[1].split('"')[0]
    first, second = shown(browser), shown(browser, more.removeprefix("/alerts/").replace("&amp;", "&"))
    assert (len(first), len(second)) == (50, 10)
    assert not {*first} & {*second}


def test_every_page_says_how_many_alerts_are_shown_in_one_query_by_the_teams_day(browser, me, time_machine):
    Policy.objects.create(name="time_zone", value="Pacific/Auckland", starts_on="2026-01-01")
    time_machine.move_to("2026-11-21T20:00:00Z", tick=False)
    browser.force_login(me)
    raised(snoozed_until="2026-11-22"), raised(snoozed_until="2026-11-23")
    with CaptureQueriesContext(connection) as made:
        text = browser.get("/playbooks/").text
    assert '<span class="count" id="count-alerts">1</span>' in text
    assert (
        len([query for query in made if "crm_alert" in query["sql"] and "snoozed_until" in query["sql"]]) == 1
    )
    of = account(Stage.NEW)
    Alert.objects.bulk_create(
        Alert(account=of, kind="failed-payment", subject=str(number), raised_at=NOW) for number in range(120)
    )
    assert '<span class="count" id="count-alerts">99+</span>' in browser.get("/playbooks/").text


def test_acknowledging_says_who_is_on_it_and_leaves_it_open(browser, me):
    alert = raised()
    answer = post(browser, "acknowledge", alert)
    alert.refresh_from_db()
    assert (answer.status_code, alert.acknowledged_by, alert.resolved_at) == (200, me, None)
    assert "Mia Berg is on it" in answer.text
    assert "acknowledge/" not in answer.text
    assert open_alerts(alert) == 1


def test_snoozing_takes_it_from_the_open_ones_and_undo_brings_it_back(browser):
    alert = raised(of=account(Stage.NEW, name="Blue Harbor"))
    until = TODAY + timedelta(days=1)
    answer = post(browser, "snooze", alert, until=str(until), seen="")
    alert.refresh_from_db()
    assert (answer.status_code, alert.snoozed_until, open_alerts(alert)) == (200, until, 1)
    assert f'<tr id="alert-{alert.pk}" hidden></tr>' in answer.text
    assert toast(answer)["text"].startswith("“Payment failed” of Blue Harbor is snoozed until ")
    undone = browser.post(toast(answer)["undo"]["url"], toast(answer)["undo"]["values"])
    alert.refresh_from_db()
    assert (undone.status_code, alert.snoozed_until) == (200, None)
    assert "Look at it." in undone.text


def test_resolving_closes_it_with_its_word_and_undo_reopens_it(browser, me):
    alert = raised()
    assert open_alerts(alert) == 1
    answer = post(browser, "resolve", alert, query="?kind=failed-payment", resolution="Wrote to them")
    alert.refresh_from_db()
    assert (answer.status_code, alert.resolved_by, alert.resolution) == (200, me, "Wrote to them")
    assert open_alerts(alert) == 0
    assert f'<tr id="alert-{alert.pk}" hidden></tr>' in answer.text
    assert toast(answer)["undo"]["url"] == f"/alerts/{alert.pk}/reopen/?kind=failed-payment"
    undone = browser.post(toast(answer)["undo"]["url"])
    alert.refresh_from_db()
    assert (undone.status_code, alert.resolved_at, alert.resolved_by, alert.resolution) == (
        200,
        None,
        None,
        "",
    )
    assert "Look at it." in undone.text
    assert open_alerts(alert) == 1


def test_assigning_gives_it_to_a_colleague_and_undo_gives_it_back(browser, me):
    dan, alert = user(first_name="Dan"), raised(assignee=me)
    answer = post(browser, "assign", alert, query="?assignee=me", assignee=dan.pk, seen=me.pk)
    alert.refresh_from_db()
    assert (answer.status_code, alert.assignee) == (200, dan)
    assert f'<tr id="alert-{alert.pk}" hidden></tr>' in answer.text
    assert browser.post(toast(answer)["undo"]["url"], toast(answer)["undo"]["values"]).status_code == 200
    alert.refresh_from_db()
    assert alert.assignee == me
    assert post(browser, "assign", alert, assignee="", seen=me.pk).status_code == 200
    alert.refresh_from_db()
    assert alert.assignee is None


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", ["viewer", "revenue", "specialist", "lead", "admin"])
def test_only_who_works_with_alerts_may_change_them(client, role, action):
    person = user(role)
    client.force_login(person)
    alert = ready_for(action, person)
    before = kept(alert)
    answer = post(client, action, alert, **ACTIONS[action])
    if role in ("viewer", "revenue"):
        assert (answer.status_code, kept(alert)) == (403, before)
    else:
        assert answer.status_code == 200
        assert action == "assign" or kept(alert) != before


@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_only_reads_sees_the_page_without_buttons(client, role):
    client.force_login(user(role))
    raised()
    text = client.get("/alerts/").text
    assert "Look at it." in text
    assert "data-action" not in text
    assert "<template" not in text


@pytest.mark.parametrize(
    ("action", "first", "sentence"),
    [
        ("acknowledge", lambda a, dan: a.acknowledge(by=dan, now=NOW), "Dan Ohm is on it already."),
        (
            "acknowledge",
            lambda a, dan: a.resolve(by=dan, now=NOW, resolution="Called"),
            "Dan Ohm resolved it already: Called",
        ),
        ("resolve", lambda a, dan: a.resolve(by=dan, now=NOW), "Dan Ohm resolved it already."),
        (
            "resolve",
            lambda a, dan: a.resolve(by=None, now=NOW, resolution="The bill is paid."),
            "It is closed already: The bill is paid.",
        ),
        ("snooze", lambda a, dan: a.resolve(by=dan, now=NOW), "Dan Ohm resolved it already."),
        (
            "snooze",
            lambda a, dan: a.snooze(TODAY + timedelta(days=9)),
            "Somebody else snoozed it meanwhile, until ",
        ),
        ("wake", lambda a, dan: a.wake(), "Somebody else woke it meanwhile; it is not snoozed."),
        (
            "assign",
            lambda a, dan: a.assign(dan, seen=None, by=None, now=NOW),
            "It was given to Dan Ohm meanwhile.",
        ),
        ("assign", lambda a, dan: a.resolve(by=dan, now=NOW), "Dan Ohm resolved it already."),
        ("reopen", lambda a, dan: a.reopen(), "It is open again already."),
    ],
)
def test_the_second_of_two_is_told_and_changes_nothing(browser, me, action, first, sentence):
    alert = ready_for(action, me)
    assert first(Alert.objects.get(pk=alert.pk), user(first_name="Dan", last_name="Ohm"))
    before = kept(alert)
    answer = post(browser, action, alert, **ACTIONS[action])
    assert (answer.status_code, kept(alert)) == (409, before)
    assert toast(answer)["text"].startswith(sentence)
    assert toast(answer)["bad"]
    assert "undo" not in toast(answer)
    assert f'alert-{alert.pk}"' in answer.text


@pytest.mark.parametrize("origin", ["alerts", "account"])
@pytest.mark.parametrize("action", ["snooze", "assign"])
def test_whoever_changes_an_alert_second_is_shown_both_and_keeps_theirs_or_mine(browser, me, action, origin):
    dan, alert = user(first_name="Dan", last_name="Ohm"), raised()
    if action == "snooze":
        assert Alert.objects.get(pk=alert.pk).snooze(TODAY + timedelta(days=9))
        sent = {"until": str(TODAY + timedelta(days=3)), "seen": ""}
        shown = ("in 9 days", "in 3 days")
    else:
        assert Alert.objects.get(pk=alert.pk).assign(dan, seen=None, by=dan, now=NOW)
        sent = {"assignee": str(me.pk), "seen": ""}
        shown = ("Dan Ohm", "Mia Berg")
    before = kept(alert)
    answer = post(browser, action, alert, **sent, **{"from": origin})
    assert (answer.status_code, kept(alert)) == (409, before)
    both = re.search(r'id="clash".*?</section>', answer.text, re.DOTALL)[0]
    theirs, mine = re.findall(r"<dd>(.*?)</dd>", both)
    assert (shown[0] in theirs, shown[1] in mine, "Take theirs" in both) == (True, True, True)
    again = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', both))
    assert again["from"] == origin
    assert browser.post(re.search(r'hx-post="([^"]+)"', both)[1], again).status_code == 200
    alert.refresh_from_db()
    mine_now = {"snooze": alert.snoozed_until == TODAY + timedelta(days=3), "assign": alert.assignee == me}
    assert mine_now[action]


def test_what_has_lost_its_cause_or_was_raised_anew_is_not_reopened(browser, me):
    moved = raised("missed-outreach")
    moved.resolve(by=me, now=NOW)
    moved.account.move(Stage.INITIATED, by=me, now=NOW, cause="list")
    anew = raised(subject="bill:in_1")
    anew.resolve(by=me, now=NOW)
    raised(subject="bill:in_1", of=anew.account)
    settled = raised(subject="bill:in_2")
    settled.resolve(by=None, now=NOW, resolution="The bill is paid.")
    for alert in (moved, anew, settled):
        before = kept(alert)
        answer = post(browser, "reopen", alert, query="?state=resolved")
        assert (answer.status_code, kept(alert)) == (409, before)
        assert toast(answer)["text"].startswith("It stays closed")


@pytest.mark.parametrize(
    ("action", "values", "sentence"),
    [
        ("snooze", {"until": ""}, "Say until which day."),
        ("snooze", {"until": "soon"}, "The day is written like 2026-12-01."),
        ("snooze", {"until": "2026-02-30"}, "The day is written like 2026-12-01."),
        ("snooze", {"until": str(TODAY)}, "An alert can be snoozed to a day after today."),
        ("snooze", {"until": "2001-01-01"}, "An alert can be snoozed to a day after today."),
        ("resolve", {"resolution": ""}, "Say in a word what was done."),
        ("resolve", {"resolution": "   "}, "Say in a word what was done."),
        (
            "resolve",
            {"resolution": "x" * 2001},
            "Ensure this value has at most 2000 characters (it has 2001).",
        ),
        ("resolve", {"resolution": "a\0b"}, "Null characters are not allowed."),
        ("assign", {"assignee": "0"}, "It can be given to a specialist, a lead or an admin."),
        ("assign", {"assignee": "9" * 20}, "It can be given to a specialist, a lead or an admin."),
    ],
)
def test_bad_input_gets_a_sentence_and_changes_nothing(browser, action, values, sentence):
    alert = raised()
    before = kept(alert)
    answer = post(browser, action, alert, **values)
    assert (answer.status_code, kept(alert)) == (422, before)
    assert toast(answer)["text"] == sentence


def test_an_alert_cannot_be_given_to_who_only_reads(browser):
    alert, viewer = raised(), user("viewer")
    assert post(browser, "assign", alert, assignee=viewer.pk).status_code == 422
    assert Alert.objects.get(pk=alert.pk).assignee is None


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_wants_a_post_a_known_alert_a_token_and_a_login(browser, me, action):
    alert = ready_for(action, me)
    before, address = kept(alert), reverse(f"web:alert_{action}", args=[alert.pk])
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(me)
    assert browser.get(address).status_code == 405
    assert strict.post(address, ACTIONS[action]).status_code == 403
    assert Client().post(address, ACTIONS[action]).status_code == 302
    for unknown in (alert.pk + 1, "9" * 20):
        answer = browser.post(f"/alerts/{unknown}/{action}/", ACTIONS[action])
        assert answer.status_code == 404
    assert kept(alert) == before


@pytest.mark.parametrize("kind", ALERT_KINDS)
def test_a_change_answers_with_the_counts_of_the_page_it_came_from(browser, kind):
    alert, other = raised(kind), raised(kind)
    answer = post(browser, "resolve", alert, query=f"?kind={kind}", resolution="Called them")
    assert (
        f'?kind={kind}" aria-current="true">{ALERT_KINDS[kind].label} <span class="count">1</span>'
        in answer.text
    )
    assert 'Resolved <span class="count">1</span>' in answer.text
    assert '<hx-partial hx-target="#count-alerts" hx-swap="innerHTML">1</hx-partial>' in answer.text
    assert open_alerts(other) == 1
