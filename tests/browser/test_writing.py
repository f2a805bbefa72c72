"""Writing by the keyboard alone: from the list, through the form, on to the next; drafts, claims, two at once."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Contact, Outreach, Policy
from apps.crm.pipeline import Stage
from apps.outbox.models import Message
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def me(settings):
    settings.EMAIL_URL, settings.MAIL_LOG_ADDRESS = "smtp://localhost", "log@onramp.example"
    return user(first_name="Sam", last_name="Smith")


@pytest.fixture
def opened(page, login, me):
    """The list of three accounts nobody has written to, opened by a specialist."""
    now = timezone.now()
    Policy.objects.create(
        name="booking_link", value="https://book.example/team", starts_on=now.date() - timedelta(days=2)
    )
    for number, name in enumerate(("Amber", "Birch", "Cedar")):
        made = account(
            Stage.NEW,
            since=now - timedelta(days=8),
            name=name,
            next_renewal_on=now.date() + timedelta(days=20 + number),
        )
        Contact.objects.create(
            account=made, email=f"ann@{name.lower()}.example", name="Ann Ames", role="Owner"
        )
        Contact.objects.create(account=made, email=f"bob@{name.lower()}.example", name="Bob Ball")
    login(page, me)
    page.goto("/?write=now")
    return page


def row(page, name):
    return page.locator("#rows tr", has_text=name)


def write(page):
    """Press the key, and wait until the cursor stands in the text."""
    page.keyboard.press("w")
    expect(page.locator("#form textarea")).to_be_focused()


def selected(page):
    return page.evaluate(
        "(({value, selectionStart, selectionEnd}) => value.slice(selectionStart, selectionEnd))(document.activeElement)"
    )


def test_three_outreaches_take_four_keys_each_and_what_one_has_to_say(opened, axe):
    pressed = 0
    for number, name in enumerate(("Amber", "Birch", "Cedar")):
        for key in ("j",):
            opened.keyboard.press(key)
            pressed += 1
        expect(row(opened, name).locator("th a")).to_be_focused()
        write(opened)
        pressed += 1
        expect(opened.locator("#form .called")).to_have_text(name)
        assert selected(opened) == "[what you saw in their account?]"
        opened.keyboard.insert_text("Autocapture is on, and nobody looks at it.")
        if not number:
            axe(opened)
        opened.keyboard.press("Control+Enter")
        pressed += 2
        expect(opened.locator(".toast").last).to_contain_text(f"On its way to ann@{name.lower()}.example.")
        expect(opened.locator("#form")).not_to_be_visible()
        expect(row(opened, name)).to_contain_text("2. Onboarding Initiated")
        expect(row(opened, name).locator("th a")).to_be_focused()
    assert pressed == 3 * 4
    print(f"{pressed} keys for 3 outreaches, beside the words typed")
    kept = list(Outreach.objects.order_by("pk").values_list("account__name", "to", "template"))
    assert kept == [
        (name, f"ann@{name.lower()}.example", "initial-outreach") for name in ("Amber", "Birch", "Cedar")
    ]
    assert Message.objects.count() == 3
    assert all(
        "Autocapture is on" in text and "https://book.example/team" in text
        for text in Outreach.objects.values_list("text", flat=True)
    )
    opened.keyboard.press("Enter")
    expect(opened.locator(".over .timeline")).to_contain_text(
        "Sam Smith wrote Cedar: one thing about your setup"
    )


def test_a_gap_is_not_sent_and_the_cursor_goes_there(opened):
    opened.keyboard.press("j")
    write(opened)
    opened.keyboard.press("Control+End")
    opened.keyboard.press("Control+Enter")
    expect(opened.locator(".toast.bad")).to_contain_text("[what you saw in their account?]")
    expect(opened.locator("#form textarea")).to_be_focused()
    opened.wait_for_function(
        "document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)"
        ".startsWith('[what')"
    )
    assert Outreach.objects.count() == 0


def test_half_a_letter_outlives_escape_and_a_reload_and_starting_over_is_one_key_away(opened):
    text = opened.locator("#form textarea")
    opened.keyboard.press("j")
    write(opened)
    opened.keyboard.insert_text("Half a thought")
    opened.keyboard.press("Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    opened.reload()
    opened.keyboard.press("j")
    write(opened)
    expect(text).to_have_value(re.compile("Half a thought"))
    opened.get_by_role("button", name="Start over").press("Enter")
    expect(text).to_have_value(re.compile(re.escape("[what you saw in their account?]")))
    opened.keyboard.press("Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    write(opened)
    expect(text).not_to_have_value(re.compile("Half a thought"))


def test_another_person_and_another_template_change_the_words_and_lose_none(opened):
    text = opened.locator("#form textarea")
    opened.keyboard.press("j")
    write(opened)
    opened.get_by_label("Bob Ball").check()
    expect(text).to_have_value(re.compile("^Hi Ann and Bob,"))
    text.focus()
    opened.keyboard.press("Control+End")
    opened.keyboard.insert_text("PS: mine")
    opened.get_by_label("Ann Ames").uncheck()
    expect(text).to_have_value(re.compile("^Hi Bob,(.|\n)*PS: mine"))
    opened.locator("#form select[name=template]").select_option("no-show")
    expect(text).to_have_value(re.compile("We missed each other"))
    opened.get_by_role("button", name="Back to what I typed").click()
    expect(text).to_have_value(re.compile("^Hi Bob,(.|\n)*PS: mine"))


def test_ones_own_program_gets_the_letter_and_then_it_is_noted(opened):
    opened.keyboard.press("j")
    write(opened)
    opened.keyboard.insert_text("See your events.")
    link = opened.get_by_role("link", name="Open in my mail program")
    opened.evaluate(
        "void (onclick = (click) => click.target.closest('[data-mails]') && click.preventDefault())"
    )
    expect(opened.get_by_role("button", name="Outreach sent")).not_to_be_visible()
    link.press("Enter")
    href = link.get_attribute("href")
    assert href.startswith("mailto:ann@amber.example?bcc=log%40onramp.example&subject=Amber%3A%20one%20thing")
    assert "See%20your%20events.%0D%0A" in href
    expect(opened.get_by_role("button", name="Outreach sent")).to_be_focused()
    opened.keyboard.press("Enter")
    expect(opened.locator(".toast").last).to_contain_text("Noted: you wrote to ann@amber.example.")
    assert (Outreach.objects.get().way, Message.objects.count()) == ("own", 0)
    assert Account.objects.get(name="Amber").stage == "initiated"


def test_to_begin_to_write_is_to_be_on_it_and_a_colleague_sees_that_and_asks_first(opened, window, login):
    dan = user(first_name="Dan", last_name="Day")
    other = window(reduced_motion="reduce").new_page()
    login(other, dan)
    other.goto("/")
    opened.keyboard.press("j")
    write(opened)
    expect(row(other, "Amber").locator(".claim")).to_have_text(re.compile("^Sam on it, \\d+ min$"))
    other.keyboard.press("j")
    other.keyboard.press("c")
    expect(other.locator("#form")).to_contain_text(
        "Sam Smith is on this, 0 min. They may be writing just now."
    )
    assert str(Account.objects.get(name="Amber").claimed_by) == "Sam Smith"
    expect(other.get_by_role("button", name="Take over")).to_be_focused()
    other.keyboard.press("Enter")
    expect(row(other, "Amber").locator(".claim")).to_have_text(re.compile("^Dan on it, \\d+ min$"))
    opened.keyboard.press("Escape")
    expect(opened.locator("#form")).not_to_be_visible()
    expect(row(opened, "Amber").locator(".claim")).to_have_text(re.compile("^Dan on it, \\d+ min$"))
    write(opened)
    expect(opened.locator("#form .standing")).to_have_text(re.compile("^Dan Day is on this, \\d+ min.$"))
    assert str(Account.objects.get(name="Amber").claimed_by) == "Dan Day"


def test_snooze_and_copy_by_key(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("e")
    expect(opened.locator(".toast").last).to_contain_text("Copied: ann@amber.example, bob@amber.example")
    assert opened.evaluate("navigator.clipboard.readText()") == "ann@amber.example, bob@amber.example"
    opened.keyboard.press("s")
    expect(opened.locator("#form input[type=date]")).to_be_focused()
    opened.keyboard.press("Control+Enter")
    expect(opened.locator(".toast").last).to_contain_text("Amber is snoozed to")
    expect(opened.locator("#pile-snoozed")).to_have_text("1")
    expect(opened.locator("#pile-write")).to_have_text("2")
    opened.keyboard.press("z")
    expect(opened.locator("#pile-write")).to_have_text("3")


def test_the_same_from_an_account_that_slides_over_the_list_and_from_a_card(opened, axe):
    opened.keyboard.press("j")
    opened.keyboard.press("Enter")
    expect(opened.locator(".over h1")).to_have_text("Amber")
    write(opened)
    opened.keyboard.insert_text("One thing.")
    opened.keyboard.press("Control+Enter")
    expect(opened.locator(".over .timeline")).to_contain_text("Amber: one thing about your setup")
    expect(row(opened, "Amber")).to_contain_text("2. Onboarding Initiated")
    axe(opened)
    opened.goto("/board/")
    birch = opened.locator(".card", has_text="Birch")
    birch.locator("a").focus()
    opened.keyboard.press("c")
    expect(birch.locator(".claim")).to_have_text(re.compile("^Sam Smith is on this, \\d+ min$"))
    birch.locator("a").focus()
    write(opened)
    opened.keyboard.insert_text("One thing.")
    opened.keyboard.press("Control+Enter")
    expect(opened.locator("#lane-initiated .card", has_text="Birch")).to_be_visible()
    expect(opened.locator("#lane-new .card", has_text="Birch")).to_have_count(0)


def test_a_lead_edits_a_template_and_sees_it_on_a_real_account(opened, login, axe):
    login(opened, "lead")
    opened.goto("/settings/templates/")
    axe(opened)
    opened.get_by_role("link", name="No-show").click()
    expect(opened.locator("#preview")).to_contain_text("Another time for our call?")
    opened.get_by_label("Subject").fill("{account}, {nothing}")
    expect(opened.locator("#preview")).to_contain_text("There is no field {nothing}.")
    opened.get_by_label("Subject").fill("{account}, again")
    expect(opened.locator("#preview")).to_contain_text("Amber, again")
    axe(opened)
    opened.get_by_role("button", name="Save").click()
    expect(opened.locator("main")).to_contain_text("{account}, again")


def test_a_mail_is_taken_back_by_one_key_and_its_words_are_a_draft_again(opened):
    opened.keyboard.press("j")
    write(opened)
    opened.keyboard.insert_text("Said too soon.")
    opened.keyboard.press("Control+Enter")
    expect(row(opened, "Amber")).to_contain_text("2. Onboarding Initiated")
    opened.keyboard.press("z")
    expect(opened.locator(".toast").last).to_contain_text(
        "Taken back: nothing was sent to ann@amber.example."
    )
    expect(row(opened, "Amber")).to_contain_text("1. New Account")
    assert Message.objects.waiting().count() == 0
    assert Account.objects.get(name="Amber").last_outreach_at is None
    row(opened, "Amber").locator("th a").focus()
    write(opened)
    expect(opened.locator("#form textarea")).to_have_value(re.compile("Said too soon."))
