"""The palette, the keys and the bar, in a real browser and by keys alone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from apps.crm.models import Label, Note
from apps.crm.pipeline import Stage
from apps.intake.models import ApiToken
from tests.browser.conftest import until
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened(page, login):
    """The daily list with two accounts."""
    account(Stage.NEW, name="Harbor Homes")
    account(Stage.NEW, name="Copper Union")
    login(page)
    page.goto("/")
    page.locator("#rows th a").first.wait_for()
    return page


# What stands for the pages of one kind.
SHOWN = [
    "/settings/",
    *(f"/settings/{name}/" for name in ("me", "policy", "team", "senders", "labels", "tokens")),
    "/settings/policy/final_outreach_days/?value=20",
    "/settings/team/new/",
    "/find/?q=x",
    "/keys/",
]


def ask(page, text, keys="/"):
    page.wait_for_load_state()
    page.keyboard.press(keys)
    expect(page.locator("#palette input")).to_be_focused()
    page.keyboard.type(text)


def test_an_account_is_found_with_a_letter_wrong_and_opened_by_enter_alone(opened):
    ask(opened, "harbur")
    opened.keyboard.press("Enter")
    expect(opened.locator("#account-name")).to_have_text("Harbor Homes")


def test_enter_waits_for_the_answer_to_what_was_typed_last(opened):
    held = []
    opened.route("**/find/list/?q=h*", lambda route: held.append(route))
    ask(opened, "h")
    until(opened, lambda: held)
    opened.keyboard.type("arbor homes")
    opened.keyboard.press("Enter")
    until(opened, lambda: "homes" in held[-1].request.url)
    held[-1].continue_()
    expect(opened.locator("#account-name")).to_have_text("Harbor Homes")


def test_arrows_walk_through_what_was_found_and_letters_go_back_to_the_field(opened):
    ask(opened, "copper", keys="Control+k")
    expect(opened.locator("#found a").first).to_contain_text("Copper Union")
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("ArrowUp")
    opened.keyboard.press("ArrowUp")
    expect(opened.locator("#palette input")).to_be_focused()
    opened.keyboard.press("ArrowUp")
    expect(opened.locator("#found a").last).to_be_focused()
    opened.keyboard.type("s")
    expect(opened.locator("#palette input")).to_be_focused()
    expect(opened.locator("#palette input")).to_have_value("coppers")
    opened.keyboard.press("Escape")
    if opened.locator("#palette").is_visible():
        # The first Escape empties a search field in some browsers.
        opened.keyboard.press("Escape")
    expect(opened.locator("#palette")).not_to_be_visible()


def test_what_was_looked_at_lately_comes_first_when_nothing_is_typed(opened):
    ask(opened, "copper")
    opened.keyboard.press("Enter")
    expect(opened.locator("#account-name")).to_have_text("Copper Union")
    opened.wait_for_load_state()
    opened.goto("/tasks/")
    opened.keyboard.press("/")
    expect(opened.locator("#found")).to_contain_text("Looked at lately")
    expect(opened.locator("#found a").first).to_contain_text("Copper Union")


def test_a_command_goes_to_its_page(opened):
    ask(opened, "go to board")
    opened.keyboard.press("Enter")
    expect(opened).to_have_url(re.compile("/board/$"))


def test_a_note_on_the_row_in_hand_is_written_by_command(opened):
    opened.keyboard.press("j")
    expect(opened.locator("#rows th a").first).to_be_focused()
    ask(opened, "write a note")
    opened.keyboard.press("Enter")
    expect(opened.locator("#form textarea")).to_be_focused()
    opened.keyboard.type("By hand.")
    opened.locator("#form").get_by_role("button", name="Save note").press("Enter")
    expect(opened.locator("#form")).not_to_be_visible()
    assert Note.objects.get().text == "By hand."


def test_the_account_that_is_open_is_moved_by_command(opened):
    ask(opened, "harbor")
    opened.keyboard.press("Enter")
    expect(opened.locator("#account-name")).to_have_text("Harbor Homes")
    ask(opened, "move it")
    opened.keyboard.press("Enter")
    expect(opened.locator("#form")).to_contain_text("Harbor Homes")
    opened.locator("#form").get_by_role("button", name="Outreach sent").press("Enter")
    expect(opened.locator(".toast")).to_contain_text("2. Onboarding Initiated")
    expect(opened.locator("#form")).not_to_be_visible()


def test_all_keys_are_shown_and_escape_closes_them(opened, axe):
    opened.keyboard.press("?")
    expect(opened.locator("#keys")).to_contain_text("Next one that is new to you")
    expect(opened.locator("#keys")).to_contain_text("Acknowledge it")
    axe(opened)
    opened.keyboard.press("Escape")
    expect(opened.locator("#keys")).not_to_be_visible()
    opened.keyboard.press("g")
    opened.keyboard.press("s")
    expect(opened).to_have_url(re.compile("/settings/$"))


def test_who_turned_single_keys_off_has_the_others_still(page, login):
    login(page, user(single_keys=False))
    account(Stage.NEW, name="Harbor Homes")
    page.goto("/")
    page.locator("#rows th a").first.wait_for()
    for key in ("?", "/", "j", "f", "g", "b"):
        page.keyboard.press(key)
    ask(page, "harbor", keys="Control+k")
    expect(page.locator("dialog[open]")).to_have_count(1)
    expect(page.locator("#filters")).not_to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("#account-name")).to_have_text("Harbor Homes")


def test_a_click_outside_closes_it_and_the_focus_goes_back(opened):
    opened.keyboard.press("j")
    expect(opened.locator("#rows th a").first).to_be_focused()
    ask(opened, "copper")
    opened.mouse.click(20, 600)
    expect(opened.locator("#palette")).not_to_be_visible()
    expect(opened.locator("#rows th a").first).to_be_focused()


@pytest.mark.parametrize("width", [360, 1920])
def test_the_bar_finds_and_leads_everywhere_also_without_script(window, login, axe, width):
    context = window(java_script_enabled=False, viewport={"width": width, "height": 740})
    page = context.new_page()
    login(page)
    account(Stage.NEW, name="Harbor Homes")
    page.goto("/tasks/")
    page.get_by_role("button", name="More").click()
    page.locator("#all-pages").get_by_role("link", name="Settings").click()
    expect(page).to_have_url(re.compile("/settings/$"))
    page.locator("#find").click()
    page.locator("main input[name=q]").fill("harbur")
    page.keyboard.press("Enter")
    page.locator("main .found").get_by_role("link", name="Harbor Homes").click()
    expect(page.locator("#account-name")).to_have_text("Harbor Homes")


@pytest.mark.parametrize("width", [360, 1440])
def test_the_settings_have_no_fault_and_need_no_scrolling_sideways(page, login, axe, width):
    admin = user("admin")
    login(page, admin)
    Label.objects.create(name="Red")
    Label.objects.create(name="Blue")
    ApiToken.objects.issue(admin, now=NOW, name="Billing")
    page.set_viewport_size({"width": width, "height": 800})
    for address in SHOWN:
        page.goto(address)
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


def test_the_palette_has_no_fault_on_a_phone(opened, axe):
    opened.set_viewport_size({"width": 360, "height": 740})
    ask(opened, "o", keys="Control+k")
    expect(opened.locator("#found .found")).to_have_attribute("data-q", "o")
    axe(opened)
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_click_beside_a_dialog_closes_it_whichever_it_is(opened):
    for key, dialog in (("/", "#palette"), ("?", "#keys")):
        opened.keyboard.press(key)
        expect(opened.locator(dialog)).to_be_visible()
        opened.locator(dialog).click(position={"x": 5, "y": 5})
        expect(opened.locator(dialog)).to_be_visible()
        opened.mouse.click(5, 890)
        expect(opened.locator(dialog)).not_to_be_visible()
