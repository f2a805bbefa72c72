"""The events page: what came in, why it stands where it stands, and what a person can do about it."""

import json
import re
from collections import OrderedDict
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Account, Contact
from apps.crm.pipeline import Stage
from apps.intake import drain, events
from apps.intake.inbox import HIDDEN, STATES
from apps.intake.models import Event
from apps.web import environment
from tests.answers import toast
from tests.factories import NOW, account, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
READERS, WORKERS = ("viewer", "revenue"), ("specialist", "lead", "admin")
STUCK = ("unmatched", "ambiguous", "failed", "given_up")


@pytest.fixture
def me():
    return user(first_name="Mia", last_name="Berg")


@pytest.fixture
def browser(me):
    return signed_in(me)


def signed_in(who):
    client = Client()
    client.force_login(who)
    return client


def came(state="unmatched", *, body=None, **fields):
    number = Event.objects.count() + 1
    fields = {"provider": "ingest", "type": "sales.referred", "received_at": NOW, **fields}
    fields.setdefault("external_id", f"msg-{number}")
    if fields.pop("again", state == "waiting"):
        fields.setdefault("due_at", NOW)
    data = {"type": fields["type"], "data": {"account": "gone", "at": "2026-11-20T10:00:00Z"}}
    raw = json.dumps(data).encode() if body is None else body
    return Event.objects.create(state=state, body=raw, **fields)


def bought(email, order, state="unmatched"):
    data = {"email": email, "order_id": order, "at": "2026-11-20T10:00:00Z", "amount": "500.00"}
    body = json.dumps({"type": "purchase.paid_call", "data": data}).encode()
    return came(state, type="purchase.paid_call", subject=f"email:{email}", body=body, external_id=order)


def shown(browser, query=""):
    return [int(pk) for pk in re.findall(r'<tr id="event-(\d+)"', browser.get(f"/events/{query}").text)]


def kept():
    return [*Event.objects.order_by("pk").values()], [*Contact.objects.values()], [*Account.objects.values()]


def test_each_event_says_what_became_of_it_the_newest_first(browser, me):
    acme = account(name="Acme <b>")
    done = came("done", account=acme, sentence="Moved to “6c”.")
    lost = came("unmatched", sentence="No account is known for x@y.example.", type="a\u202eb")
    failing = came("failed", again=True, tries=3, sentence="OSError: away", due_at=NOW + timedelta(hours=1))
    aside = came("ignored", by=me, sentence="A test")
    assert shown(browser) == [aside.pk, failing.pk, lost.pk, done.pk]
    text = browser.get("/events/").text
    for words in (
        "Acme &lt;b&gt;",
        "Moved to “6c”.",
        "No account is known for x@y.example.",
        "Try 4 of 10 from 21 Nov, 10:00.",
        "Ignored by Mia Berg.",
        '<span class="count" id="count-events">2</span>',
    ):
        assert words in text
    assert "\u202e" not in text


def test_what_waits_for_long_does_not_promise_to_be_applied_within_seconds(browser):
    came("waiting", provider="mail/postmark")
    late = came("waiting", due_at=NOW - timedelta(minutes=6), provider="mail/mailersend")
    page = browser.get("/events/").text
    assert (page.count("applied within seconds"), page.count("should have been applied by now")) == (1, 1)
    assert "should have been applied by now" in browser.get(f"/events/{late.pk}/").text
    assert all(f'<span class="meta">{door}</span>' in page for door in ("Postmark", "MailerSend"))


def test_each_filter_shows_its_own_and_nothing_else(browser):
    acme = account(name="Acme Works", external_id="acc-77")
    Contact.objects.create(account=acme, email="ann@acme.example")
    of = {state: came(state, sentence="x") for state in Event.State.values}
    mine = came("done", account=acme, provider="stripe", external_id="evt_9")
    lost = came("unmatched", subject="email:bob@else.example")
    assert shown(browser, "?state=failed") == [of["given_up"].pk, of["failed"].pk]
    assert shown(browser, "?state=ambiguous") == [of["ambiguous"].pk]
    assert shown(browser, "?door=stripe") == [mine.pk]
    assert shown(browser, f"?account={acme.pk}") == [mine.pk]
    for q in ("evt_9", "acme", "ann@acme.example", f"event:{mine.pk}"):
        assert shown(browser, f"?q={q}") == [mine.pk], q
    assert shown(browser, "?q=Bob@Else.example") == [lost.pk]
    assert shown(browser, "?q=bob@else.example&state=done") == []
    assert {value for _, states in STATES.values() for value in states} == {*Event.State.values}


@pytest.mark.parametrize(
    ("query", "notice"),
    [
        ("?state=gone", "State “gone” is not known here, so it was ignored."),
        ("?door=fax", "Door “fax” is not known here, so it was ignored."),
        ("?account=99999999999999999999", "Account “99999999999999999999” is not known here"),
        ("?cursor=broken", "That page of the list is not there any more; this is the first one."),
        ("?q=%00", "The search was ignored"),
        (f"?q={'x' * 10_000}", "The search was ignored"),
    ],
)
def test_what_is_not_known_is_ignored_with_a_notice(browser, query, notice):
    event = came()
    assert shown(browser, query) == [event.pk]
    assert notice in browser.get(f"/events/{query}").text


def test_the_list_goes_on_by_cursor_and_neither_its_queries_nor_its_bytes_hold_a_body(browser):
    def queries():
        with CaptureQueriesContext(connection) as made:
            browser.get("/events/")
        return [query["sql"] for query in made]

    came(account=account())
    few = queries()
    for _ in range(60):
        came(account=account())
    many = queries()
    assert len(many) <= len(few)
    assert not [sql for sql in many if '"intake_event"."body",' in sql]
    first = browser.get("/events/").text
    cursor = re.search(r'href="/events/\?(cursor=[^"]+)"', first)[1]
    assert (len(shown(browser)), len(shown(browser, f"?{cursor}"))) == (50, 11)
    assert not {*shown(browser)} & {*shown(browser, f"?{cursor}")}


SECRET = b'{"customer": "Ann \\u202e", "client_secret": "cs_1", "nested": [{"cancel_url": "https://c/1"}], "to": ""}'


@pytest.mark.parametrize("role", [*READERS, *WORKERS])
def test_what_was_sent_is_shown_on_demand_to_those_who_work_with_events_alone(role):
    client, event = signed_in(user(role)), came(body=SECRET)
    assert "Ann" not in client.get(f"/events/{event.pk}/").text
    text = client.get(f"/events/{event.pk}/?body=1").text
    assert ("Ann" in text) == (role in WORKERS)
    assert text.count(HIDDEN) == (2 if role in WORKERS else 0)
    assert not [word for word in ("cs_1", "https://c/1", "\u202e") if word in text]


@pytest.mark.parametrize(
    "body", [b"", b"null", b"\xff\xfe{}", b"[" * 100_000, b'{"a": NaN}', b'{"a":"\\ud800"}']
)
def test_a_body_that_nobody_can_read_is_shown_as_far_as_it_goes(browser, body):
    event = came("failed", body=body, sentence="The body is not an object.")
    answer = browser.get(f"/events/{event.pk}/?body=1")
    assert (answer.status_code, "The body is not an object." in answer.text) == (200, True)


CHANGES = {
    "retry": lambda event: (f"/events/{event.pk}/retry/", {}),
    "retry all": lambda event: ("/events/retry/?state=unmatched", {}),
    "ignore": lambda event: (f"/events/{event.pk}/ignore/", {"word": "A test"}),
    "link": lambda event: (f"/events/{event.pk}/link/", {"account": account().pk}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("role", READERS)
def test_who_only_reads_changes_nothing_and_is_offered_nothing(role, change):
    client, event = signed_in(user(role)), came()
    address, values = CHANGES[change](event)
    before = kept()
    assert (client.post(address, values).status_code, kept()) == (403, before)
    assert not [page for page in ("/events/", f"/events/{event.pk}/") if "Retry" in client.get(page).text]


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_without_a_login_and_nobody_by_a_link_alone_changes_anything(browser, change):
    event = came()
    address, values = CHANGES[change](event)
    before = kept()
    assert (Client().post(address, values).status_code, kept()) == (302, before)
    assert browser.get(address).status_code == (200 if change == "link" else 405)
    assert kept() == before


@pytest.mark.parametrize("state", Event.State.values)
def test_retry_is_for_what_did_not_work_and_names_who_asked(browser, me, state):
    event = came(state, tries=4)
    before = kept()
    answer = browser.post(f"/events/{event.pk}/retry/")
    event.refresh_from_db()
    if state in ("waiting", "done"):
        assert (answer.status_code, kept()) == (409, before)
        assert toast(answer)["text"] == f"“sales.referred” of Ingest is {state} by now."
        return
    assert (answer.status_code, event.state, event.tries, event.due_at, event.by) == (
        200,
        "waiting",
        0,
        NOW,
        me,
    )
    drain.apply_due(now=NOW)
    event.refresh_from_db()
    assert (event.state, event.sentence) == ("unmatched", "No account is known for gone.")


def test_what_was_blanked_can_be_put_aside_and_not_tried(browser):
    event = came("failed", body=b"", received_at=NOW - timedelta(days=91))
    before = kept()
    answer = browser.post(f"/events/{event.pk}/retry/")
    assert (answer.status_code, kept()) == (409, before)
    text = browser.get(f"/events/{event.pk}/").text
    assert ("It was blanked after 90 days." in text, "/retry/" in text, "/ignore/" in text) == (
        True,
        False,
        True,
    )


def test_all_that_failed_are_tried_again_as_far_as_the_filter_shows_them(browser, monkeypatch):
    failed = [came("failed"), came("given_up"), came("failed", provider="stripe")]
    others = [came("unmatched"), came("ignored"), came("done")]
    answer = browser.post("/events/retry/?state=failed&door=ingest")
    assert (answer.status_code, toast(answer)["text"]) == (200, "2 events are tried again.")
    states = dict(Event.objects.values_list("pk", "state"))
    assert [states[event.pk] for event in failed] == ["waiting", "waiting", "failed"]
    assert [states[event.pk] for event in others] == ["unmatched", "ignored", "done"]
    assert "Retry all 1" in browser.get("/events/?state=failed").text
    assert "Retry all" not in browser.get("/events/").text
    monkeypatch.setattr("apps.web.views.eventing.AT_ONCE", 1)
    assert (
        toast(browser.post("/events/retry/"))["text"] == "1 event is tried again. There are more like that."
    )
    assert Event.objects.filter(state="ignored").exists()


@pytest.mark.parametrize("state", Event.State.values)
def test_ignoring_takes_a_word_and_is_taken_back_by_a_new_try(browser, me, state):
    event = came(state, again=state in ("failed", "waiting"), subject="email:ann@new.example")
    before = kept()
    assert (browser.post(f"/events/{event.pk}/ignore/", {"word": " "}).status_code, kept()) == (422, before)
    answer = browser.post(f"/events/{event.pk}/ignore/", {"word": "Told twice"})
    event.refresh_from_db()
    if state not in STUCK:
        assert (answer.status_code, kept()) == (409, before)
        return
    assert (event.state, event.sentence, event.by, event.due_at) == ("ignored", "Told twice", me, None)
    # Nobody wakes what a person put aside.
    assert Event.objects.waiting_for("email:ann@new.example").again(now=NOW) == 0
    undo = toast(answer)["undo"]
    assert browser.post(undo["url"], undo["values"]).status_code == 200
    event.refresh_from_db()
    assert event.state == "waiting"


def test_an_event_that_is_put_aside_while_it_is_applied_changes_nothing(me):
    event = came("failed", again=True)
    assert event.claim(now=NOW)
    assert Event.objects.filter(pk=event.pk).ignore("A test", by=me, now=NOW)
    assert drain.apply(event, now=NOW) == set()
    event.refresh_from_db()
    assert (event.state, event.sentence) == ("ignored", "A test")


def test_linking_shows_who_might_be_meant_first_and_applies_it(browser, me):
    for name in ("Two North", "Two South"):
        account(Stage.INITIATED, name=name, domain="two.example")
    account(name="Elsewhere")
    event, alike = (bought("ann@two.example", order, "ambiguous") for order in ("o-1", "o-2"))
    text = browser.get(f"/events/{event.pk}/link/").text
    assert ("Two North" in text, "Two South" in text, "Elsewhere" in text) == (True, True, False)
    assert "ann@two.example</bdi> is kept on the account you choose" in text
    assert "Elsewhere" in browser.get(f"/events/{event.pk}/link/?q=elsewh").text
    south = Account.objects.get(name="Two South")
    answer = browser.post(f"/events/{event.pk}/link/", {"account": south.pk}, follow=True)
    assert "It is applied to Two South now, and 1 more like it." in answer.text
    drain.apply_due(now=NOW)
    south.refresh_from_db()
    assert (south.stage, south.purchases.count()) == (Stage.PAID_CALL, 2)
    event.refresh_from_db()
    alike.refresh_from_db()
    assert [(one.state, one.account, one.by) for one in (event, alike)] == [
        ("done", south, me),
        ("done", south, None),
    ]
    assert [*Contact.objects.values_list("account", "email")] == [(south.pk, "ann@two.example")]


def test_a_name_in_the_address_suggests_the_account(browser):
    account(name="Brightwater Ltd")
    event = bought("ann@brightwater.example", "o-1")
    assert "Brightwater Ltd" in browser.get(f"/events/{event.pk}/link/").text
    assert (
        "Nothing in it suggests an account."
        in browser.get(f"/events/{bought('x@gmail.com', 'o-2').pk}/link/").text
    )


def test_what_would_mislead_the_next_event_is_not_remembered(browser, me):
    other, chosen = account(), account()
    Contact.objects.create(account=other, email="ann@x.example")
    Contact.objects.create(account=account(), email="ann@x.example")
    user(email="dan@onramp.example")
    account(stripe_customer_id="cus_2")
    has_one = account(stripe_customer_id="cus_1")
    cases = [
        (bought("ann@x.example", "o-1", "ambiguous"), chosen),
        (bought("dan@onramp.example", "o-2"), chosen),
        (came(subject="customer:cus_9"), has_one),
        (came(subject="customer:cus_2"), chosen),
        (came(subject="account:gone"), chosen),
    ]
    alike = bought("dan@onramp.example", "o-3")
    before = kept()[1:]
    for event, to in cases:
        assert browser.post(f"/events/{event.pk}/link/", {"account": to.pk}).status_code == 302
    assert kept()[1:] == before
    alike.refresh_from_db()
    assert alike.state == "unmatched"
    drain.apply_due(now=NOW)
    assert {*Event.objects.exclude(pk=alike.pk).values_list("state", flat=True)} == {"done"}


@pytest.mark.parametrize(
    ("state", "subject"),
    [
        ("unmatched", "call:c-1"),
        ("unmatched", "order:o-1"),
        ("done", ""),
        ("failed", ""),
        ("ignored", "email:a@b.c"),
    ],
)
def test_what_is_not_a_persons_to_link_is_left_as_it_is(browser, state, subject):
    event, to = came(state, subject=subject), account()
    before = kept()
    for answer in (
        browser.get(f"/events/{event.pk}/link/"),
        browser.post(f"/events/{event.pk}/link/", {"account": to.pk}),
    ):
        assert (answer.status_code, answer.url) == (302, f"/events/{event.pk}/")
    assert kept() == before


@pytest.mark.parametrize("given", ["", "x", "0", "-1", "99999999999999999999"])
def test_an_account_that_is_not_there_links_nothing(browser, given):
    event = came(subject="email:a@b.example")
    before = kept()
    answer = browser.post(f"/events/{event.pk}/link/", {"account": given})
    assert (answer.status_code, "hoose an account" in answer.text or "not here any more" in answer.text) == (
        422,
        True,
    )
    assert kept() == before


def test_of_two_who_link_one_event_the_second_is_told(browser, monkeypatch):
    event, first, second = bought("ann@x.example", "o-1"), account(), account()
    stale = Event.objects.get(pk=event.pk)
    browser.post(f"/events/{event.pk}/link/", {"account": first.pk})
    from apps.intake.linking import link

    before = kept()
    assert (link(stale, second, by=user(), now=NOW), kept()[0]) == (0, before[0])
    assert kept()[1] == before[1]


def test_only_what_changed_is_drawn_anew_and_newer_events_are_counted(browser):
    still, changed = came(), came()
    stamps = dict(re.findall(r'data-pk="(\d+)" data-stamp="([^"]*)"', browser.get("/events/").text))
    asks = (
        "shown=" + ",".join(f"{pk}.{stamp}" for pk, stamp in stamps.items()) + f"&newest={changed.pk}&told=0"
    )
    assert browser.get(f"/events/changed/?{asks}").status_code == 204
    browser.post(f"/events/{changed.pk}/ignore/", {"word": "A test"})
    came()
    text = browser.get(f"/events/changed/?{asks}").text
    assert (f'id="event-{changed.pk}"' in text, f'id="event-{still.pk}"' in text) == (True, False)
    assert "1 newer event: show" in text
    for broken in (
        "shown=%00",
        "shown=1.a,x.b,9e9.c",
        f"shown={'9' * 30}.a",
        "newest=-1&told=0",
        "newest=1e9",
    ):
        assert browser.get(f"/events/changed/?{broken}").status_code in (200, 204)


BACKLOG = "Events wait for more than 5 minutes to be applied."


def test_a_backlog_that_is_old_or_large_is_told_on_every_page_in_no_query_more(browser, monkeypatch):
    def queries():
        with CaptureQueriesContext(connection) as made:
            assert browser.get("/hygiene/").status_code == 200
        return len(made)

    few = queries()
    event = came("waiting", due_at=NOW - timedelta(minutes=5))
    assert BACKLOG not in browser.get("/hygiene/").text
    Event.objects.filter(pk=event.pk).update(due_at=NOW - timedelta(minutes=5, seconds=1))
    assert BACKLOG in browser.get("/hygiene/").text
    assert BACKLOG in signed_in(user("viewer")).get("/").text
    assert queries() == few
    Event.objects.all().delete()
    monkeypatch.setattr(events, "TOO_MANY", 3)
    monkeypatch.setattr(environment._WANTED, "_texts", OrderedDict())
    for _ in range(3):
        came("waiting")
    assert "events wait to be applied" not in browser.get("/hygiene/").text
    came("waiting")
    assert "events wait to be applied" in browser.get("/hygiene/").text
    # What is tried again later by itself is no backlog.
    Event.objects.update(due_at=NOW + timedelta(minutes=1), state="failed")
    assert "events wait to be applied" not in browser.get("/hygiene/").text


def test_the_accounts_page_leads_to_the_events_about_it(browser):
    acme = account(Stage.INITIATED, name="Acme")
    event = came(subject="account:gone")
    browser.post(f"/events/{event.pk}/link/", {"account": acme.pk})
    drain.apply_due(now=NOW)
    text = browser.get(f"/accounts/{acme.pk}/").text
    assert f'href="/events/?account={acme.pk}"' in text
    assert f'<a href="/events/{event.pk}/">event:{event.pk}</a>' in text
    assert f"About {acme.name} alone" in browser.get(f"/events/?account={acme.pk}").text
