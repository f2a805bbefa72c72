"""The daily list under the hands: keys, actions, filters, drafts, undo, and what happens when things go wrong."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Label, Note, Task
from apps.crm.pipeline import Stage
from tests.browser.conftest import until
from tests.browser.lists import cell, forms_are_here, opened_list, row
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened(page, login):
    return opened_list(page, login)


def named(page):
    return page.locator("#rows th a").all_inner_texts()


def test_the_keys_walk_open_and_move_without_a_mouse(opened):
    opened.keyboard.press("j")
    expect(row(opened, "Amber").locator("a")).to_be_focused()
    opened.keyboard.press("j")
    opened.keyboard.press("ArrowDown")
    expect(row(opened, "Cedar").locator("a")).to_be_focused()
    opened.keyboard.press("k")
    opened.keyboard.press("m")
    expect(opened.locator("#form")).to_contain_text("Move Birch")
    expect(opened.locator("#form .moves button").first).to_be_focused()
    opened.keyboard.press("Enter")
    expect(opened.locator(".toast")).to_contain_text("Birch moved to “2. Onboarding Initiated”.")
    expect(row(opened, "Birch")).to_contain_text("2. Onboarding Initiated")
    expect(opened.locator("#form")).not_to_be_visible()
    expect(row(opened, "Birch").locator("th a")).to_be_focused()
    expect(opened.locator("#pile-new")).to_have_text("2")
    assert Account.objects.get(name="Birch").stage == "initiated"
    opened.keyboard.press("z")
    expect(row(opened, "Birch")).to_contain_text("1. New Account")
    assert Account.objects.get(name="Birch").stage == "new"
    opened.keyboard.press("Enter")
    expect(opened.locator(".over h1")).to_have_text("Birch")


def test_the_buttons_of_a_row_stand_at_its_edge_and_nothing_jumps(opened):
    before = row(opened, "Birch").bounding_box()
    row(opened, "Birch").hover()
    expect(row(opened, "Birch").get_by_role("button", name="Task")).to_be_visible()
    assert row(opened, "Birch").bounding_box() == before
    row(opened, "Amber").hover()
    expect(opened.get_by_role("button", name="More for this account")).to_have_count(1)
    row(opened, "Amber").get_by_role("button", name="More for this account").click()
    row(opened, "Amber").get_by_role("button", name="Assign").click()
    opened.get_by_role("combobox", name="Owner").select_option(str(opened.person.pk))
    opened.locator("#form .primary").click()
    expect(row(opened, "Amber")).to_contain_text(str(opened.person))
    assert Account.objects.get(name="Amber").owner == opened.person


def test_a_half_typed_note_outlives_escape_a_click_outside_and_a_reload(opened):
    text = opened.locator("#form textarea")
    opened.keyboard.press("j")
    opened.keyboard.press("o")
    opened.keyboard.type("They asked about billing limits")
    opened.keyboard.press("Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    opened.keyboard.press("o")
    expect(text).to_have_value("They asked about billing limits")
    opened.mouse.click(5, 5)
    expect(opened.locator("#form")).not_to_be_visible()
    opened.reload()
    forms_are_here(opened)
    opened.keyboard.press("j")
    opened.keyboard.press("j")
    opened.keyboard.press("o")
    expect(text).to_have_value("")
    opened.keyboard.press("Escape")
    opened.keyboard.press("k")
    opened.keyboard.press("o")
    expect(text).to_have_value("They asked about billing limits")
    opened.locator("#form .primary").click()
    expect(opened.locator(".toast")).to_contain_text("Noted on Amber.")
    assert [note.text for note in Note.objects.all()] == ["They asked about billing limits"]
    opened.keyboard.press("o")
    expect(text).to_have_value("")


def test_a_note_written_offline_is_kept_and_said_so(opened):
    opened.excused.append("Failed to fetch")
    opened.keyboard.press("j")
    opened.keyboard.press("o")
    opened.keyboard.type("On the train")
    opened.context.set_offline(True)
    opened.locator("#form .primary").click()
    expect(opened.locator(".toast.bad")).to_contain_text("Nothing was changed")
    expect(opened.locator("#form textarea")).to_have_value("On the train")
    opened.context.set_offline(False)
    opened.locator("#form .primary").click()
    expect(opened.locator(".toast").last).to_contain_text("Noted on Amber.")
    assert Note.objects.count() == 1


def test_a_task_is_added_and_shows_in_its_row(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("t")
    expect(opened.get_by_label("What there is to do")).to_be_focused()
    opened.keyboard.type("Call them back")
    opened.keyboard.press("Enter")
    expect(row(opened, "Amber")).to_contain_text("Today")
    task = Task.objects.get()
    assert (task.title, task.assignee) == ("Call them back", opened.person)


def test_a_move_that_needs_a_reason_asks_for_it(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("m")
    opened.get_by_text("Churned…").click()
    opened.locator("#form textarea:visible").fill("Went to a rival.")
    opened.get_by_role("button", name="Churned", exact=True).click()
    expect(row(opened, "Amber")).to_contain_text("6d. Churned")
    assert Account.objects.get(name="Amber").transitions.first().reason == "Went to a rival."


def test_who_comes_second_is_told_and_sees_what_is_true(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("m")
    expect(opened.locator("#form .moves button").first).to_be_visible()
    dan = user(first_name="Dan", last_name="Ohm")
    Account.objects.get(name="Amber").move(Stage.CALL_BOOKED, by=dan, now=timezone.now(), cause="board")
    opened.keyboard.press("Enter")
    expect(opened.locator(".toast.bad")).to_contain_text(
        "Dan Ohm moved it to “3b. Engaged — Call Booked” first."
    )
    expect(row(opened, "Amber")).to_contain_text("3b. Engaged — Call Booked")
    expect(opened.locator("#form")).not_to_be_visible()


def test_what_cannot_be_done_says_why(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("m")
    opened.get_by_text("Not possible now").click()
    expect(opened.locator("#form")).to_contain_text("Not from 1: an account nobody has written to")


def test_search_narrows_while_typing_and_keeps_every_letter_and_the_focus(opened):
    opened.locator("#q").focus()
    opened.keyboard.type("ceda", delay=60)
    expect(opened.locator("#rows th a")).to_have_count(1)
    expect(opened.locator("#q")).to_be_focused()
    expect(opened.locator("#q")).to_have_value("ceda")
    expect(opened).to_have_url(re.compile(r"/\?q=ceda$"))
    opened.keyboard.press("ArrowDown")
    expect(row(opened, "Cedar").locator("a")).to_be_focused()
    opened.get_by_label("Remove the filter").click()
    expect(opened.locator("#rows th a")).to_have_count(3)
    expect(opened.locator("#q")).to_have_value("")
    opened.go_back()
    expect(opened.locator("#rows th a")).to_have_count(1)
    expect(opened.locator("#q")).to_have_value("ceda")
    opened.reload()
    assert named(opened) == ["Cedar"]


def test_letters_typed_while_an_answer_is_on_its_way_are_not_lost(opened):
    held = []
    opened.route("**/?q=ce", lambda route: held.append(route))
    opened.locator("#q").fill("ce")
    until(opened, lambda: held)
    opened.keyboard.type("da")
    held[0].continue_()
    expect(opened).to_have_url(re.compile(r"q=ceda$"))
    expect(opened.locator("#q")).to_have_value("ceda")
    expect(opened.locator("#q")).to_be_focused()


@pytest.fixture
def ask(opened):
    """Press a key that asks for a form; gives the request, which waits."""
    asked = []
    opened.route("**/accounts/*/forms/**", lambda route: asked.append(route))

    def press(key):
        before = len(asked)
        opened.keyboard.press(key)
        until(opened, lambda: len(asked) > before)
        return asked[-1]

    return press


def test_keys_pressed_while_a_form_is_on_its_way_do_nothing_else(opened, ask):
    opened.keyboard.press("j")
    form = ask("m")
    for key in ("j", "o", "/"):
        opened.keyboard.press(key)
    form.continue_()
    expect(opened.locator("#form")).to_contain_text("Move Amber")
    expect(opened.locator("#form .moves button").first).to_be_focused()
    opened.keyboard.press("Escape")
    expect(row(opened, "Amber").locator("a")).to_be_focused()


def test_escape_gives_up_a_form_on_its_way_and_the_next_key_is_the_pages_again(opened, ask):
    opened.keyboard.press("j")
    ask("m")
    opened.keyboard.press("Escape")
    opened.keyboard.press("j")
    expect(row(opened, "Birch").locator("a")).to_be_focused()
    opened.keyboard.press("o")
    expect(opened.locator("#form textarea")).to_be_focused()
    opened.keyboard.type("wmj Escaped")
    expect(opened.locator("#form h2")).to_have_text("Note on Birch")
    expect(opened.locator("#form textarea")).to_have_value("wmj Escaped")


@pytest.mark.parametrize("late", [True, False])
def test_the_form_asked_for_last_is_shown_in_whatever_order_they_come(opened, ask, late):
    opened.keyboard.press("j")
    moves = ask("m")
    opened.keyboard.press("Escape")
    opened.keyboard.press("j")
    owner = ask("a")
    answered = []
    opened.on("requestfinished", lambda request: answered.append(request.url))
    for route in (owner, moves) if late else (moves, owner):
        route.continue_()
    expect(opened.locator("#form h2")).to_have_text("Owner of Birch")
    expect(opened.locator("#form select")).to_be_focused()
    assert sum("/forms/" in url for url in answered) == 1, "the first was called off"
    opened.keyboard.press("Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    expect(row(opened, "Birch").locator("a")).to_be_focused()


def test_a_form_that_does_not_come_leaves_the_keys_to_the_page(opened, ask):
    opened.excused += ["Failed to fetch", "net::ERR_FAILED"]
    opened.keyboard.press("j")
    ask("m").abort()
    expect(opened.locator(".toast.bad")).to_contain_text("No answer from the server.")
    opened.keyboard.press("j")
    expect(row(opened, "Birch").locator("a")).to_be_focused()
    expect(opened.locator("#form *")).to_have_count(0)


def test_filters_sorting_and_back_all_go_through_the_address(opened):
    Account.objects.filter(name="Birch").update(forecast=900, plan="yc")
    opened.get_by_role("link", name="Forecast").click()
    expect(opened.locator("#rows th a").first).to_have_text("Birch")
    expect(opened.locator("th[aria-sort=descending]")).to_have_text("Forecast")
    opened.keyboard.press("f")
    opened.locator("#filters").get_by_label("Plan").select_option("yc")
    expect(opened.locator("#rows th a")).to_have_count(1)
    expect(opened).to_have_url(re.compile(r"/\?sort=-forecast&plan=yc$"))
    expect(opened.locator("#filters")).to_be_visible()
    opened.keyboard.press("Escape")
    expect(opened.locator("#filters")).not_to_be_visible()
    opened.go_back()
    expect(opened.locator("#rows th a")).to_have_count(3)
    opened.get_by_role("link", name="Mine").click()
    expect(opened.locator(".empty")).to_contain_text("No account is like that.")


def test_what_is_chosen_in_the_menu_is_what_the_address_says_before_and_after_it_opens(opened):
    Account.objects.filter(name="Birch").update(plan="yc")
    opened.goto("/?plan=yc&stage=new&stage=initiated&sort=-name")
    opened.locator("#q").press_sequentially("bir")
    expect(opened).to_have_url(re.compile(r"/\?sort=-name&q=bir&stage=new&stage=initiated&plan=yc$"))
    opened.locator("#filter-button").click()
    expect(opened.locator("#filters [name=plan]")).to_have_value("yc")
    expect(opened.locator("#filters [value=new]")).to_be_checked()
    opened.locator("#filters [value=initiated]").uncheck()
    expect(opened).to_have_url(re.compile(r"/\?sort=-name&q=bir&stage=new&plan=yc$"))
    expect(opened.locator("#filters")).to_be_visible()
    opened.keyboard.press("Escape")
    expect(opened.locator("#filters")).not_to_be_visible()
    opened.get_by_label("Remove the filter Plan: YC").click()
    expect(opened).to_have_url(re.compile(r"stage=new$"))
    opened.locator("#filter-button").click()
    expect(opened.locator("#filters [name=plan]")).to_have_value("")
    expect(opened.locator("#filters [value=new]")).to_be_checked()


def test_the_list_has_no_end_to_see(page, login):
    today = timezone.now().date()
    for number in range(130):
        account(Stage.NEW, name=f"N{number:03}", next_renewal_on=today + timedelta(days=number))
    login(page)
    page.goto("/")
    for shown in (50, 100, 130):
        expect(page.locator("#rows th a").nth(shown - 1)).to_be_attached()
        page.evaluate("document.getElementById('rows').lastElementChild.scrollIntoView()")
    assert named(page) == [f"N{number:03}" for number in range(130)]
    assert page.locator("thead th").first.bounding_box()["y"] < 200, "the head stays in view"


def test_signing_out_elsewhere_is_said_and_keeps_what_was_typed(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("o")
    opened.keyboard.type("Unsent")
    opened.context.clear_cookies(name=re.compile("session"))
    opened.locator("#form .primary").click()
    expect(opened.locator(".toast.bad").last).to_contain_text("You were signed out.")
    expect(opened.locator("#form textarea")).to_have_value("Unsent")


def test_an_account_erased_meanwhile_is_said_to_be_gone(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("o")
    opened.keyboard.type("Too late")
    Account.objects.get(name="Amber").delete()
    opened.locator("#form .primary").click()
    expect(opened.locator(".toast.bad")).to_contain_text("That is not here any more.")


def test_an_accounts_page_moves_notes_and_undoes_in_place(opened):
    opened.goto(row(opened, "Amber").locator("a").get_attribute("href"))
    step = opened.locator(".stepper [aria-current=step]")
    opened.get_by_role("button", name="Outreach sent").click()
    expect(step).to_contain_text("2. Onboarding Initiated")
    expect(opened.locator(".timeline li").first).to_contain_text("moved it to 2. Onboarding Initiated")
    opened.locator("summary", has_text="Write a note").click()
    opened.get_by_label("Note", exact=True).fill("Kind people")
    opened.get_by_role("button", name="Save note").click()
    expect(opened.locator(".timeline li", has_text="Kind people")).to_have_count(1)
    opened.locator(".toast", has_text="moved to").get_by_role("button", name="Undo").click()
    expect(step).to_contain_text("1. New Account")


def test_a_note_that_was_closed_before_its_answer_came_is_taken_once(opened):
    answers = []
    opened.route("**/note/", lambda route: answers.append((route, route.fetch())))
    opened.keyboard.press("j")
    opened.keyboard.press("o")
    opened.keyboard.type("They called")
    opened.locator("#form .primary").click()
    opened.keyboard.press("Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    until(opened, lambda: answers)
    answers[0][0].fulfill(response=answers[0][1])
    expect(opened.locator(".toast")).to_contain_text("Noted on Amber.")
    expect(cell(opened, "Amber", "Notes")).to_have_text("1")
    opened.keyboard.press("o")
    expect(opened.locator("#form textarea")).to_have_value("")
    assert Note.objects.get().text == "They called"


def test_a_form_wanted_before_it_came_is_asked_for_and_what_comes_then_disturbs_nothing(page, login):
    for name in ("Amber", "Birch"):
        account(Stage.NEW, since=timezone.now() - timedelta(days=1), name=name)
    login(page)
    held, text = [], page.locator("#form textarea")
    page.route("**/daily/forms/", lambda route: held.append(route))
    page.goto("/")
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(text).to_be_focused()
    page.keyboard.type("wmj Early")
    until(page, lambda: held)
    held[0].continue_()
    forms_are_here(page)
    expect(text).to_be_focused()
    expect(text).to_have_value("wmj Early")
    page.keyboard.press("Escape")
    expect(row(page, "Amber").locator("th a")).to_be_focused()
    page.context.set_offline(True)
    page.keyboard.press("o")
    expect(text).to_have_value("wmj Early")
    page.context.set_offline(False)


def test_forms_that_did_not_come_are_asked_for_again_on_the_way_back_and_once_there_is_a_line(opened):
    opened.excused.extend(["ERR_FAILED", "ERR_INTERNET_DISCONNECTED"])
    opened.get_by_role("link", name="Final outreach due").click()
    opened.wait_for_url("**/?stage=awaiting_final_outreach")
    opened.go_back()
    expect(opened.locator("#rows th a")).to_have_count(3)
    forms_are_here(opened)
    failed = []
    opened.route("**/daily/forms/", lambda route: (route.abort(), failed.append(route)))
    opened.reload()
    until(opened, lambda: failed)
    opened.keyboard.press("j")
    opened.keyboard.press("t")
    expect(opened.get_by_label("What there is to do")).to_be_focused()
    opened.unroute("**/daily/forms/")
    opened.context.set_offline(True)
    opened.context.set_offline(False)
    forms_are_here(opened)


def test_a_note_opens_and_takes_letters_at_once_without_a_line(opened):
    opened.context.set_offline(True)
    opened.keyboard.press("j")
    opened.keyboard.press("o")
    opened.keyboard.type("jjk They called")
    expect(opened.locator("#form textarea")).to_have_value("jjk They called")
    expect(opened.locator("#form h2")).to_have_text("Note on Amber")
    opened.keyboard.press("Escape")
    opened.keyboard.press("t")
    expect(opened.locator("#form h2")).to_have_text("Task for Amber")
    opened.context.set_offline(False)
    opened.keyboard.type("Call them")
    opened.keyboard.press("Enter")
    expect(opened.locator(".toast")).to_contain_text("Task for Amber due")
    assert Task.objects.get().title == "Call them"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing(opened, axe, scheme, width):
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": width, "height": 800})
    axe(opened)
    row(opened, "Amber").hover()
    axe(opened)
    Label.objects.create(name="Beta")
    for key, field in (("a", "select"), ("l", "input[name=labels]"), ("r", "textarea")):
        row(opened, "Amber").locator("a").focus()
        opened.keyboard.press(key)
        expect(opened.locator(f"#form {field}")).to_be_visible()
        axe(opened)
        opened.keyboard.press("Escape")
        expect(opened.locator("#form")).not_to_be_visible()
    opened.locator("#filter-button").click()
    expect(opened.locator("#filters").get_by_label("Plan")).to_be_visible()
    axe(opened)
    opened.goto("/?stage=new&plan=yc")
    axe(opened)
    opened.goto(f"/accounts/{Account.objects.get(name='Amber').pk}/")
    axe(opened)
    opened.goto("/")
    row(opened, "Amber").locator("a").focus()
    opened.keyboard.press("m")
    expect(opened.locator("#form .moves button").first).to_be_visible()
    axe(opened)
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "the page does not scroll sideways"
    )
