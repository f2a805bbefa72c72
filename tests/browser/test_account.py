"""An account under the hands: drafts that nothing loses, and the page slid over the list and the board."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Note
from apps.crm.pipeline import Stage
from tests.browser.conftest import deaf, until
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def three(page, login):
    """Three accounts, the earliest renewal first, and a specialist."""
    today = timezone.now().date()
    page.accounts = [
        account(
            Stage.NEW,
            since=timezone.now() - timedelta(days=1),
            name=name,
            next_renewal_on=today + timedelta(days=20 + number),
        )
        for number, name in enumerate(("Amber", "Birch", "Cedar"))
    ]
    page.person = login(page)
    return page


@pytest.fixture
def amber(three):
    three.goto(f"/accounts/{three.accounts[0].pk}/")
    return three


def over(page):
    return page.locator(".over")


def slid(page, name):
    """Wait until an account has slid in and takes the keys."""
    expect(over(page).locator("h1")).to_have_text(name)
    expect(over(page)).to_be_focused()


def text(page):
    return page.locator("#add-note textarea")


def test_a_half_typed_note_outlives_escape_a_reload_a_colleagues_move_and_a_lost_login(amber):
    amber.keyboard.press("o")
    expect(text(amber)).to_be_focused()
    amber.keyboard.type("Half a thought")
    amber.keyboard.press("Escape")
    amber.mouse.click(700, 20)
    expect(text(amber)).to_have_value("Half a thought")
    amber.reload()
    expect(text(amber)).to_be_visible()
    expect(text(amber)).to_have_value("Half a thought")
    deaf(amber)
    dan = user(first_name="Dan", last_name="Ohm")
    Account.objects.get(name="Amber").move(Stage.CALL_BOOKED, by=dan, now=timezone.now(), cause="board")
    amber.locator(".next > form .primary").click()
    expect(amber.locator(".toast.bad")).to_contain_text("Dan Ohm moved it")
    expect(amber.locator(".stepper [aria-current]")).to_contain_text("3b. Engaged — Call Booked")
    expect(text(amber)).to_have_value("Half a thought")
    cookies = amber.context.cookies()
    amber.context.clear_cookies(name=re.compile("session"))
    amber.locator("#add-note .primary").click()
    expect(amber.locator(".toast.bad").last).to_contain_text("You were signed out")
    expect(text(amber)).to_have_value("Half a thought")
    assert not Note.objects.exists()
    amber.context.add_cookies(cookies)
    amber.locator("#add-note .primary").click()
    expect(amber.locator(".timeline .md:not([data-preview])")).to_have_text("Half a thought")
    expect(text(amber)).not_to_be_visible()
    amber.reload()
    expect(text(amber)).to_have_value("")
    assert Note.objects.get().text == "Half a thought"


def test_a_kind_brings_its_outline_but_never_over_words(amber):
    amber.keyboard.press("o")
    amber.locator("#add-note select").select_option("escalation")
    expect(text(amber)).to_have_value(re.compile(r"\*\*What was checked\*\*"))
    amber.locator("#add-note select").select_option("feedback")
    expect(text(amber)).to_have_value(re.compile(r"^\*\*Product\*\*"))
    text(amber).fill("My own words")
    amber.locator("#add-note select").select_option("handoff")
    expect(text(amber)).to_have_value("My own words")


def test_an_account_slides_over_the_list_and_back_closes_it(three):
    three.goto("/")
    three.keyboard.press("j")
    three.keyboard.press("Enter")
    slid(three, "Amber")
    expect(three).to_have_url(re.compile(rf"/accounts/{three.accounts[0].pk}/$"))
    three.keyboard.press("j")
    slid(three, "Birch")
    three.keyboard.press("j")
    three.keyboard.press("j")
    slid(three, "Cedar")
    three.keyboard.press("k")
    slid(three, "Birch")
    expect(three).to_have_url(re.compile(rf"/accounts/{three.accounts[1].pk}/$"))
    three.keyboard.press("Escape")
    expect(over(three)).to_have_count(0)
    expect(three).to_have_url(re.compile(r"/$"))
    expect(three.locator("#rows tr", has_text="Birch").locator("a")).to_be_focused()
    three.locator("#rows a", has_text="Amber").click()
    slid(three, "Amber")
    three.go_back()
    expect(over(three)).to_have_count(0)
    three.go_forward()
    slid(three, "Amber")
    three.reload()
    expect(three.locator("main h1")).to_have_text("Amber")
    expect(over(three)).to_have_count(0)
    three.go_back()
    expect(three.locator("#rows th a")).to_have_count(3)


def test_what_is_done_in_the_slide_over_shows_in_the_list_behind_and_can_be_undone(three):
    three.goto("/")
    three.locator("#rows a", has_text="Amber").click()
    over(three).locator(".next > form .primary").click()
    row = three.locator("#rows tr", has_text="Amber")
    expect(row).to_contain_text("2. Onboarding Initiated")
    expect(over(three).locator(".stepper [aria-current]")).to_contain_text("2. Onboarding Initiated")
    expect(three.locator(".toast [data-undo]")).to_be_visible()
    three.keyboard.press("z")
    expect(over(three).locator(".stepper [aria-current]")).to_contain_text("1. New Account")
    expect(row).to_contain_text("1. New Account")
    assert Account.objects.get(name="Amber").stage == "new"


def test_a_note_half_typed_in_the_slide_over_is_there_when_it_opens_again(three):
    three.goto("/")
    three.locator("#rows a", has_text="Amber").click()
    slid(three, "Amber")
    three.keyboard.press("o")
    three.keyboard.type("jk: half")
    three.keyboard.press("Escape")
    three.keyboard.press("Escape")
    expect(over(three)).to_have_count(0)
    three.locator("#rows a", has_text="Birch").click()
    slid(three, "Birch")
    expect(text(three)).not_to_be_visible()
    three.keyboard.press("k")
    slid(three, "Amber")
    expect(text(three)).to_have_value("jk: half")


def test_the_account_asked_for_last_slides_in_once_and_escape_gives_it_up(three):
    asked = []
    three.goto("/")
    three.route("**/over/", lambda route: asked.append(route))
    three.locator("#rows a", has_text="Amber").click()
    until(three, lambda: len(asked) == 1)
    for key in ("j", "o", "Escape"):
        three.keyboard.press(key)
    expect(over(three)).to_have_count(0)
    expect(three.locator("#form")).not_to_be_visible()
    three.locator("#rows a", has_text="Birch").dblclick()
    until(three, lambda: len(asked) == 3)
    for route in reversed(asked):
        route.continue_()
    slid(three, "Birch")
    three.keyboard.press("Escape")
    three.keyboard.press("Escape")
    expect(over(three)).to_have_count(0)
    expect(three.locator("#rows a", has_text="Birch")).to_be_focused()
    three.keyboard.press("j")
    expect(three.locator("#rows a", has_text="Cedar")).to_be_focused()


def test_an_account_slides_in_while_another_answer_is_on_its_way(three):
    held = []
    three.goto("/")
    three.route("**/daily/changed/*", lambda route: route.continue_() if held else held.append(route))
    for _ in range(2):
        three.evaluate(
            "document.dispatchEvent(new CustomEvent('changes', {detail: {accounts: [], all: true}}))"
        )
    until(three, lambda: held)
    three.locator("#rows a", has_text="Amber").click()
    slid(three, "Amber")
    over(three).locator(".next > form .primary").click()
    expect(three.locator(".toast [data-undo]")).to_be_visible()
    three.keyboard.press("z")
    held[0].continue_()
    expect(over(three).locator(".stepper [aria-current]")).to_contain_text("1. New Account")
    assert Account.objects.get(name="Amber").stage == "new"


def test_a_held_key_opens_the_full_page_elsewhere_and_a_click_outside_closes(three):
    three.goto("/")
    with three.context.expect_page() as opened:
        three.locator("#rows a", has_text="Amber").click(modifiers=["ControlOrMeta"])
    expect(opened.value.locator("main h1")).to_have_text("Amber")
    expect(over(three)).to_have_count(0)
    opened.value.close()
    three.locator("#rows a", has_text="Amber").click()
    expect(over(three)).to_be_visible()
    three.mouse.click(200, 500)
    expect(over(three)).to_have_count(0)


def test_a_card_opens_over_the_board_and_its_move_shows_there(three):
    three.goto("/board/")
    three.locator(".card > a", has_text="Amber").click()
    slid(three, "Amber")
    over(three).locator(".next > form .primary").click()
    expect(three.locator("#lane-initiated .card", has_text="Amber")).to_have_count(1)
    expect(three.locator("#lane-new .card")).to_have_count(2)
    three.keyboard.press("Escape")
    expect(over(three)).to_have_count(0)
    expect(three.locator(".card > a", has_text="Amber")).to_be_focused()


def test_the_second_editor_chooses_between_both_values(amber):
    amber.get_by_role("button", name="Change: Hand-picked").click()
    amber.locator("#edit-hand-pick textarea").fill("Mine")
    Account.objects.get(name="Amber").edit(now=timezone.now(), hand_picked="Theirs")
    amber.locator("#edit-hand-pick .primary").click()
    expect(amber.locator("#clash")).to_contain_text("Theirs")
    expect(amber.locator("#clash")).to_contain_text("Mine")
    assert Account.objects.get(name="Amber").hand_picked == "Theirs"
    amber.keyboard.press("Escape")
    amber.get_by_role("button", name="Keep mine").click()
    expect(amber.locator("#clash")).to_have_count(0)
    expect(amber.locator(".facts")).to_contain_text("Mine")
    assert Account.objects.get(name="Amber").hand_picked == "Mine"


def test_a_colleagues_move_comes_in_by_itself_and_leaves_what_is_open(amber):
    amber.locator("#why-not summary").click()
    dan = user(first_name="Dan", last_name="Ohm")
    Account.objects.get(name="Amber").move(Stage.INITIATED, by=dan, now=timezone.now(), cause="board")
    expect(amber.locator(".stepper [aria-current]")).to_contain_text("2. Onboarding Initiated")
    expect(amber.locator("#why-not")).to_have_attribute("open", "")


def test_what_is_begun_while_a_colleagues_change_is_on_its_way_stays(amber):
    held = []
    amber.route("**/over/", lambda route: held.append(route))
    amber.evaluate("document.dispatchEvent(new CustomEvent('changes', {detail: {accounts: [], all: true}}))")
    until(amber, lambda: held)
    amber.keyboard.press("o")
    expect(text(amber)).to_be_focused()
    with amber.expect_event("requestfinished", lambda request: "/over/" in request.url):
        held[0].continue_()
    amber.keyboard.type("wt half")
    expect(text(amber)).to_have_value("wt half")
    expect(text(amber)).to_be_focused()


def test_the_page_and_the_slide_over_are_accessible(three, axe):
    shown = three.accounts[0]
    shown.add_note("**Bold** [link](https://example.com)", by=three.person, now=timezone.now())
    shown.add_task("Call", timezone.now().date(), by=None, now=timezone.now())
    shown.contacts.create(email="ann@acme.example", name="Ann", role="Owner")
    shown.bills.create(external_id="in_1", amount=100, status="open", attempts=2, reported_at=timezone.now())
    three.goto(f"/accounts/{shown.pk}/")
    axe(three)
    three.locator("#why-not summary").click()
    three.get_by_role("button", name="Change: Payment risk").click()
    axe(three)
    three.goto("/")
    three.locator("#rows a", has_text="Amber").click()
    slid(three, "Amber")
    axe(three)
    three.emulate_media(color_scheme="dark")
    axe(three)


def test_a_fact_that_somebody_changed_meanwhile_shows_both_and_theirs_can_be_taken(amber):
    here, dan = amber.accounts[0], user(username="dan.ohm", first_name="Dan", last_name="Ohm")
    deaf(amber)
    amber.get_by_role("button", name="Change: Owner").click()
    here.edit(now=timezone.now(), owner=dan)
    amber.locator("#edit-owner select").select_option(str(amber.person.pk))
    amber.locator("#edit-owner").get_by_role("button", name="Assign").click()
    expect(amber.locator("#clash")).to_contain_text("Dan Ohm")
    amber.get_by_role("button", name="Take theirs").click()
    expect(amber.locator("#clash")).to_have_count(0)
    assert Account.objects.get(pk=here.pk).owner == dan


@pytest.fixture
def colleagues():
    user(username="dan.ohm", first_name="Dan", last_name="Ohm")
    user(username="dora", first_name="Dóra", last_name="Nagy")
    user(username="eve", first_name="Eve", last_name="Ohm")


def offered(page):
    return page.locator(".mentions [role=option]")


def in_hand(page):
    """The option that a screen reader is told of, as the text names it."""
    return page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.textContent"
    )


def test_a_colleague_is_named_by_keys_alone_and_the_list_says_itself_to_a_screen_reader(
    colleagues, amber, axe
):
    amber.keyboard.press("o")
    expect(text(amber)).to_be_focused()
    amber.keyboard.type("Ask @oh")
    expect(offered(amber)).to_have_text(["Dan Ohm @dan.ohm", "Eve Ohm @eve"])
    expect(amber.locator(".mentions [role=status]")).to_contain_text("2 colleagues")
    assert in_hand(amber) == "Dan Ohm @dan.ohm"
    axe(amber)
    amber.keyboard.press("ArrowDown")
    assert in_hand(amber) == "Eve Ohm @eve"
    amber.keyboard.press("Enter")
    expect(text(amber)).to_have_value("Ask @eve ")
    expect(offered(amber).first).not_to_be_visible()
    expect(text(amber)).to_be_focused()
    amber.keyboard.type("and @dor")
    expect(offered(amber)).to_have_text(["Dóra Nagy @dora"])
    amber.keyboard.press("Escape")
    expect(offered(amber).first).not_to_be_visible()
    expect(text(amber)).to_be_focused()
    amber.keyboard.type(" me@dan.example")
    expect(offered(amber).first).not_to_be_visible()
    assert in_hand(amber) is None
    amber.get_by_role("button", name="Save note").click()
    expect(amber.locator(".timeline")).to_contain_text("Ask @eve and @dor me@dan.example")
    assert [notice.user.username for notice in Note.objects.get().mentions.all()] == ["eve"]


def test_names_are_offered_in_the_dialog_of_the_list_too_by_mouse_and_without_a_line(colleagues, three):
    three.goto("/")
    with three.expect_response("**/colleagues/"):
        three.keyboard.press("j")
        three.keyboard.press("o")
    expect(three.locator("#form textarea")).to_be_focused()
    three.keyboard.type("Ask @")
    expect(offered(three)).to_have_count(3)
    three.context.set_offline(True)
    three.keyboard.type("da")
    offered(three).filter(has_text="Dan Ohm").click()
    expect(three.locator("#form textarea")).to_have_value("Ask @dan.ohm ")
    expect(three.locator("#form textarea")).to_be_focused()
    three.keyboard.type("@")
    expect(offered(three)).to_have_count(3)
    three.keyboard.press("Escape")
    expect(three.locator("#form")).to_be_visible()
    three.context.set_offline(False)


def test_a_note_is_looked_at_before_it_is_saved_and_written_on_where_it_was(amber, axe):
    amber.keyboard.press("o")
    expect(text(amber)).to_be_focused()
    amber.keyboard.type("**Goals** for May")
    amber.get_by_role("button", name="Preview").click()
    expect(amber.locator("#add-note [data-preview] strong")).to_have_text("Goals")
    expect(text(amber)).not_to_be_visible()
    axe(amber)
    amber.get_by_role("button", name="Write on").click()
    expect(text(amber)).to_be_focused()
    expect(text(amber)).to_have_value("**Goals** for May")
    amber.get_by_role("button", name="Preview").click()
    expect(amber.locator("#add-note [data-preview] strong")).to_have_text("Goals")
    amber.get_by_role("button", name="Save note").click()
    expect(amber.locator(".timeline strong")).to_have_text("Goals")
    amber.locator("#add-note > summary").click()
    expect(text(amber)).to_be_visible()
    expect(text(amber)).to_have_value("")
