"""The work on an account under the hands: its audit, what was given, the brief, pinned notes, two at one point."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import AuditPoint, Credit, Note, OutLink
from apps.crm.pipeline import Stage
from tests.browser.conftest import deaf
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def harbor(page, login):
    """An account before its end, open before a specialist."""
    today = timezone.now().date()
    page.harbor = account(
        Stage.AWAITING_FINAL_OUTREACH,
        since=timezone.now() - timedelta(days=30),
        name="Blue Harbor",
        domain="harbor.example",
        next_renewal_on=today + timedelta(days=8),
    )
    OutLink.objects.all().delete()
    OutLink.objects.create(label="Website", url="https://{domain}/")
    page.person = login(page)
    page.goto(f"/accounts/{page.harbor.pk}/")
    return page


def test_a_point_is_dealt_with_in_place_and_two_at_once_choose(harbor):
    expect(harbor.locator(".next .reminder")).to_contain_text("6 of 6 points of the audit are open.")
    harbor.get_by_role("button", name="Change: Unused products").click()
    form = harbor.locator("#edit-audit-1 form")
    form.locator("select").select_option("done")
    form.locator("[name=saving]").fill("120")
    form.get_by_role("button", name="Save").click()
    expect(harbor.locator("#audit li").first).to_contain_text("$120")
    expect(form).not_to_be_visible()
    deaf(harbor)
    dan = user(first_name="Dan", last_name="Ohm")
    of, now = harbor.harbor, timezone.now()
    AuditPoint.objects.look_at(
        of, "Identity merging", state="done", saving=Decimal(9), by=dan, now=now, seen=None
    )
    harbor.get_by_role("button", name="Change: Identity merging").click()
    form = harbor.locator("#edit-audit-2 form")
    form.locator("select").select_option("not_relevant")
    form.get_by_role("button", name="Save").click()
    expect(harbor.locator("#clash")).to_contain_text("Done, saves $9 a month, says Dan Ohm")
    harbor.locator("#clash").get_by_role("button", name="Keep mine").click()
    expect(harbor.locator("#audit li").nth(1)).to_contain_text("Not relevant")
    expect(harbor.locator("#clash")).to_have_count(0)
    assert AuditPoint.objects.get(what="Identity merging").by == harbor.person


def test_what_was_given_is_written_down_and_taken_back(harbor, axe):
    harbor.locator("#add-credit summary").click()
    form = harbor.locator("#add-credit form")
    form.locator("[name=amount]").fill("99.50")
    form.locator("[name=why]").fill("Events were sent twice.")
    axe(harbor)
    form.get_by_role("button", name="Write it down").click()
    expect(harbor.locator(".toast")).to_contain_text("Nothing was issued.")
    harbor.get_by_role("button", name="Correct Misconfiguration").click()
    harbor.locator("[id^=edit-correct] textarea").fill("Another account.")
    harbor.get_by_role("button", name="Take it back").click()
    expect(harbor.locator("[aria-labelledby=h-credits]")).to_contain_text("taken back")
    assert sorted(Credit.objects.values_list("amount", flat=True)) == [Decimal("-99.50"), Decimal("99.50")]


def test_the_brief_is_copied_in_one_click_and_begins_the_handoff_note(harbor):
    harbor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    harbor.get_by_role("button", name="Copy the brief").click()
    expect(harbor.locator(".toast")).to_contain_text("The brief is copied.")
    assert harbor.evaluate("navigator.clipboard.readText()").startswith("# Blue Harbor\n")
    ask = harbor.locator("#ask-sales_handoff")
    ask.locator("summary").click()
    ask.locator("textarea").fill("They want a contract.")
    ask.get_by_role("button", name="Begin with the brief").click()
    expect(ask.locator("textarea")).to_be_focused()
    written = ask.locator("textarea").input_value()
    assert written.startswith("# Blue Harbor\n")
    assert written.endswith("They want a contract.")
    ask.get_by_role("button", name="Hand to Sales").click()
    expect(harbor.locator(".stepper [aria-current]")).to_contain_text("6c. Sales Handoff")
    harbor.harbor.refresh_from_db()
    assert harbor.harbor.transitions.first().reason == written.strip()


def test_the_brief_begins_the_handoff_note_on_the_board_too(harbor):
    harbor.goto("/board/")
    harbor.locator(f"#a{harbor.harbor.pk} a").focus()
    harbor.keyboard.press("m")
    harbor.locator("#moves").get_by_role("menuitem", name="Hand to Sales").click()
    begins = harbor.locator("#reason").get_by_role("button", name="Begin with the brief")
    begins.click()
    expect(harbor.locator("#reason textarea")).to_be_focused()
    expect(harbor.locator("#reason textarea")).to_have_value(re.compile(r"^# Blue Harbor\n"))
    harbor.keyboard.press("Escape")
    harbor.locator(f"#a{harbor.harbor.pk} a").focus()
    harbor.keyboard.press("m")
    harbor.locator("#moves").get_by_role("menuitem", name="Churned").click()
    expect(harbor.locator("#reason textarea")).to_be_visible()
    expect(begins).not_to_be_visible()


def test_notes_are_pinned_and_feedback_asks_for_its_product(harbor):
    harbor.keyboard.press("o")
    note = harbor.locator("#add-note")
    expect(note.locator("textarea")).to_be_focused()
    expect(note.locator("[name=product]")).not_to_be_visible()
    note.locator("select").select_option("feedback")
    note.locator("[name=product]").fill("Insights")
    note.locator("textarea").fill("Charts are slow.")
    note.get_by_role("button", name="Save note").click()
    expect(harbor.locator(".timeline .md:not([data-preview])")).to_have_text("Charts are slow.")
    harbor.locator(".timeline").get_by_role("button", name="Pin the note").click()
    expect(harbor.locator(".pinned .md")).to_have_text("Charts are slow.")
    harbor.locator(".pinned").get_by_role("button", name="Unpin").click()
    expect(harbor.locator(".pinned")).to_have_count(0)
    assert Note.objects.get().product == "Insights"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_new_pages_and_panels_are_accessible(harbor, axe, login, scheme):
    of, now = harbor.harbor, timezone.now()
    of.add_note("Slow charts", by=harbor.person, now=now, kind="feedback").pin(True, now=now)
    facts = {"kind": "services", "currency": "USD", "on": now.date(), "why": "So", "now": now}
    Credit.objects.record(of, amount=5, by=harbor.person, **facts)
    harbor.emulate_media(color_scheme=scheme)
    harbor.reload()
    expect(harbor.locator(".links-to a")).to_have_attribute("href", "https://harbor.example/")
    axe(harbor)
    harbor.goto("/feedback/")
    axe(harbor)
    login(harbor, "lead")
    harbor.goto("/settings/links/")
    axe(harbor)
