"""No text is lost: not by Esc, a click outside, a reload, going back, nor by a server that fails or goes away.

Beside these: being offline in test_daily, a login that ran out or another one in test_again, a colleague in test_two.
"""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Note, StageTransition
from apps.crm.pipeline import Stage
from tests.browser.boards import card
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = "They asked about limits, and “quotes” <b>"


@pytest.fixture
def opened(page, login):
    for name in ("Amber", "Birch"):
        account(Stage.NEW, since=timezone.now() - timedelta(days=1), name=name)
    login(page, user(first_name="Sam", last_name="Smith"))
    page.goto("/")
    return page


def write(page, words=WORDS):
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page.locator("#form textarea")).to_be_focused()
    page.keyboard.insert_text(words)


def found_again(page):
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page.locator("#form textarea")).to_have_value(WORDS)


def test_going_back_and_forth_keeps_half_a_note(opened):
    opened.goto("/tasks/")
    opened.goto("/")
    write(opened)
    opened.go_back()
    opened.wait_for_url("**/tasks/")
    opened.go_forward()
    found_again(opened)
    assert Note.objects.count() == 0


def test_going_back_from_an_account_keeps_what_was_half_typed_on_it(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("Enter")
    expect(opened.locator(".over h1")).to_have_text("Amber")
    opened.keyboard.press("o")
    text = opened.locator("#add-note textarea")
    expect(text).to_be_focused()
    opened.keyboard.insert_text(WORDS)
    opened.go_back()
    expect(opened.locator(".over")).to_have_count(0)
    opened.go_forward()
    expect(text).to_have_value(WORDS)
    opened.reload()
    expect(text).to_have_value(WORDS)


@pytest.mark.parametrize("fails", [500, 502, 0])
def test_a_server_that_fails_is_told_and_the_note_stays_until_it_is_taken(opened, fails):
    opened.excused.extend(["status of 5", "Failed to fetch", "ERR_FAILED", "ERR_CONNECTION"])

    def fail(route):
        if fails:
            route.fulfill(status=fails, body="<h1>Bad gateway</h1>", content_type="text/html")
        else:
            route.abort()

    # Before the page is used: what is asked at once after it may still slip through.
    opened.route("**/note/", fail)
    opened.reload()
    write(opened)
    opened.keyboard.press("Control+Enter")
    expect(opened.locator(".toast.bad")).to_contain_text("Nothing was changed; try again.")
    expect(opened.locator("#form textarea")).to_have_value(WORDS)
    opened.reload()
    found_again(opened)
    opened.unroute("**/note/")
    opened.keyboard.press("Control+Enter")
    expect(opened.locator(".toast").last).to_contain_text("Noted on Amber.")
    assert [note.text for note in Note.objects.all()] == [WORDS]
    opened.keyboard.press("o")
    expect(opened.locator("#form textarea")).to_have_value("")


def test_why_an_account_churned_outlives_a_reload_on_the_board_and_is_found_in_the_list(open_board):
    here = account(Stage.NEW, name="Amber")
    page = open_board(user())
    for reload in (False, True):
        if reload:
            page.reload()
            page.wait_for_load_state("networkidle")
        card(page, here).locator("> a").focus()
        page.keyboard.press("m")
        expect(page.get_by_role("menuitem").first).to_be_focused()
        page.keyboard.press("6")
        page.keyboard.press("d")
        expect(page.locator("#moves button:focus")).to_contain_text("Churned")
        page.keyboard.press("Enter")
        expect(page.locator("#reason textarea")).to_be_focused()
        if not reload:
            page.keyboard.insert_text(WORDS)
    expect(page.locator("#reason textarea")).to_have_value(WORDS)
    page.goto("/")
    page.keyboard.press("j")
    page.keyboard.press("m")
    expect(page.locator("#form textarea:visible")).to_have_value(WORDS)
    page.goto("/board/")
    page.wait_for_load_state("networkidle")
    card(page, here).locator("> a").focus()
    page.keyboard.press("m")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("6")
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    expect(page.locator("#reason textarea")).to_have_value(WORDS)
    page.locator("#reason").get_by_role("button", name="Move").click()
    expect(page.locator(".toast").last).to_contain_text("moved to “6d. Churned”")
    assert StageTransition.objects.get(account=here, version=2).reason == WORDS
    assert (
        json.loads(page.evaluate("JSON.stringify({...localStorage})")).get(f"draft:move-churned:{here.pk}")
        is None
    )


def test_the_reason_for_moving_many_outlives_escape_and_a_reload(opened):
    for reload in (False, True):
        if reload:
            opened.keyboard.press("Escape")
            opened.reload()
        opened.keyboard.press("*")
        opened.keyboard.press("m")
        choice = opened.locator("#form .moves button", has_text="6d. Churned")
        expect(choice).to_be_visible()
        choice.press("Enter")
        expect(opened.locator("#form textarea")).to_be_focused()
        if not reload:
            opened.keyboard.insert_text(WORDS)
    expect(opened.locator("#form textarea")).to_have_value(WORDS)
    opened.locator("#form .primary").press("Enter")
    expect(opened.locator(".toast").last).to_contain_text("2 accounts are moved to “6d. Churned”")
    assert {row.reason for row in StageTransition.objects.filter(version=2)} == {WORDS}
    assert set(Account.objects.values_list("stage", flat=True)) == {"churned"}
