"""The day of a new task is the reader's own, whatever clock their computer has and however old the page is."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from apps.crm.pipeline import Stage
from tests.browser.lists import forms_are_here
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2030, 3, 5)


@pytest.mark.parametrize(
    ("reader", "computer"),
    [
        ("Pacific/Auckland", "America/Los_Angeles"),
        ("America/Los_Angeles", "Europe/Berlin"),
        ("Europe/Berlin", "Pacific/Auckland"),
    ],
)
def test_a_task_is_proposed_for_the_day_that_the_reader_has_before_and_after_midnight(
    window, login, reader, computer
):
    account(Stage.NEW, name="Amber")
    page = window(reduced_motion="reduce", timezone_id=computer).new_page()
    login(page, user(time_zone=reader))
    page.goto("/")
    forms_are_here(page)
    midnight = datetime.combine(DAY, time.min, ZoneInfo(reader))
    for moment, day in (
        (midnight - timedelta(minutes=1), "2030-03-04"),
        (midnight, "2030-03-05"),
        (midnight + timedelta(hours=23, minutes=59), "2030-03-05"),
    ):
        page.clock.set_fixed_time(moment)
        page.locator("#rows th a").focus()
        page.keyboard.press("t")
        expect(page.locator("#form input[type=date]")).to_have_value(day)
        page.keyboard.press("Escape")
        expect(page.locator("#form")).not_to_be_visible()
