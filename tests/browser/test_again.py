"""The login ran out, or is another one: the old page says so, keeps the words and works on."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Note, StageTransition, Template
from apps.crm.pipeline import Stage
from tests.browser.boards import card, drag
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sam(page, login):
    """Sam's list, drawn by a login that is about to be an older one."""
    account(Stage.NEW, since=timezone.now() - timedelta(days=1), name="Amber")
    page.person = login(page, user(username="sam", first_name="Sam", last_name="Smith"))
    page.goto("/")
    return page


def sign_in(page, person):
    """In another tab, as a person does."""
    tab = page.context.new_page()
    tab.goto("/accounts/login/")
    if tab.locator("input[name=login]").count():
        tab.fill("input[name=login]", person.username)
        tab.fill("input[name=password]", "secret-secret")
        tab.press("input[name=password]", "Enter")
        expect(tab.locator("#daily")).to_be_visible()
    tab.close()


def sign_out(page):
    tab = page.context.new_page()
    tab.goto("/settings/me/")
    tab.locator(".me").click()
    tab.get_by_role("button", name="Sign out").click()
    tab.wait_for_url("**/accounts/login/**")
    tab.close()


def half_a_note(page):
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(page.locator("#form textarea")).to_be_focused()
    page.keyboard.insert_text("They asked about limits")


def test_after_signing_in_again_elsewhere_the_old_page_works_on_as_if_nothing_was(sam):
    half_a_note(sam)
    sign_out(sam)
    sam.keyboard.press("Control+Enter")
    expect(sam.locator(".toast.signed-out")).to_contain_text("You were signed out.")
    expect(sam.locator("#form textarea")).to_have_value("They asked about limits")
    assert Note.objects.count() == 0
    with sam.expect_popup() as tab:
        sam.locator(".toast.signed-out").get_by_role("link", name="Sign in").click()
    tab.value.close()
    sign_in(sam, sam.person)
    expect(sam.locator(".toast", has_text="You are signed in again.")).to_be_visible()
    expect(sam.locator(".toast.signed-out")).to_have_count(0)
    sam.keyboard.press("Control+Enter")
    expect(sam.locator(".toast").last).to_contain_text("Noted on Amber.")
    sam.keyboard.press("m")
    expect(sam.locator("#form .moves button").first).to_be_focused()
    sam.keyboard.press("Enter")
    expect(sam.locator("#rows")).to_contain_text("2. Onboarding Initiated")
    sam.keyboard.press("z")
    expect(sam.locator("#rows")).to_contain_text("1. New Account")
    assert [(note.text, note.author) for note in Note.objects.all()] == [
        ("They asked about limits", sam.person)
    ]


def test_a_card_that_is_dropped_after_signing_in_again_is_moved(sam):
    here = Account.objects.get()
    sam.set_viewport_size({"width": 2800, "height": 900})
    sam.goto("/board/")
    sam.wait_for_load_state("networkidle")
    sign_out(sam)
    sign_in(sam, sam.person)
    drag(sam, here, Stage.INITIATED)
    expect(sam.locator(".toast").last).to_contain_text("moved to “2. Onboarding Initiated”")
    expect(sam.locator("#cards-initiated").locator(card(sam, here))).to_be_visible()


def test_where_somebody_else_signed_in_nothing_is_done_in_their_name(sam):
    half_a_note(sam)
    sign_out(sam)
    sign_in(sam, user(username="dan", first_name="Dan", last_name="Day"))
    sam.keyboard.press("Control+Enter")
    toast = sam.locator(".toast.bad", has_text="Dan Day is signed in here now.")
    expect(toast).to_be_visible()
    expect(sam.locator("#form textarea")).to_have_value("They asked about limits")
    assert (Note.objects.count(), StageTransition.objects.count()) == (0, 1)
    toast.get_by_role("link", name="Reload").click()
    expect(sam.locator(".me")).to_contain_text("Dan Day")


def kept(words):
    return [said.body.replace("\r", "") for said in Template.objects.filter(body__contains=words)]


def test_a_form_that_is_a_page_of_its_own_is_sent_again_by_one_press(page, login, axe):
    lead = login(page, user("lead", username="lea", first_name="Lea", last_name="Long"))
    page.goto("/settings/templates/initial-outreach/")
    text = "First line\n\nLast “line” <b>&amp;"
    page.locator("#words textarea").fill(text)
    sign_out(page)
    page.locator("#words").get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("You were signed out.")
    axe(page)
    sign_in(page, lead)
    again = page.get_by_role("button", name="Send it again")
    expect(again).to_be_focused()
    again.press("Enter")
    # The token was one of before the login: once more, with all that was typed.
    expect(page.locator("main")).to_contain_text("You are signed in as Lea Long")
    assert kept("First line") == []
    again.press("Enter")
    expect(page.locator("main table")).to_contain_text("Lea Long")
    assert kept("First line") == [text]


def test_nothing_is_kept_of_what_another_site_sent_nor_of_a_password(client, me):
    strict = Client(enforce_csrf_checks=True)
    for signed_in in (False, True):
        if signed_in:
            strict.force_login(me)
        for path, form, site, wanted in (
            ("/settings/me/", {"first_name": "Eve"}, "cross-site", False),
            ("/settings/me/", {"first_name": "Eve"}, "same-origin", True),
            ("/accounts/login/", {"login": "eve", "password": "secret"}, "same-origin", False),
        ):
            answer = strict.post(path, form, headers={"Sec-Fetch-Site": site})
            assert answer.status_code == 403
            assert ("Send it again" in answer.text) == wanted
            assert "secret" not in answer.text
    me.refresh_from_db()
    assert me.first_name == "Ann"
