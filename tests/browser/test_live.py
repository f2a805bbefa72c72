"""What colleagues do is seen within five seconds, without a reload and without taking anything out of the hand."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Call
from apps.crm.pipeline import Stage
from tests.factories import account, call, user

pytestmark = pytest.mark.django_db(transaction=True)


def five_seconds_pass(page):
    """By the page's clock, which stands still but for this: a slow machine has all the time it needs for the rest.

    A page that still waits for its last answer does not ask again: then the next five seconds are those that count.
    """
    asked = []
    page.on("request", lambda request: asked.append("/changes/" in request.url))
    for _ in range(10):
        page.clock.run_for(5000)
        page.wait_for_timeout(1000)
        if any(asked):
            return


@pytest.fixture
def page(page):
    page.clock.install()
    return page


def stand_still(page):
    """Stop the page's clock, once what it does on opening is done."""
    page.clock.pause_at(page.evaluate("Date.now() + 100"))


def lane(page, stage):
    return page.locator(f"#cards-{stage}")


def test_a_colleagues_move_is_drawn_on_the_board_within_five_seconds(page, login):
    login(page)
    here, dan = account(Stage.NEW, name="Acorn"), user(first_name="Dan")
    account(Stage.NEW, name="Birch")
    page.goto("/board/")
    birch = page.locator("#cards-new .card > a", has_text="Birch")
    birch.focus()
    expect(lane(page, "new").locator(".card")).to_have_count(2)
    stand_still(page)
    here.move(Stage.INITIATED, by=dan, now=timezone.now(), cause="list")
    five_seconds_pass(page)
    expect(lane(page, "initiated").locator(".card", has_text="Acorn")).to_be_visible()
    expect(lane(page, "new").locator(".card")).to_have_count(1)
    expect(birch).to_be_focused()


def test_a_colleagues_move_is_drawn_in_the_list_and_a_half_typed_note_stays(page, login):
    login(page)
    here, dan = account(Stage.NEW, name="Acorn"), user(first_name="Dan")
    page.goto("/")
    page.get_by_role("link", name="Acorn").focus()
    page.keyboard.press("o")
    text = page.locator("dialog[open] textarea")
    text.type("They asked about sess")
    stand_still(page)
    here.move(Stage.INITIATED, by=dan, now=timezone.now(), cause="board")
    five_seconds_pass(page)
    expect(page.locator("#rows tr", has_text="2. Onboarding Initiated")).to_be_visible()
    text.type("ion replay")
    expect(text).to_have_value("They asked about session replay")
    expect(text).to_be_focused()


def test_two_browsers_see_each_others_moves(page, login, window):
    login(page)
    account(Stage.NEW, name="Acorn")
    second = window().new_page()
    second.clock.install()
    login(second, "lead")
    for each in (page, second):
        each.goto("/board/")
    stand_still(second)
    page.locator("#cards-new .card", has_text="Acorn").get_by_role("link").focus()
    page.keyboard.press("m")
    expect(page.get_by_role("menuitem", name="Outreach sent")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("moved to")
    expect(lane(page, "initiated").locator(".card", has_text="Acorn")).to_be_visible()
    five_seconds_pass(second)
    expect(lane(second, "initiated").locator(".card", has_text="Acorn")).to_be_visible()
    expect(lane(second, "new").locator(".card")).to_have_count(0)


def test_n_jumps_through_what_is_new_and_a_click_says_that_it_was_seen(page, login, axe):
    now = timezone.now()
    person = user(date_joined=now - timedelta(days=30))
    login(page, person)
    for number in range(4):
        account(Stage.NEW, name=f"Old {number}", since=now - timedelta(days=40))
    for name in ("New one", "New two"):
        account(Stage.NEW, name=name, since=now)
    page.goto("/")
    axe(page)
    seen = []
    for _ in range(3):
        page.keyboard.press("n")
        seen.append(page.evaluate("document.activeElement.textContent"))
    assert seen == ["New one", "New two", "New one"]
    page.get_by_role("button", name="I have seen them").click()
    expect(page.locator("form.fresh")).to_have_count(0)
    expect(page.locator("tr[data-fresh]")).to_have_count(0)


@pytest.fixture
def calls_and_contradictions():
    """Amber and Birch, each with a call that nobody has marked, which is on the desk and, unmarked, a contradiction."""
    for name, hours in (("Amber", 30), ("Birch", 40)):
        of = account(Stage.CALL_BOOKED, since=timezone.now() - timedelta(days=5), name=name)
        call(of, starts_at=timezone.now() - timedelta(hours=hours))


@pytest.mark.parametrize("address", ["/calls/", "/hygiene/"])
def test_a_call_that_a_colleague_marks_leaves_the_desk_and_no_contradiction_is_left_in_anybodys_way(
    page, login, calls_and_contradictions, address
):
    dan = user(first_name="Dan")
    login(page)
    page.goto(address)
    page.set_viewport_size({"width": 1440, "height": 300})
    birch = page.locator("ul.slim li", has_text="Birch")
    birch.get_by_role("button", name="No-show").focus()
    page.evaluate("scrollTo(0, 40)")
    scrolled = page.evaluate("scrollY")
    stand_still(page)
    Call.objects.get(account__name="Amber").mark(
        Call.Status.NO_SHOW, by=dan, now=timezone.now(), cause="list"
    )
    if address == "/hygiene/":
        amber = Account.objects.get(name="Amber")
        amber.move(Stage.ENGAGED_EMAIL, by=dan, now=timezone.now(), cause="list")
        amber.add_task("Offer another call", timezone.now().date(), by=dan, now=timezone.now())
    five_seconds_pass(page)
    expect(page.locator("ul.slim li", has_text="Amber")).to_have_count(0)
    expect(birch.get_by_role("button", name="No-show")).to_be_focused()
    assert page.evaluate("scrollY") == scrolled


def test_who_takes_a_call_is_drawn_on_the_desk_and_a_form_that_is_open_stays_as_it_is(
    page, login, calls_and_contradictions
):
    dan = user(first_name="Dan")
    login(page)
    page.goto("/calls/")
    page.locator("ul.slim li", has_text="Birch").locator("a.name").focus()
    page.keyboard.press("o")
    choice = page.locator("#asks select")
    choice.select_option(label="Dan")
    stand_still(page)
    Call.objects.get(account__name="Amber").add_host(dan)
    five_seconds_pass(page)
    expect(page.locator("ul.slim li", has_text="Amber").locator(".hosts")).to_contain_text("Dan")
    expect(choice).to_have_value(str(dan.pk))
    expect(choice).to_be_focused()


def test_what_a_colleague_does_takes_no_focus_that_was_not_on_a_line(page, login, calls_and_contradictions):
    login(page)
    page.goto("/calls/")
    page.keyboard.press("j")
    stand_still(page)
    for name in ("Dan", "Eve"):
        Call.objects.get(account__name="Birch").add_host(user(first_name=name))
        five_seconds_pass(page)
        expect(page.locator("ul.slim li", has_text="Birch").locator(".hosts")).to_contain_text(name)
        # First on a line, which keeps it, and then nowhere.
        focus = page.evaluate("document.activeElement.className")
        assert focus == {"Dan": "name", "Eve": ""}[name]
        page.evaluate("document.activeElement.blur()")
