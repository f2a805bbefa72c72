"""Many rows, columns and views under the hands: by keys alone, with nothing lost on the way."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Contact, SavedView
from apps.crm.pipeline import Stage
from tests.browser.conftest import until
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened(page, login):
    """The list of four accounts, the earliest renewal first, the third of them closed for good to no move but one."""
    today = timezone.now().date()
    for number, name in enumerate(("Amber", "Birch", "Cedar", "Dogwood")):
        made = account(
            Stage.AWAITING_FINAL_OUTREACH if name == "Cedar" else Stage.NEW,
            since=timezone.now() - timedelta(days=1),
            name=name,
            next_renewal_on=today + timedelta(days=20 + number),
        )
        Contact.objects.create(account=made, email=f"{name.lower()}@x.example")
    page.person = login(page)
    page.goto("/")
    return page


def row(page, name):
    return page.locator("#rows tr", has_text=name)


def named(page):
    return page.locator("#rows th a").all_inner_texts()


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def test_a_view_that_was_deleted_or_saved_over_comes_back_by_one_key(opened):
    now = timezone.now()
    view = SavedView.objects.create(
        name="YC", query="plan=yc", owner=opened.person, created_at=now, changed_at=now
    )
    opened.goto(f"/?view={view.pk}&plan=boost")
    opened.get_by_role("button", name="Save the view").click()
    expect(opened.locator(".toast")).to_contain_text("“YC” shows this from now on.")
    press(opened, "z")
    until(opened, lambda: SavedView.objects.get(pk=view.pk).query == "plan=yc")
    opened.goto(f"/?view={view.pk}")
    opened.locator("#views-button").click()
    opened.get_by_role("button", name="Delete “YC”").click()
    expect(opened.locator(".toast")).to_contain_text("“YC” is deleted.")
    press(opened, "z")
    expect(opened.locator("#views-button")).to_have_text("YC")
    assert SavedView.objects.get(pk=view.pk).deleted_at is None


def test_by_keys_alone_some_are_chosen_and_moved_and_those_refused_are_named_and_it_is_undone(opened, axe):
    press(opened, "j", "x")
    expect(opened.locator("#picked b")).to_have_text("1 chosen")
    press(opened, "j", "j")
    expect(row(opened, "Cedar").locator("th a")).to_be_focused()
    press(opened, "Shift+X")
    expect(opened.locator("#picked b")).to_have_text("3 chosen")
    expect(opened.get_by_role("checkbox", name="Choose Birch")).to_be_checked()
    axe(opened)
    press(opened, "m")
    expect(opened.locator("#form h2")).to_have_text("Move 3 accounts")
    goes = opened.locator("#form .moves button", has_text="2. Onboarding Initiated")
    expect(goes).to_contain_text("2 of 3")
    goes.focus()
    press(opened, "Enter")
    expect(opened.locator("#form h2")).to_have_text("2 of 3 move to “2. Onboarding Initiated”")
    expect(opened.locator("#form .staying summary")).to_have_text(
        re.compile("^1: “2. Onboarding Initiated” is")
    )
    axe(opened)
    expect(opened.locator("#form .primary")).to_be_focused()
    press(opened, "Enter")
    expect(opened.locator(".toast")).to_contain_text(
        "2 accounts are moved to “2. Onboarding Initiated”. 1 stayed"
    )
    expect(opened.locator("#form")).not_to_be_visible()
    expect(opened.locator("#picked")).to_be_hidden()
    expect(row(opened, "Amber")).to_contain_text("2. Onboarding Initiated")
    expect(row(opened, "Birch")).to_contain_text("2. Onboarding Initiated")
    press(opened, "z")
    expect(row(opened, "Amber")).to_contain_text("1. New Account")
    expect(row(opened, "Birch")).to_contain_text("1. New Account")
    assert set(Account.objects.exclude(name="Cedar").values_list("stage", flat=True)) == {"new"}


def test_all_that_the_filters_show_is_chosen_loaded_or_not_and_escape_lets_go(opened):
    for number in range(60):
        account(Stage.NEW, name=f"More {number}", next_renewal_on=None)
    opened.goto("/?stage=new")
    press(opened, "*")
    expect(opened.locator("#picked b")).to_have_text("63 chosen")
    press(opened, "a")
    expect(opened.locator("#form h2")).to_have_text("Assign 63 accounts")
    press(opened, "Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    press(opened, "Escape")
    expect(opened.locator("#picked")).to_be_hidden()
    press(opened, "*", "a")
    expect(opened.get_by_role("combobox", name="Owner")).to_be_focused()
    opened.locator("#form .primary").click()
    expect(opened.locator(".toast")).to_contain_text("63 accounts are given to")
    expect(row(opened, "Amber")).to_contain_text(str(opened.person))
    assert Account.objects.filter(owner=opened.person).count() == 63


def test_all_but_those_taken_out_again_are_chosen_loaded_or_not(opened):
    for number in range(60):
        account(Stage.NEW, name=f"More {number}", next_renewal_on=None)
    opened.goto("/?stage=new")
    press(opened, "*")
    expect(opened.locator("#picked b")).to_have_text("63 chosen")
    press(opened, "j", "x", "j", "x")
    expect(opened.locator("#picked b")).to_have_text("61 chosen")
    expect(opened.get_by_role("checkbox", name="Choose Birch")).not_to_be_checked()
    press(opened, "x")
    expect(opened.locator("#picked b")).to_have_text("62 chosen")
    press(opened, "m")
    expect(opened.locator("#form h2")).to_have_text("Move 62 accounts")
    press(opened, "Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    press(opened, "a")
    expect(opened.get_by_role("combobox", name="Owner")).to_be_focused()
    opened.locator("#form .primary").click()
    expect(opened.locator(".toast")).to_contain_text("62 accounts are given to")
    assert [*Account.objects.filter(stage="new", owner=None).values_list("name", flat=True)] == ["Amber"]


def test_another_filter_lets_go_of_what_was_chosen(opened):
    press(opened, "j", "x")
    expect(opened.locator("#picked")).to_be_visible()
    opened.get_by_role("link", name="Final outreach due").click()
    expect(opened.locator("#rows th a")).to_have_count(1)
    expect(opened.locator("#picked")).to_be_hidden()


def test_e_mails_of_those_chosen_are_in_the_clipboard(opened):
    press(opened, "j", "x", "j", "x")
    opened.get_by_role("button", name="Copy e-mails").click()
    expect(opened.locator(".toast")).to_contain_text("2 e-mails copied.")
    assert opened.evaluate("navigator.clipboard.readText()") == "amber@x.example, birch@x.example"


def test_columns_are_chosen_and_ordered_in_their_menu_which_stays_open_by_keys(opened, axe):
    press(opened, "h")
    menu = opened.locator("#columns")
    expect(menu).to_be_visible()
    expect(menu.get_by_role("checkbox", name="Next renewal")).to_be_focused()
    axe(opened)
    menu.get_by_role("checkbox", name="Plan").focus()
    press(opened, "Space")
    expect(opened.locator("#scroller thead")).to_contain_text("Plan")
    expect(menu).to_be_visible()
    expect(menu.get_by_role("checkbox", name="Plan")).to_be_focused()
    menu.get_by_role("button", name="Plan: further left").focus()
    press(opened, "Enter")
    expect(opened.locator("#scroller thead th").nth(-2)).to_have_text("Labels")
    expect(menu.get_by_role("button", name="Plan: further left")).to_be_focused()
    press(opened, "Escape")
    expect(menu).not_to_be_visible()
    opened.reload()
    expect(opened.locator("#scroller thead th").nth(-3)).to_have_text("Plan")
    # A row that is drawn anew keeps the columns of the page.
    press(opened, "j", "a")
    opened.get_by_role("combobox", name="Owner").select_option(str(opened.person.pk))
    press(opened, "Enter")
    expect(row(opened, "Amber").locator("td")).to_have_count(11)
    expect(row(opened, "Amber")).to_contain_text(str(opened.person))
    # Also while the account is slid over the list, whose address is not the page's then.
    press(opened, "Enter")
    expect(opened.locator(".over h1")).to_have_text("Amber")
    Account.objects.get(name="Amber").edit(now=timezone.now(), owner=None)
    expect(row(opened, "Amber")).not_to_contain_text(str(opened.person))
    expect(row(opened, "Amber").locator("td")).to_have_count(11)


def test_a_view_is_kept_laid_over_given_up_deleted_and_taken_back_by_keys(opened, axe):
    opened.goto("/?stage=new&sort=-name")
    press(opened, "v")
    views = opened.locator("#views")
    expect(views.get_by_role("link", name="All open")).to_be_focused()
    views.get_by_text("Save what is shown as a view…").focus()
    press(opened, "Enter")
    views.get_by_label("Name").first.focus()
    opened.keyboard.type("Backwards")
    axe(opened)
    press(opened, "Enter")
    expect(opened.locator("#views-button")).to_have_text("Backwards")
    assert named(opened) == ["Dogwood", "Birch", "Amber"]
    opened.locator("#q").focus()
    opened.keyboard.type("bir")
    expect(opened.locator("#rows th a")).to_have_text(["Birch"])
    expect(opened.locator(".changed")).to_contain_text("Changed from “Backwards”")
    axe(opened)
    opened.get_by_role("link", name="Back to the view").click()
    expect(opened.locator("#rows th a")).to_have_text(["Dogwood", "Birch", "Amber"])
    expect(opened.locator("#q")).to_have_value("")
    opened.get_by_role("link", name="Remove the filter Stage: 1. New Account").click()
    expect(opened.locator("#rows th a")).to_have_text(["Dogwood", "Cedar", "Birch", "Amber"])
    assert SavedView.objects.get().query == "stage=new&sort=-name"
    opened.goto(f"/board/?view={SavedView.objects.get().pk}")
    expect(opened.locator("#views-button")).to_have_text("Backwards")
    axe(opened)
    opened.locator("#views-button").click()
    views.get_by_role("button", name="Delete “Backwards”").click()
    expect(opened.locator(".toast")).to_contain_text("“Backwards” is deleted.")
    press(opened, "z")
    expect(opened.locator("#views-button")).to_have_text("Backwards")
    assert SavedView.objects.get().deleted_at is None


def test_the_filter_menu_says_what_the_view_asks_for_and_takes_it_off(opened):
    now = timezone.now()
    mine = SavedView.objects.create(
        name="Mine", query="stage=new&plan=yc", owner=opened.person, created_at=now, changed_at=now
    )
    Account.objects.filter(name="Amber").update(plan="yc")
    opened.goto(f"/?view={mine.pk}")
    expect(opened.locator("#rows th a")).to_have_text(["Amber"])
    press(opened, "f")
    plan = opened.locator("#filters select[name=plan]")
    expect(plan).to_have_value("yc")
    expect(opened.locator("#filters input[value=new]")).to_be_checked()
    plan.select_option("")
    expect(opened.locator("#rows th a")).to_have_text(["Amber", "Birch", "Dogwood"])
    expect(plan).to_have_value("")


def test_renewal_and_task_are_changed_in_their_cells_and_escape_gives_up(opened):
    amber = Account.objects.get(name="Amber")
    amber.add_task("Call", timezone.now().date() + timedelta(days=3), by=opened.person, now=timezone.now())
    opened.reload()
    row(opened, "Amber").locator("td").nth(0).dblclick()
    expect(opened.locator("#form").get_by_label("Next renewal")).to_be_focused()
    opened.locator("#form").get_by_label("Next renewal").fill(
        (timezone.now().date() + timedelta(days=2)).isoformat()
    )
    press(opened, "Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    assert Account.objects.get(name="Amber").next_renewal_on == amber.next_renewal_on
    row(opened, "Amber").locator("th a").focus()
    press(opened, "ArrowRight", "ArrowRight", "ArrowRight", "Enter")
    expect(opened.locator("#form")).to_contain_text("Call")
    opened.locator("#form").get_by_label("Due").fill(timezone.now().date().isoformat())
    opened.locator("#form .primary").click()
    expect(row(opened, "Amber").locator("td").nth(5)).to_have_text("Today")


def test_a_shared_view_laid_over_on_a_phone_fits_and_is_accessible(window, login, axe):
    page = window(viewport={"width": 360, "height": 740}, reduced_motion="reduce").new_page()
    login(page)
    now = timezone.now()
    theirs = SavedView.objects.create(
        name="Everybody’s",
        query="stage=new&columns=plan,contacts,route",
        owner=user(first_name="Dan"),
        shared=True,
        created_at=now,
        changed_at=now,
    )
    account(Stage.NEW, name="Amber", plan="yc")
    page.goto(f"/?view={theirs.pk}&sort=name&plan=yc")
    expect(page.locator(".changed")).to_contain_text("which stays as it is")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    axe(page)
