"""A daily list under the hands, for the stories told of it."""

from datetime import timedelta

from django.utils import timezone

from apps.crm.pipeline import Stage
from tests.factories import account


def opened_list(page, login):
    """The list of three accounts, the earliest renewal first, opened by a specialist."""
    today = timezone.now().date()
    for number, name in enumerate(("Amber", "Birch", "Cedar")):
        account(
            Stage.NEW,
            since=timezone.now() - timedelta(days=1),
            name=name,
            next_renewal_on=today + timedelta(days=20 + number),
        )
    page.person = login(page)
    page.goto("/")
    forms_are_here(page)
    return page


def forms_are_here(page):
    """Wait until the forms of a note and a task have come after the page: from then on they open at once."""
    page.locator("#form-note").wait_for(state="attached")


def row(page, name):
    return page.locator("#rows tr", has_text=name)


def cell(page, name, column):
    """A cell of an account's row: "Owner" or "Labels"."""
    heads = page.locator("#scroller thead th").all_inner_texts()
    return row(page, name).locator("> *").nth(heads.index(column))
