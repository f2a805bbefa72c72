"""No filter is forgotten: not by a reload, going back, a move, a change of many, nor between list and board."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, SavedView
from apps.crm.pipeline import Stage
from tests.factories import account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened(page, login):
    """Six accounts, four of them of plan YC, the list narrowed to these."""
    now = timezone.now()
    for number, name in enumerate(("Amber", "Birch", "Cedar", "Dogwood", "Elder", "Fir")):
        account(
            Stage.NEW,
            since=now - timedelta(days=1),
            name=name,
            plan="yc" if number < 4 else "boost",
            next_renewal_on=now.date() + timedelta(days=20 + number),
        )
    page.person = login(page)
    page.goto("/?plan=yc&sort=-renewal")
    narrowed(page)
    return page


def narrowed(page, *names):
    expect(page.locator("#rows th a")).to_have_text(list(names or ("Dogwood", "Cedar", "Birch", "Amber")))


def test_a_reload_and_going_back_from_an_account_and_from_elsewhere_keep_them(opened):
    opened.reload()
    narrowed(opened)
    opened.keyboard.press("j")
    opened.keyboard.press("Enter")
    expect(opened.locator(".over h1")).to_have_text("Dogwood")
    opened.keyboard.press("Escape")
    expect(opened.locator(".over")).to_have_count(0)
    narrowed(opened)
    expect(opened).to_have_url(re.compile(r"/\?plan=yc&sort=-renewal$"))
    opened.keyboard.press("g")
    opened.keyboard.press("t")
    opened.wait_for_url("**/tasks/")
    opened.go_back()
    narrowed(opened)


def test_a_move_its_undo_and_a_change_of_many_keep_them(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("m")
    expect(opened.locator("#form .moves button").first).to_be_focused()
    opened.keyboard.press("Enter")
    expect(opened.locator("#rows tr", has_text="Dogwood")).to_contain_text("2. Onboarding Initiated")
    narrowed(opened)
    opened.keyboard.press("z")
    expect(opened.locator("#rows tr", has_text="Dogwood")).to_contain_text("1. New Account")
    narrowed(opened)
    opened.keyboard.press("*")
    expect(opened.locator("#picked b")).to_have_text("4 chosen")
    opened.keyboard.press("a")
    expect(opened.get_by_role("combobox", name="Owner")).to_be_focused()
    opened.keyboard.press("Control+Enter")
    expect(opened.locator(".toast").last).to_contain_text("4 accounts are given to")
    narrowed(opened)
    expect(opened).to_have_url(re.compile(r"/\?plan=yc&sort=-renewal$"))
    # Those the filter did not show are as they were.
    assert Account.objects.filter(owner=opened.person, plan="yc").count() == 4
    assert Account.objects.filter(owner=opened.person).count() == 4


def test_the_list_and_the_board_show_the_same_and_each_leads_to_the_other(opened):
    opened.get_by_role("link", name="The same on the board").click()
    opened.wait_for_url(re.compile(r"/board/\?"))
    expect(opened.locator("#board .card > a")).to_have_count(4)
    expect(opened.locator(".notice")).to_have_count(0)
    opened.reload()
    expect(opened.locator("#board .card > a")).to_have_count(4)
    opened.get_by_role("link", name="The same in the list").click()
    opened.wait_for_url(re.compile(r"/\?plan=yc"))
    narrowed(opened)


def test_a_view_with_more_laid_over_it_goes_along_to_the_board(opened):
    now = timezone.now()
    view = SavedView.objects.create(
        name="YC", query="plan=yc&sort=-name", owner=opened.person, created_at=now, changed_at=now
    )
    opened.goto(f"/?view={view.pk}&q=ced")
    narrowed(opened, "Cedar")
    opened.get_by_role("link", name="The same on the board").click()
    opened.wait_for_url(re.compile(r"/board/\?"))
    expect(opened.locator("#board .card > a")).to_have_text(["Cedar"])
    expect(opened.locator("#views-button")).to_have_text("YC")
    opened.get_by_role("link", name="The same in the list").click()
    opened.wait_for_url(re.compile(r"/\?"))
    narrowed(opened, "Cedar")
    expect(opened.locator("#views-button")).to_have_text("YC")
