"""Keys where two pages, or two states of one page, could each mean something by them."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Alert
from apps.crm.options import refusal
from apps.crm.pipeline import Stage
from tests.factories import account, snapshot, user

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ("Amber", "Birch", "Cedar", "Dogwood", "Elder")


@pytest.fixture
def opened(page, login):
    """The list of five accounts, the earliest renewal first."""
    now = timezone.now()
    for number, name in enumerate(NAMES):
        account(
            Stage.NEW,
            since=now - timedelta(days=1),
            name=name,
            next_renewal_on=now.date() + timedelta(days=20 + number),
        )
    page.person = login(page)
    page.goto("/")
    return page


def link(page, name):
    return page.locator("#rows tr", has_text=name).locator("th a")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def chosen(page):
    return [name for name in NAMES if page.get_by_role("checkbox", name=f"Choose {name}").is_checked()]


def test_g_leads_elsewhere_though_rows_are_chosen_and_the_second_key_would_act_on_them(opened):
    press(opened, "j", "x", "j", "x")
    expect(opened.locator("#picked b")).to_have_text("2 chosen")
    press(opened, "g", "a")
    opened.wait_for_url(re.compile("/alerts/$"))
    opened.go_back()
    press(opened, "j", "x")
    expect(opened.locator("#picked b")).to_have_text("1 chosen")
    press(opened, "g", "t")
    opened.wait_for_url(re.compile("/tasks/$"))
    assert not Account.objects.filter(owner__isnull=False).exists()


def test_f_opens_no_filters_behind_an_account_and_opens_them_once_it_is_gone(opened):
    press(opened, "j", "Enter")
    expect(opened.locator(".over h1")).to_have_text("Amber")
    press(opened, "f")
    expect(opened.locator("#filters")).not_to_be_visible()
    press(opened, "Escape")
    expect(opened.locator(".over")).to_have_count(0)
    expect(link(opened, "Amber")).to_be_focused()
    press(opened, "f")
    expect(opened.locator("#filters")).to_be_visible()


def test_shift_x_chooses_from_the_one_chosen_last_down_or_up_to_where_one_is(opened):
    press(opened, "j", "j", "x", "j", "j")
    expect(link(opened, "Dogwood")).to_be_focused()
    press(opened, "Shift+X")
    assert chosen(opened) == ["Birch", "Cedar", "Dogwood"]
    # The end of that is where the next one begins.
    press(opened, "k", "k", "k")
    expect(link(opened, "Amber")).to_be_focused()
    press(opened, "Shift+X")
    assert chosen(opened) == ["Amber", "Birch", "Cedar", "Dogwood"]
    expect(opened.locator("#picked b")).to_have_text("4 chosen")
    press(opened, "Escape")
    expect(opened.locator("#picked")).to_be_hidden()
    # Without one chosen before, it is the one that has the focus.
    opened.reload()
    press(opened, "j", "Shift+X")
    assert chosen(opened) == ["Amber"]


@pytest.mark.parametrize("over", [True, False])
def test_l_and_r_are_labels_and_risk_on_an_account_too(opened, over):
    if over:
        press(opened, "j", "Enter")
        expect(opened.locator(".over h1")).to_have_text("Amber")
    else:
        opened.goto(f"/accounts/{Account.objects.get(name='Amber').pk}/")
    form = opened.locator("#form")
    press(opened, "l")
    expect(form.locator("h2")).to_have_text("Labels of Amber")
    press(opened, "Escape")
    expect(form).not_to_be_visible()
    press(opened, "r")
    expect(form.locator("h2")).to_have_text("Payment risk of Amber")
    expect(form.locator("select").first).to_be_focused()
    form.locator("select").first.select_option("high")
    form.locator("textarea").fill("They asked for a refund.")
    press(opened, "Control+Enter")
    expect(form).not_to_be_visible()
    assert Account.objects.get(name="Amber").payment_risk == "high"


def test_a_stages_number_leads_to_its_move_and_one_that_is_refused_says_why(opened):
    here = Account.objects.get(name="Amber")
    before = snapshot(here)
    press(opened, "j", "m")
    expect(opened.locator("#form .moves button").first).to_be_focused()
    press(opened, "5")
    refused = opened.locator("#form .refused:focus")
    expect(refused).to_contain_text(refusal(here, Stage.AWAITING_FINAL_OUTREACH))
    press(opened, "Enter")
    expect(opened.locator(".toast.bad")).to_have_text(refusal(here, Stage.AWAITING_FINAL_OUTREACH))
    assert snapshot(here) == before
    press(opened, "3", "b")
    expect(opened.locator("#form button:focus")).to_contain_text("3b. Engaged — Call Booked")
    press(opened, "Enter")
    expect(opened.locator(".toast").last).to_contain_text("moved to “3b. Engaged — Call Booked”")
    assert Account.objects.get(name="Amber").stage == "call_booked"


def test_the_boards_menu_says_why_to_whoever_takes_what_is_refused(open_board):
    here = account(Stage.NEW, name="Amber")
    before = snapshot(here)
    page = open_board(user())
    page.locator(".card a", has_text="Amber").focus()
    press(page, "m")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    press(page, "5")
    press(page, "Enter")
    expect(page.locator(".toast.bad")).to_have_text(refusal(here, Stage.AWAITING_FINAL_OUTREACH))
    assert snapshot(here) == before


def test_a_key_for_what_cannot_be_done_to_an_alert_says_so(page, login):
    now = timezone.now()
    of = account(Stage.NEW, name="Amber")
    alert = Alert.objects.create(account=of, kind="failed-payment", text="Offer help.", raised_at=now)
    me = login(page)
    alert.acknowledge(by=me, now=now)
    page.goto("/alerts/")
    press(page, "j", "y")
    expect(page.locator(".toast.bad")).to_contain_text("That cannot be done to “Payment failed, Amber”")
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.resolved_at) == (me, None)
