"""What is edited in its cell of the daily list, by keys, by the mouse and on a phone."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Label
from apps.crm.pipeline import Stage
from tests.browser.lists import cell, opened_list, row
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened(page, login):
    return opened_list(page, login)


@pytest.fixture
def dan():
    return user(first_name="Dan", last_name="Ohm")


def test_an_owner_is_chosen_in_its_cell_by_the_keyboard_alone(opened, dan):
    owner = cell(opened, "Birch", "Owner")
    opened.keyboard.press("j")
    opened.keyboard.press("j")
    opened.keyboard.press("ArrowRight")
    expect(cell(opened, "Birch", "Next renewal")).to_be_focused()
    opened.keyboard.press("ArrowRight")
    expect(owner).to_be_focused()
    opened.keyboard.press("Enter")
    choice = opened.locator("#form select")
    expect(choice).to_be_focused()
    box, place = opened.locator("#form").bounding_box(), owner.bounding_box()
    assert abs(box["x"] - place["x"]) < 20, "it stands over the cell"
    assert abs(box["y"] - place["y"]) < 20
    opened.keyboard.press("D")
    opened.keyboard.press("Enter")
    expect(owner).to_have_text("Dan Ohm")
    expect(opened.locator("#form")).not_to_be_visible()
    expect(owner).to_be_focused()
    assert Account.objects.get(name="Birch").owner == dan
    expect(opened.locator(".toast [data-undo]")).to_be_visible()
    opened.keyboard.press("z")
    expect(owner).to_have_text("")
    assert Account.objects.get(name="Birch").owner is None
    opened.keyboard.press("j")
    expect(cell(opened, "Cedar", "Owner")).to_be_focused()
    opened.keyboard.press("ArrowLeft")
    expect(cell(opened, "Cedar", "Next renewal")).to_be_focused()
    opened.keyboard.press("ArrowLeft")
    expect(row(opened, "Cedar").locator("a")).to_be_focused()


def test_escape_leaves_a_cell_as_it_was(opened, dan):
    owner = cell(opened, "Amber", "Owner")
    owner.dblclick()
    opened.locator("#form select").select_option(str(dan.pk))
    opened.keyboard.press("Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    expect(owner).to_be_focused()
    expect(owner).to_have_text("")
    owner.dblclick()
    expect(opened.locator("#form select")).to_be_visible()
    expect(opened.locator("#form select")).to_have_value("")
    opened.mouse.click(5, 5)
    expect(opened.locator("#form")).not_to_be_visible()
    assert Account.objects.get(name="Amber").owner is None


def test_labels_are_ticked_by_the_keyboard_and_undone(opened):
    for name in ("Beta", "EU", "Fast"):
        Label.objects.create(name=name)
    worn = cell(opened, "Amber", "Labels")
    opened.keyboard.press("j")
    opened.keyboard.press("l")
    expect(opened.get_by_label("Beta")).to_be_focused()
    opened.keyboard.press("Space")
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("ArrowDown")
    opened.keyboard.press("Space")
    opened.keyboard.press("Enter")
    expect(worn).to_have_text("Beta, Fast")
    expect(row(opened, "Amber").locator("a")).to_be_focused()
    expect(opened.locator(".toast [data-undo]")).to_be_visible()
    opened.keyboard.press("z")
    expect(worn).to_have_text("")
    assert not Account.objects.get(name="Amber").labels.exists()


def test_a_cell_that_somebody_changed_meanwhile_shows_both_and_lets_one_choose(opened, dan):
    owner = cell(opened, "Amber", "Owner")
    owner.dblclick()
    expect(opened.locator("#form select")).to_be_visible()
    Account.objects.get(name="Amber").edit(now=timezone.now(), owner=dan)
    opened.locator("#form select").select_option(str(opened.person.pk))
    opened.locator("#form .primary").click()
    expect(opened.locator("#form #clash")).to_contain_text("Theirs, as it is now")
    expect(opened.locator("#form #clash")).to_contain_text("Dan Ohm")
    expect(owner).to_have_text("Dan Ohm")
    opened.get_by_role("button", name="Keep mine").click()
    expect(owner).to_have_text(str(opened.person))
    expect(opened.locator("#form")).not_to_be_visible()
    assert Account.objects.get(name="Amber").owner == opened.person


def test_taking_theirs_closes_the_editor_and_changes_nothing(opened, dan):
    owner = cell(opened, "Amber", "Owner")
    owner.dblclick()
    expect(opened.locator("#form select")).to_be_visible()
    Account.objects.get(name="Amber").edit(now=timezone.now(), owner=dan)
    opened.locator("#form .primary").click()
    opened.get_by_role("button", name="Take theirs").click()
    expect(opened.locator("#form")).not_to_be_visible()
    expect(owner).to_have_text("Dan Ohm")
    assert Account.objects.get(name="Amber").owner == dan


def test_what_a_colleague_changes_leaves_an_open_editor_alone(opened, dan):
    owner = cell(opened, "Amber", "Owner")
    owner.dblclick()
    opened.locator("#form select").select_option(str(opened.person.pk))
    Account.objects.get(name="Amber").add_note("Meanwhile", by=dan, now=timezone.now())
    expect(cell(opened, "Amber", "Notes")).to_have_text("1")
    expect(opened.locator("#form select")).to_have_value(str(opened.person.pk))
    opened.locator("#form .primary").click()
    expect(owner).to_have_text(str(opened.person))


def test_who_may_only_look_gets_no_editor(page, login):
    account(Stage.NEW, name="Amber")
    login(page, "viewer")
    page.goto("/")
    cell(page, "Amber", "Owner").dblclick()
    page.keyboard.press("j")
    page.keyboard.press("ArrowRight")
    expect(row(page, "Amber").locator("a")).to_be_focused()
    for key in "alr":
        page.keyboard.press(key)
    expect(page.locator("#form")).not_to_be_visible()
    expect(page.locator("#form *")).to_have_count(0)


def test_on_a_phone_the_buttons_of_a_row_edit_it(opened):
    Label.objects.create(name="Beta")
    opened.set_viewport_size({"width": 360, "height": 800})
    row(opened, "Birch").locator("th").click(position={"x": 300, "y": 8})
    row(opened, "Birch").get_by_role("button", name="More for this account").click()
    button = row(opened, "Birch").get_by_role("button", name="Labels")
    assert button.bounding_box()["height"] >= 40
    button.click()
    expect(opened.get_by_label("Beta")).to_be_visible()
    box = opened.locator("#form").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    opened.get_by_label("Beta").check()
    opened.get_by_role("button", name="Save").click()
    expect(opened.locator(".toast")).to_contain_text("Birch: labels Beta.")
    assert [label.name for label in Account.objects.get(name="Birch").labels.all()] == ["Beta"]
