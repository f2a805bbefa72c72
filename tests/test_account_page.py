"""The account's page: what it shows to whom, and that what was typed does nothing."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.crm.days import spoken
from apps.crm.models import Account, AuditPoint, Bill, Contact, Credit, Label, Note, Policy
from apps.crm.pipeline import STAGES, Stage
from apps.crm.scope import segments
from apps.playbooks.models import Act
from apps.web.billplot import plot
from apps.web.markdown import rendered
from apps.web.timeline import SHOWN, timeline
from tests.account_pages import get, post, said
from tests.factories import NOW, account, call, in_days, snapshot, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


def busy(of, me, number):
    """One more of everything that can hang on an account."""
    note = of.add_note(f"Note {number}", by=me, now=NOW)
    of.add_task(f"Task {number}", in_days(3), by=me, now=NOW, assignee=me)
    of.add_task(f"Done {number}", in_days(3), by=me, now=NOW).finish(by=me, now=NOW)
    of.alerts.create(kind="failed-payment", subject=f"bill-{number}", text=f"Alert {number}", raised_at=NOW)
    of.alerts.create(
        kind="large-invoice",
        subject=f"b-{number}",
        text="Big",
        raised_at=NOW,
        resolved_at=NOW,
        resolved_by=me,
    )
    of.contacts.create(email=f"c{number}@acme.example", name=f"Contact {number}")
    of.bills.create(
        external_id=f"in_{of.pk}_{number}",
        amount=100,
        status="open",
        attempts=2,
        period_start=in_days(-number),
        reported_at=NOW,
    )
    of.calls.create(
        external_id=f"call_{of.pk}_{number}",
        kind="intro",
        starts_at=NOW + timedelta(days=1),
        ends_at=NOW + timedelta(days=1, hours=1),
    )
    Act.objects.create(account=of, playbook="sales-lead", occasion=f"o:{number}", at=NOW, skipped=True, by=me)
    note.pin(True, now=NOW)
    given = {
        "kind": "missed_call",
        "currency": "USD",
        "on": NOW.date(),
        "why": "Missed",
        "by": me,
        "now": NOW,
    }
    Credit.objects.record(of, amount=Decimal(5), **given).correct(why="Twice", by=me, now=NOW)
    point = {"state": "done", "saving": Decimal(7), "by": me, "now": NOW, "seen": None}
    AuditPoint.objects.look_at(of, f"Point {number}", **point)
    at = NOW + timedelta(minutes=number)
    of.edit(payment_risk="high", payment_risk_by=me, payment_risk_at=at, now=NOW)
    of.labels.add(Label.objects.create(name=f"label {number} of {of.pk}"))
    of.move(Stage.CHURNED, by=me, now=NOW, cause="list", reason="Left.")
    of.move(Stage.NEW, by=me, now=NOW, cause="list", reason="Back.")
    return note


def test_ten_times_the_history_costs_not_one_query_more(browser, me):
    costs = []
    shown = account(Stage.NEW)
    for rounds in (1, 10):
        for number in range(rounds):
            busy(shown, me, rounds * 100 + number)
        with CaptureQueriesContext(connection) as asked:
            assert get(browser, shown).status_code == 200
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 37


def test_every_panel_shows_what_there_is(browser, me):
    shown = account(Stage.NEW, name="Blue Harbor", sales_contact_kind="", forecast=Decimal(300))
    busy(shown, me, 1)
    page = said(get(browser, shown))
    for words in (
        "Blue Harbor",
        "Onboarding Lead Onboarding Lead 100-500MRR",
        "1. New Account",
        "AE, CSM or AM None",
        "Payment failed Alert 1",
        "Task 1 24 Nov, in 3 days · Ann Ames",
        "Contact 1",
        "$100",
        "2 failed",
        "Intro call",
        "Ann Ames finished Done 1",
        "Ann Ames had sales-lead leave the account alone until its next renewal",
        "Ann Ames moved it to 6d. Churned from 1. New Account Left.",
        "Ann Ames resolved Large invoice",
        "Bill of $100 open 2 failed attempts",
        "Intro call: booked",
    ):
        assert words in page


def test_an_empty_account_says_what_would_be_there(browser):
    page = said(get(browser, account()))
    for words in (
        "Outside the pipeline",
        "Nothing has happened yet.",
        "Nothing to do.",
        "Nobody known.",
        "No bill yet.",
        "No call yet.",
    ):
        assert words in page


def test_an_account_that_is_no_longer_ours_says_so_only_while_in_the_pipeline(browser):
    facts = {"scope": "sales", "route": "Sales is on it: AE Dan."}
    for stage, told in ((Stage.NEW, True), (Stage.SALES_HANDOFF, False)):
        shown = account(stage)
        Account.objects.filter(pk=shown.pk).update(**facts)
        assert ("It stays in the pipeline until somebody moves it." in said(get(browser, shown))) is told


@pytest.mark.parametrize("role", ["viewer", "revenue", "specialist"])
def test_each_role_is_offered_what_it_may_do_and_refused_the_rest(client, role):
    shown, task = account(Stage.NEW), None
    task = shown.add_task("Call", in_days(1), by=None, now=NOW)
    client.force_login(user(role))
    page = get(client, shown).text
    may = {
        "viewer": set(),
        "revenue": {"risk"},
        "specialist": {"risk", "extend", "hand_pick", "label", "unlabel", "finish"},
    }[role]
    assert ('id="edit-risk"' in page) is ("risk" in may)
    assert ('id="edit-owner"' in page) is ("extend" in may)
    assert ('class="tick"' in page) is ("finish" in may)
    before = snapshot(shown)
    for name in ("risk", "extend", "hand_pick", "label", "unlabel"):
        assert (post(client, name, shown).status_code == 403) is (name not in may)
    assert (post(client, "task_finish", task).status_code == 403) is ("finish" not in may)
    if not may:
        assert snapshot(shown) == before


def test_the_slide_over_is_the_page_without_the_bar_and_needs_a_login(browser):
    shown = account(Stage.NEW, name="Blue Harbor")
    part = browser.get(f"/accounts/{shown.pk}/over/").text
    assert 'id="account"' in part
    assert "Blue Harbor" in part
    assert "<html" not in part
    assert browser.get("/accounts/999999/over/").status_code == 404
    assert Client().get(f"/accounts/{shown.pk}/over/", headers={"HX-Request": "true"}).status_code == 401


def test_what_happened_can_be_narrowed_to_a_kind(browser, me):
    shown = account(Stage.NEW)
    busy(shown, me, 1)
    numbers = Policy.at(NOW)
    kinds = {item.kind for item in timeline(shown, numbers).items}
    assert kinds == {"moves", "notes", "tasks", "alerts", "bills", "calls", "playbooks", "risk"}
    for kind in kinds:
        assert {item.kind for item in timeline(shown, numbers, kind=kind).items} == {kind}
    assert len(timeline(shown, numbers, kind="no such").items) == len(timeline(shown, numbers).items)
    assert "moved it to" not in said(get(browser, shown, kind="notes"))


def test_the_timeline_is_read_on_to_its_end_without_a_gap_or_a_repetition(browser, me):
    shown = account(Stage.NEW)
    for number in range(15):
        busy(shown, me, number)
    numbers, seen, mark = Policy.at(NOW), [], ""
    while True:
        part = timeline(shown, numbers, after=mark)
        assert len(part.items) <= SHOWN
        seen += [(item.at, item.source, item.pk) for item in part.items]
        mark = part.rest
        if not mark:
            break
    assert seen == sorted(set(seen), key=lambda item: (item[0], -item[1], item[2]), reverse=True)
    # Thirty moves and the first load; a note, two tasks, one done, an alert, a resolved one twice, bill, call, act,
    # and an assessment of the risk.
    assert len(seen) == 31 + 15 * 11
    first = timeline(shown, numbers)
    assert "What happened before" in said(get(browser, shown))
    assert get(browser, shown, after=first.rest).status_code == 200


@pytest.mark.parametrize(
    "mark",
    ["x", "~", "2026-11-21~1~2", "2026-11-21T00:00:00+00:00~x~y", f"{NOW.isoformat()}~1~{'9' * 30}", "\0"],
)
def test_a_made_up_mark_is_as_none(browser, me, mark):
    shown = account(Stage.NEW)
    busy(shown, me, 1)
    assert timeline(shown, Policy.at(NOW), after=mark) == timeline(shown, Policy.at(NOW))
    assert get(browser, shown, after=mark).status_code == 200


HOSTILE = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[a](javascript:alert(1))",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    '<a href="/x" hx-post="/accounts/1/move/" hx-trigger="load">x</a>',
    "![a](https://example.com/pixel.png)",
    '<div style="position:fixed">x</div>',
    "<svg onload=alert(1)>",
    "[a](vbscript:x)",
    "[a](//example.com)",
    "[a](/accounts/1/)",
    "<javascript:alert(1)>",
    "<iframe src=//example.com></iframe>",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_note_can_hold_anything_and_does_nothing(browser, text):
    shown = account(Stage.NEW)
    post(browser, "note", shown, text=text)
    drawn = rendered(text)
    assert not re.search(r"<(?!/?(p|a|br|em|strong|code|pre)\b)", drawn)
    assert not re.search(r"<[^>]*\b(on\w+|style|src|hx-\w+|data-\w+)\s*=", drawn)
    assert not re.search(r'<a [^>]*href="(?!https?:|mailto:)', drawn)
    assert str(drawn) in get(browser, shown).text


def test_template_marks_and_turned_text_stay_plain_and_links_keep_their_distance():
    assert "{{ 7 * 7 }}" in rendered("{{ 7 * 7 }} {% raw %}")
    assert "\u202e" not in rendered("invoice\u202efdp.exe")
    assert rendered("**b** [x](https://a.example)") == (
        '<p><strong>b</strong> <a href="https://a.example" rel="noopener noreferrer">x</a></p>\n'
    )
    assert rendered("[m](mailto:a@b.example)").startswith('<p><a href="mailto:a@b.example"')


def test_segments_follow_from_the_stage_and_the_forecast():
    numbers = Policy.at(NOW)
    found = {stage.number: segments(stage, Decimal(500), numbers) for stage in STAGES}
    assert found["6c"] == ("Create AE Lead",)
    assert found["6a"] == found["6b"] == ("Onboarding Completed",)
    assert found["6d"] == segments("", Decimal(500), numbers) == ()
    assert found["1"] == found["7"] == ("Onboarding Lead", "Onboarding Lead 100-500MRR")
    for forecast in (None, Decimal(100), Decimal("500.01")):
        assert segments(Stage.NEW, forecast, numbers) == ("Onboarding Lead",)


def test_bars_start_at_zero_and_say_their_values():
    def bill(amount, status="paid", **more):
        return Bill(amount=Decimal(amount), status=status, currency="USD", due_on=in_days(-1), **more)

    drawn = plot(
        [bill(50, "upcoming"), bill(100, "open", attempts=2), bill(25), bill(999, "void")], NOW.date()
    )
    assert [(bar.height, bar.look) for bar in drawn.bars] == [(10, "due"), (40, "failed"), (20, "ahead")]
    assert all(bar.y + bar.height == 40 for bar in drawn.bars)
    assert drawn.bars[1].words == "20 Nov: $100, open, 2 failed attempts"
    assert plot([], NOW.date()) is None


def test_choosing_a_kind_brings_an_outline_for_each_kind_but_the_plain_note(browser):
    page = get(browser, account(Stage.NEW)).text
    for kind in Note.Kind:
        assert re.search(rf'<option value="{kind}" data-outline="[^"]+"', page) or kind == Note.Kind.NOTE


def test_the_contacts_panel_says_of_whom_nobody_may_write_to_at_whatever_account_and_copies_no_address(
    browser, me
):
    of = account(Stage.NEW)
    for email, role, fields in (
        ("eng@a.example", "Engineer", {}),
        ("owner@a.example", "Owner", {}),
        ("no@a.example", "Owner", {"do_not_contact": True}),
        ("gone@a.example", "Owner", {"bounced_at": NOW}),
        ("elsewhere@a.example", "Owner", {}),
    ):
        Contact.objects.create(account=of, email=email, role=role, **fields)
    Contact.objects.create(account=account(), email="elsewhere@a.example", do_not_contact=True)
    text = get(browser, of).text
    assert text.count('data-copies="owner@a.example"') == 1
    assert text.count('data-copies="no@a.example"') == text.count('data-copies="elsewhere@a.example"') == 0
    assert said(get(browser, of)).count("Do not contact") == 2
    assert said(get(browser, of)).count("Mail came back") == 1
    assert browser.get(f"/accounts/{of.pk}/emails/").text == "owner@a.example, gone@a.example, eng@a.example"


def test_what_we_wrote_ourselves_shows_its_days_as_the_pages_do_and_what_people_wrote_stays(browser, me):
    of = account(Stage.INITIATED)
    of.move(
        Stage.AWAITING_FINAL_OUTREACH,
        by=None,
        now=NOW,
        cause="playbook:final-outreach-due",
        reason="Renews 2026-12-01, in 10 days",
    )
    of.move(
        Stage.CHURNED, by=me, now=NOW, cause="account", reason="Said no on 2026-11-20; 2026-13-45 is none"
    )
    text = get(browser, of).text
    assert "Renews 1 Dec, in 10 days" in text
    assert "Said no on 2026-11-20; 2026-13-45 is none" in text
    assert of.transitions.filter(reason="Renews 2026-12-01, in 10 days").exists()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("Renews 2026-12-01, in 10 days", "Renews 1 Dec, in 10 days"),
        ("Since 2025-01-02.", "Since 2 Jan 2025."),
        ("At 2026-12-01T09:00:00Z", "At 2026-12-01T09:00:00Z"),
        ("No 2026-02-31, no 12026-12-01", "No 2026-02-31, no 12026-12-01"),
        ("Nothing", "Nothing"),
    ],
)
def test_days_in_a_line_of_ours(written, says):
    assert spoken(written, NOW.date()) == says


def test_a_note_is_previewed_as_it_will_be_shown_with_whom_it_tells_and_nothing_is_kept(browser, me):
    user(username="dan", first_name="Dan", last_name="Ohm")
    text = "**Why** <script>alert(1)</script>, @dan and @" + me.username
    answer = browser.post("/notes/preview/", {"text": text})
    assert "<strong>Why</strong>" in answer.text
    assert "<script>" not in answer.text
    assert "Tells Dan Ohm." in answer.text
    assert Note.objects.count() == 0
    browser.force_login(user("viewer"))
    assert browser.post("/notes/preview/", {"text": text}).status_code == 403


def test_calls_say_the_contacts_own_time_and_the_team_link_is_one_click_away(browser, me):
    of = account(Stage.CALL_BOOKED)
    call(of, starts_at=NOW + timedelta(days=1), contact_time_zone="America/New_York", status="booked")
    assert "Team link" not in said(get(browser, of))
    Policy.objects.create(name="booking_link", value="https://book.example/team", starts_on=in_days(-1))
    page = get(browser, of)
    assert "22 Nov, 09:00 (04:00 in New York)" in said(page)
    assert 'href="https://book.example/team" target="_blank" rel="noopener"' in page.text


def test_an_account_with_many_labels_shows_the_first_and_folds_the_others(browser):
    here = account(Stage.NEW)
    for number in range(11):
        here.labels.add(Label.objects.create(name=f"Label {number:02}"))
    before, _, folded = browser.get(f"/accounts/{here.pk}/").text.partition('<summary class="chip">+3 labels')
    assert all((f"Take off the label Label {number:02}" in before) == (number < 8) for number in range(11))
    assert all(f"Take off the label Label {number:02}" in folded for number in (8, 9, 10))
