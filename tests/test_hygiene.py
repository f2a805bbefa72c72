"""The hygiene page: what contradicts itself and what does not, to the day; and that one click mends each."""

import json
from datetime import UTC, date, datetime, timedelta
from html import unescape
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.hygiene import CONTRADICTIONS, next_renewal
from apps.crm.models import Account, Task
from apps.crm.pipeline import OPEN, Stage
from tests.factories import account, call, user

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def me():
    return user(first_name="Mia", last_name="Berg")


def quiet(stage, **facts):
    """An account at a stage with a task, so that it is in no contradiction but the one a test is about."""
    of = account(stage, since=NOW - 2 * DAY, **facts)
    of.add_task("Something", TODAY, by=None, now=NOW)
    return of


def engaged(of, at=NOW - 5 * DAY):
    Account.objects.filter(pk=of.pk).update(engaged_at=at, engaged_via="email" if at else "")
    of.refresh_from_db()
    return of


def renewing(in_days, stage=Stage.AWAITING_FINAL_OUTREACH, **facts):
    return quiet(stage, next_renewal_on=TODAY + in_days * DAY, **facts)


def booked(starts_in, status="booked", of=None):
    of = of or quiet(Stage.CALL_BOOKED)
    call(of, starts_at=NOW + starts_in, status=status)
    return of


def held(ended_ago, noted=None):
    """An account with a call that was held and ended so long ago, and maybe a note that long after it began."""
    of = quiet(Stage.INTRO_CALL_COMPLETED)
    made = call(of, starts_at=NOW - ended_ago - timedelta(minutes=30), status="held")
    if noted is not None:
        of.add_note("They use flags.", by=None, now=made.starts_at + noted)
    return of


def churned(task=True, done=False):
    of = account(Stage.CHURNED)
    if task:
        made = of.add_task("Ring them", TODAY, by=None, now=NOW)
        if done:
            made.finish(by=None, now=NOW)
    return of


def planless(stage=Stage.ENGAGED_EMAIL, *, at=NOW - 5 * DAY, task=False, call_in=None):
    of = engaged(account(stage), at)
    if task:
        of.add_task("Circle back", TODAY, by=None, now=NOW)
    if call_in:
        call(of, starts_at=NOW + call_in)
    return of


HOUR = timedelta(hours=1)
# Each kind with what is in it and what is just beside it.
CASES = [
    ("no-call-ahead", lambda: quiet(Stage.CALL_BOOKED), True),
    ("no-call-ahead", lambda: booked(-10 * HOUR), True),
    ("no-call-ahead", lambda: booked(-9 * HOUR), False),
    ("no-call-ahead", lambda: booked(DAY), False),
    ("no-call-ahead", lambda: booked(DAY, status="canceled"), True),
    ("no-call-ahead", lambda: booked(DAY, status="held"), True),
    ("no-call-ahead", lambda: quiet(Stage.ENGAGED_EMAIL), False),
    ("final-too-early", lambda: renewing(31), True),
    ("final-too-early", lambda: renewing(30), False),
    ("final-too-early", lambda: quiet(Stage.AWAITING_FINAL_OUTREACH, next_renewal_on=None), False),
    ("final-too-early", lambda: renewing(31, Stage.SECOND_CALL_COMPLETED), False),
    ("engaged-in-6a", lambda: engaged(account(Stage.ONBOARDED_NO_ENGAGEMENT)), True),
    ("engaged-in-6a", lambda: account(Stage.ONBOARDED_NO_ENGAGEMENT), False),
    ("engaged-in-6a", lambda: engaged(account(Stage.ONBOARDED_ENGAGED)), False),
    ("task-on-churned", lambda: churned(), True),
    ("task-on-churned", lambda: churned(done=True), False),
    ("task-on-churned", lambda: churned(task=False), False),
    ("task-on-churned", lambda: quiet(Stage.SALES_HANDOFF), False),
    ("renewal-past", lambda: renewing(-1), True),
    ("renewal-past", lambda: renewing(0), False),
    ("renewal-past", lambda: renewing(-1, Stage.CHURNED), False),
    ("renewal-past", lambda: renewing(-1, plan="annual", contract_renewal_on=TODAY + 90 * DAY), False),
    ("held-no-note", lambda: held(DAY), True),
    ("held-no-note", lambda: held(DAY - timedelta(seconds=1)), False),
    ("held-no-note", lambda: held(60 * DAY), True),
    ("held-no-note", lambda: held(60 * DAY + timedelta(seconds=1)), False),
    ("held-no-note", lambda: held(3 * DAY, noted=timedelta(0)), False),
    ("held-no-note", lambda: held(3 * DAY, noted=2 * DAY), False),
    ("held-no-note", lambda: held(3 * DAY, noted=-timedelta(seconds=1)), True),
    ("held-no-note", lambda: booked(-3 * DAY, of=quiet(Stage.ENGAGED_EMAIL)), False),
    *(("nothing-planned", lambda at=at: planless(at), at in OPEN and at != Stage.PAID_CALL) for at in Stage),
    ("nothing-planned", lambda: planless(at=None), False),
    ("nothing-planned", lambda: planless(task=True), False),
    ("nothing-planned", lambda: planless(call_in=DAY), False),
    ("nothing-planned", lambda: planless(call_in=-DAY), True),
]


@pytest.mark.parametrize(("kind", "made", "there"), CASES)
def test_a_contradiction_is_shown_to_the_day_and_nothing_beside_it(browser, kind, made, there):
    of = made()
    text = browser.get(f"/hygiene/?kind={kind}").text
    assert (f'id="{kind}-{of.pk}"' in text) == there
    assert ("Nothing of this kind." in text) == (not there)


class Forms(HTMLParser):
    """The forms of a page: address and values each."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if tag == "form":
            self.found.append((facts["action"], {}))
        if tag == "input" and self.found:
            self.found[-1][1][facts["name"]] = facts["value"]


def buttons(client, kind, of):
    text = client.get(f"/hygiene/?kind={kind}").text
    line = text.split(f'id="{kind}-{of.pk}"')[1].split("</li>")[0]
    return unescape(line), Forms(line).found


MENDED = [
    (
        "no-call-ahead",
        lambda: quiet(Stage.CALL_BOOKED),
        0,
        {"stage": "intro_call_completed"},
        "No call is booked.",
    ),
    ("no-call-ahead", lambda: quiet(Stage.CALL_BOOKED), 1, {"stage": "engaged_email"}, "No call is booked."),
    (
        "no-call-ahead",
        lambda: booked(-2 * DAY),
        0,
        {"stage": "intro_call_completed"},
        "The call of 19 Nov is not marked, and no other is booked.",
    ),
    ("no-call-ahead", lambda: booked(-2 * DAY), 2, {"stage": "engaged_email"}, "is not marked"),
    (
        "final-too-early",
        lambda: renewing(45),
        0,
        {"stage": "onboarded_no_engagement"},
        "It awaits its final outreach, and renews in 45 days.",
    ),
    (
        "final-too-early",
        lambda: engaged(renewing(45)),
        0,
        {"stage": "onboarded_engaged"},
        "renews in 45 days",
    ),
    (
        "engaged-in-6a",
        lambda: engaged(account(Stage.ONBOARDED_NO_ENGAGEMENT)),
        0,
        {"stage": "onboarded_engaged"},
        "It is closed without engagement, and engaged by e-mail on 16 Nov.",
    ),
    (
        "task-on-churned",
        churned,
        0,
        {"next_task_on": None},
        "It has churned, and “Ring them” is still to do.",
    ),
    (
        "renewal-past",
        lambda: renewing(-40),
        0,
        {"next_renewal_on": date(2026, 12, 12)},
        "Its next renewal was 40 days ago.",
    ),
    (
        "renewal-past",
        lambda: quiet(
            Stage.INITIATED,
            plan="annual",
            contract_renewal_on=date(2024, 3, 1),
            next_renewal_on=date(2026, 12, 1),
        ),
        0,
        {"contract_renewal_on": date(2027, 3, 1), "next_renewal_on": date(2026, 12, 1)},
        "It renews 1 Mar 2027",
    ),
    (
        "nothing-planned",
        planless,
        0,
        {"next_task_on": TODAY + DAY},
        "It has engaged, and has neither a task nor a call ahead.",
    ),
]


@pytest.mark.parametrize(("kind", "made", "button", "facts", "says"), MENDED)
def test_one_click_mends_it_and_the_line_goes(browser, kind, made, button, facts, says):
    of = made()
    line, forms = buttons(browser, kind, of)
    assert says in line
    address, values = forms[button]
    answer = browser.post(f"{address}?kind={kind}", values)
    assert answer.status_code == 200
    assert Account.objects.values(*facts).get(pk=of.pk) == facts
    assert 'hx-target="#contradictions"' in answer.text
    assert f'id="{kind}-{of.pk}"' not in answer.text
    assert not json.loads(answer.headers["HX-Trigger"])["toast"]["bad"]


def test_a_missed_call_is_marked_from_its_line(browser):
    of = booked(-2 * DAY)
    _, forms = buttons(browser, "no-call-ahead", of)
    assert browser.post(forms[1][0], forms[1][1]).status_code == 200
    assert of.calls.get().status == "no_show"
    line, _ = buttons(browser, "no-call-ahead", of)
    assert "No call is booked." in line


def test_a_note_that_is_missing_is_written_in_the_small_form(browser):
    of = held(2 * DAY)
    line, forms = buttons(browser, "held-no-note", of)
    assert "The call of 19 Nov was held, and nobody has written it down." in line
    assert ('data-form="note"' in line, forms) == (True, [])
    form = browser.get("/hygiene/").text.split('<template id="form-note">')[1].split("</template>")[0]
    assert 'hx-post="/accounts/0/note/"' in form
    assert '<input type="hidden" name="from" value="hygiene">' in form
    answer = browser.post(f"/accounts/{of.pk}/note/", {"text": "They use flags.", "from": "hygiene"})
    assert f'id="held-no-note-{of.pk}"' not in answer.text


def test_a_second_click_on_an_old_page_is_told_and_changes_nothing(browser):
    of = engaged(account(Stage.ONBOARDED_NO_ENGAGEMENT))
    _, forms = buttons(browser, "engaged-in-6a", of)
    of.move(Stage.ONBOARDED_ENGAGED, by=user(first_name="Dan"), now=NOW, cause="list")
    of.move(Stage.NEW, by=user(first_name="Dan"), now=NOW, cause="list", reason="Back")
    answer = browser.post(*forms[0])
    assert (answer.status_code, Account.objects.get(pk=of.pk).stage) == (409, Stage.NEW)
    assert 'hx-target="#contradictions"' in answer.text


def test_the_renewal_of_somebody_quicker_is_not_overwritten(browser):
    of = renewing(-40)
    _, forms = buttons(browser, "renewal-past", of)
    of.edit(now=NOW + timedelta(seconds=1), next_renewal_on=date(2027, 1, 5))
    answer = browser.post(*forms[0])
    assert (answer.status_code, Account.objects.get(pk=of.pk).next_renewal_on) == (409, date(2027, 1, 5))


@pytest.mark.parametrize("address", ["renewal", "contract-renewal"])
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", "Say which day it renews."),
        ("2026-02-30", "The day is written like 2026-12-01."),
        ("0026-12-01", "The day is between the years 2000 and 2100."),
    ],
)
def test_a_broken_renewal_gets_a_sentence_and_changes_nothing(browser, address, value, sentence):
    of = renewing(-40)
    before = Account.objects.values().get(pk=of.pk)
    field = {"renewal": "next_renewal_on", "contract-renewal": "contract_renewal_on"}[address]
    answer = browser.post(f"/accounts/{of.pk}/{address}/", {field: value})
    assert (answer.status_code, Account.objects.values().get(pk=of.pk)) == (422, before)
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["text"] == sentence


@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_only_reads_sees_the_lines_and_may_change_nothing(client, role):
    client.force_login(user(role))
    for _, made, there in CASES:
        if there:
            made()
    text = client.get("/hygiene/").text
    assert text.count("<section") == len(CONTRADICTIONS)
    assert "<form method" not in text.split('id="contradictions"')[1]
    assert "data-key" not in text
    of = renewing(-40)
    assert client.post(f"/accounts/{of.pk}/renewal/", {"next_renewal_on": "2027-01-05"}).status_code == 403


@pytest.mark.parametrize(
    ("day", "today", "months", "then"),
    [
        (date(2026, 10, 12), date(2026, 11, 21), 1, date(2026, 12, 12)),
        (date(2026, 10, 22), date(2026, 11, 21), 1, date(2026, 11, 22)),
        (date(2026, 10, 21), date(2026, 11, 21), 1, date(2026, 12, 21)),
        (date(2026, 1, 31), date(2026, 2, 10), 1, date(2026, 2, 28)),
        (date(2026, 1, 31), date(2026, 2, 28), 1, date(2026, 3, 31)),
        (date(2026, 12, 31), date(2027, 1, 30), 1, date(2027, 1, 31)),
        (date(2024, 2, 29), date(2026, 11, 21), 12, date(2027, 2, 28)),
        (date(2024, 2, 29), date(2027, 2, 28), 12, date(2028, 2, 29)),
        (date(2025, 12, 1), date(2026, 11, 21), 12, date(2026, 12, 1)),
        (date(1990, 5, 31), date(2026, 11, 21), 1, date(2026, 11, 30)),
    ],
)
def test_a_renewal_comes_again_after_whole_terms(day, today, months, then):
    assert next_renewal(day, today, months) == then


@pytest.mark.parametrize(
    ("query", "notice"),
    [
        ("?kind=nonsense", "Kind “nonsense” is not known here, so it was ignored."),
        ("?owner=99999999999999999999", "Owner “99999999999999999999” is not known here, so it was ignored."),
        ("?colour=red", "There is no filter “colour”, so it was ignored."),
        ("?kind=engaged-in-6a&cursor=broken", "That page of the list is not there any more"),
        ("?kind=%00&owner=%00", "is not known here, so it was ignored."),
    ],
)
def test_what_is_not_known_is_ignored_with_a_notice(browser, query, notice):
    of = engaged(account(Stage.ONBOARDED_NO_ENGAGEMENT))
    answer = browser.get(f"/hygiene/{query}")
    assert answer.status_code == 200
    assert f'id="engaged-in-6a-{of.pk}"' in answer.text
    assert notice in answer.text


def test_the_counts_and_the_lines_are_the_owners(browser, me):
    mine, other = engaged(account(Stage.ONBOARDED_NO_ENGAGEMENT, owner=me)), renewing(-1)
    text = browser.get("/hygiene/?owner=me").text
    assert (f"-{mine.pk}" in text, f'data-account="{other.pk}"' in text) == (True, False)
    assert '?owner=me&amp;kind=engaged-in-6a">Engaged, but in 6a <span class="count">1</span>' in text
    assert "Renewal in the past" not in text
    assert f'data-account="{other.pk}"' in browser.get("/hygiene/?owner=none").text


def test_nothing_contradicts_itself_where_nothing_does(browser):
    quiet(Stage.NEW)
    assert "Nothing contradicts itself." in browser.get("/hygiene/").text


def test_a_kind_goes_on_by_cursor_and_the_queries_do_not_grow(browser, me):
    def queries(query=""):
        with CaptureQueriesContext(connection) as made:
            browser.get(f"/hygiene/{query}")
        return len(made)

    def add():
        engaged(account(Stage.ONBOARDED_NO_ENGAGEMENT, owner=me))
        for _, made, there in CASES:
            if there:
                made()

    def lines(text):
        return {part.split('"')[0] for part in text.split('<li id="engaged-in-6a-')[1:]}

    add()
    few, few_of_one = queries(), queries("?kind=engaged-in-6a")
    for _ in range(55):
        engaged(account(Stage.ONBOARDED_NO_ENGAGEMENT, owner=user() if _ < 3 else me))
    add()
    assert queries() <= few
    # One more for the page's end, and no more.
    assert queries("?kind=engaged-in-6a") <= few_of_one
    assert len(lines(browser.get("/hygiene/").text)) == 8
    first = browser.get("/hygiene/?kind=engaged-in-6a").text
    more = unescape(first.split("The next ones")[0].rsplit('href="', 1)[1].split('"')[0])
    second = browser.get(more).text
    assert (len(lines(first)), len(lines(second))) == (
        50,
        Account.objects.filter(stage=Stage.ONBOARDED_NO_ENGAGEMENT, engaged_at__isnull=False).count() - 50,
    )
    assert not lines(first) & lines(second)


def test_a_task_done_from_a_line_can_be_undone(browser):
    of = churned()
    _, forms = buttons(browser, "task-on-churned", of)
    answer = browser.post(*forms[0])
    undo = json.loads(answer.headers["HX-Trigger"])["toast"]["undo"]
    assert Task.objects.open().filter(account=of).count() == 0
    assert f'id="task-on-churned-{of.pk}"' in browser.post(undo["url"], undo["values"]).text
