"""The alerts under the hands: keys, the small forms, drafts, Undo, and two people at one alert."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Alert
from apps.crm.pipeline import Stage
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened(page, login):
    """Alerts of three accounts, the earliest renewal first, opened by a specialist."""
    now = timezone.now()
    for number, name in enumerate(("Amber", "Birch", "Cedar")):
        of = account(
            Stage.NEW,
            since=now - timedelta(days=1),
            name=name,
            next_renewal_on=now.date() + timedelta(days=20 + number),
        )
        Alert.objects.create(account=of, kind="failed-payment", text="Offer help.", raised_at=now)
    Account.objects.all().recount()
    page.person = login(page)
    page.goto("/alerts/")
    return page


def row(page, name):
    return page.locator("#alert-rows tr", has_text=name)


def alert_of(name):
    return Alert.objects.get(account__name=name)


def test_the_keys_walk_resolve_with_a_word_and_take_it_back(opened, axe):
    axe(opened)
    opened.keyboard.press("j")
    opened.keyboard.press("j")
    expect(row(opened, "Birch").locator("th a")).to_be_focused()
    opened.keyboard.press("r")
    expect(opened.locator("#form textarea")).to_be_focused()
    axe(opened)
    opened.keyboard.type("Wrote to them")
    opened.keyboard.press("Tab")
    opened.locator("#form button.primary").press("Enter")
    expect(row(opened, "Birch")).to_have_count(0)
    expect(opened.locator("#form")).not_to_be_visible()
    expect(row(opened, "Cedar").locator("th a")).to_be_focused()
    expect(opened.locator("#count-alerts")).to_have_text("2")
    assert alert_of("Birch").resolution == "Wrote to them"
    expect(opened.locator(".toast [data-undo]")).to_be_visible()
    opened.keyboard.press("z")
    expect(opened.locator("#alert-rows tr[data-name]").nth(1)).to_contain_text("Birch")
    expect(opened.locator("#count-alerts")).to_have_text("3")
    assert alert_of("Birch").resolved_at is None


def test_what_was_typed_is_kept_until_it_is_taken(opened):
    row(opened, "Amber").get_by_role("button", name="Resolve").click()
    opened.keyboard.type("Half a tho")
    opened.keyboard.press("Escape")
    expect(row(opened, "Amber").locator("th a")).to_be_focused()
    opened.reload()
    row(opened, "Cedar").get_by_role("button", name="Resolve").click()
    expect(opened.locator("#form textarea")).to_have_value("")
    opened.keyboard.press("Escape")
    row(opened, "Amber").get_by_role("button", name="Resolve").click()
    expect(opened.locator("#form textarea")).to_have_value("Half a tho")
    opened.locator("#form").get_by_role("button", name="Resolve").click()
    expect(row(opened, "Amber")).to_have_count(0)
    assert alert_of("Amber").resolution == "Half a tho"


def test_one_press_acknowledges_snoozes_or_assigns(opened):
    dan = user(first_name="Dan")
    opened.reload()
    opened.keyboard.press("j")
    opened.keyboard.press("y")
    expect(row(opened, "Amber")).to_contain_text(f"{opened.person} is on it")
    expect(row(opened, "Amber").locator("th a")).to_be_focused()
    opened.keyboard.press("a")
    opened.locator("#form select").select_option("Dan")
    opened.locator("#form").get_by_role("button", name="Assign").click()
    expect(row(opened, "Amber").locator(".assignee")).to_have_text("Dan")
    assert alert_of("Amber").assignee == dan
    expect(row(opened, "Amber").locator("th a")).to_be_focused()
    opened.keyboard.press("s")
    opened.locator("#form").get_by_role("button", name="In a week").click()
    expect(row(opened, "Amber")).to_have_count(0)
    expect(opened.locator("#alert-states")).to_contain_text("Snoozed 1")
    assert alert_of("Amber").snoozed_until > timezone.now().date()


def test_a_key_that_is_quicker_than_the_page_acts_in_place(opened):
    opened.add_init_script(
        """document.addEventListener("DOMContentLoaded", () => {
            for (const key of ["j", "y"])
                (document.activeElement ?? document).dispatchEvent(
                    new KeyboardEvent("keydown", { key, bubbles: true }),
                );
        })"""
    )
    opened.reload()
    expect(row(opened, "Amber")).to_contain_text(f"{opened.person} is on it")
    expect(opened).to_have_url(re.compile(r"/alerts/$"))


def test_whoever_comes_second_is_told_and_sees_what_is_true(opened):
    row(opened, "Amber").get_by_role("button", name="Resolve").click()
    opened.keyboard.type("Called them")
    alert_of("Amber").resolve(by=user(first_name="Dan"), now=timezone.now(), resolution="Wrote to them")
    opened.locator("#form").get_by_role("button", name="Resolve").click()
    expect(opened.locator(".toast")).to_contain_text("Dan resolved it already: Wrote to them")
    expect(row(opened, "Amber")).to_have_count(0)
    assert alert_of("Amber").resolution == "Wrote to them"


def test_a_filter_is_a_link_and_the_last_alert_leaves_a_word(opened):
    opened.locator("#alert-states").get_by_text("Resolved").click()
    expect(opened.locator(".empty")).to_contain_text("No alert is like that.")
    assert opened.url.endswith("?state=resolved")
    opened.go_back()
    for name in ("Amber", "Birch", "Cedar"):
        row(opened, name).get_by_role("button", name="Resolve").click()
        opened.locator("#form").get_by_role("button", name="Nothing to do").click()
        expect(row(opened, name)).to_have_count(0)
    expect(opened.locator(".empty")).to_contain_text("Nothing wants you now.")
    assert not Alert.objects.open().exists()


def test_many_are_chosen_by_keys_resolved_at_once_and_taken_back(opened, axe):
    for _ in range(2):
        opened.keyboard.press("j")
        opened.keyboard.press("v")
    expect(opened.locator("#picked b")).to_have_text("2 chosen")
    axe(opened)
    alert_of("Amber").resolve(by=user(first_name="Dan"), now=timezone.now(), resolution="Called them")
    opened.keyboard.press("r")
    opened.keyboard.type("Wrote to them")
    opened.locator("#form button.primary").press("Enter")
    expect(opened.locator(".toast")).to_contain_text(
        "1 alert is resolved. Left as they are: 1 resolved by Dan already."
    )
    expect(opened.locator("#alert-rows tr[data-name]")).to_have_count(1)
    expect(opened.locator("#picked")).to_be_hidden()
    expect(row(opened, "Cedar").locator("th a")).to_be_focused()
    opened.keyboard.press("z")
    expect(opened.locator("#alert-rows tr[data-name]")).to_have_count(2)
    assert not alert_of("Birch").resolved_at


def test_all_that_are_shown_are_acknowledged_in_two_presses(opened):
    row(opened, "Birch").get_by_role("checkbox").check()
    opened.get_by_role("button", name="Choose all").click()
    expect(opened.locator("#picked b")).to_have_text("3 chosen")
    opened.locator("#picked").get_by_role("button", name="Acknowledge").click()
    for name in ("Amber", "Birch", "Cedar"):
        expect(row(opened, name)).to_contain_text(f"{opened.person} is on it")
    assert Alert.objects.filter(acknowledged_by=opened.person).count() == 3


def test_all_but_those_taken_out_again_are_acknowledged_shown_or_not(opened):
    for number in range(60):
        of = account(Stage.NEW, name=f"More {number}")
        Alert.objects.create(
            account=of, kind="failed-payment", text="x", raised_at=timezone.now(), assignee=opened.person
        )
    opened.goto("/alerts/")
    row(opened, "Birch").get_by_role("checkbox").check()
    opened.get_by_role("button", name="Choose all").click()
    expect(opened.locator("#picked b")).to_have_text("63 chosen")
    row(opened, "Birch").get_by_role("checkbox").uncheck()
    expect(opened.locator("#picked b")).to_have_text("63 but 1 chosen")
    opened.locator("#picked").get_by_role("button", name="Acknowledge").click()
    expect(opened.locator(".toast")).to_contain_text("62 alerts are")
    expect(opened.locator("#picked")).to_be_hidden()
    assert Alert.objects.filter(acknowledged_by=None).get().account.name == "Birch"


def test_an_alert_is_resolved_on_its_accounts_page(opened, axe):
    opened.goto(f"/accounts/{alert_of('Amber').account_id}/")
    opened.get_by_role("button", name="Acknowledge").click()
    expect(opened.locator("#account")).to_contain_text(f"{opened.person} is on it")
    opened.get_by_role("button", name="Resolve").click()
    opened.get_by_label("What was done").fill("Wrote to them")
    axe(opened)
    opened.locator("[popover]:popover-open button.primary").click()
    expect(opened.locator("#h-alerts")).to_have_count(0)
    expect(opened.locator("#count-alerts")).to_have_text("2")
    assert alert_of("Amber").resolution == "Wrote to them"
