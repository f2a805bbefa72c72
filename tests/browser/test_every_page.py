"""Every page of the product, found by its address: axe has no fault to find, and the browser no complaint."""

import re
from itertools import cycle

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from apps.crm import demo
from apps.crm.models import Account, User
from apps.crm.models.user import ROLES
from apps.web.roles import addresses
from tests.browser.boards import VIOLATIONS
from tests.test_roles import NAMES

pytestmark = pytest.mark.django_db(transaction=True)

# What a row is needed for that is no account's, or what a parameter may be.
WITHIN = {
    **NAMES,
    "reports/": "pipeline",
    "settings/templates/": "initial-outreach",
    "playbooks/<slug:name>/ahead/": "none",
}
# What print has for ink: that of the light scheme, whatever the screen has.
INK = "oklch(0.25 0.012 270)"
LOOKS = [(360, "dark"), (1440, "light"), (768, "light"), (1920, "dark"), (360, "light"), (1440, "dark")]


def seeded():
    """Some accounts with all that may hang on them; returns who may see every page of theirs."""
    now = timezone.now()
    # A test that empties the tables takes the roles along.
    Group.objects.bulk_create([Group(name=role) for role in ROLES], ignore_conflicts=True)
    demo.add_logins(now=now)
    demo.add_accounts(20, seed=1, now=now)
    return User.objects.get(username="admin")


def filled(route, here):
    word = next((WITHIN[start] for start in sorted(WITHIN, reverse=True) if route.startswith(start)), "none")
    return "/" + re.sub(r"<(\w+):\w+>", lambda found: str(here.pk) if found[1] == "int" else word, route)


def pages(person, here):
    """The addresses that answer with a whole page."""
    client = Client(raise_request_exception=False)
    client.force_login(person)
    for address in addresses():
        path = filled(address.route, here)
        answer = client.get(path)
        if answer.status_code == 200 and not answer.streaming and b"<main" in answer.content:
            yield path


def test_every_page_is_accessible_and_fits_whatever_the_width_and_the_light(page, login, axe):
    person = seeded()
    here = Account.objects.exclude(stage="").order_by("next_renewal_on").first()
    login(page, person)
    page.context.add_init_script(VIOLATIONS)
    wrong = {}
    for path, (width, scheme) in zip(pages(person, here), cycle(LOOKS), strict=False):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto(path)
        try:
            axe(page)
        except AssertionError as fault:
            wrong[path, width, scheme] = str(fault)
        too_wide = page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        if too_wide or page.evaluate("window.violations.length"):
            wrong[path, width, "fits"] = (too_wide, page.evaluate("window.violations"))
    assert wrong == {}


def test_numbers_print_in_black_on_white_without_what_is_pressed(page, login):
    login(page, seeded())
    page.emulate_media(media="print", color_scheme="dark")
    for path in ("/reports/", "/reports/pipeline/", "/reports/team/", "/revenue/"):
        page.goto(path)
        pressed = page.locator("header, main button, main .button, .tabs").evaluate_all(
            "all => all.filter((one) => one.checkVisibility()).map((one) => one.outerHTML)"
        )
        ink = page.locator("main h1").evaluate("(title) => getComputedStyle(title).color")
        assert (pressed, page.locator("main table").count() > 0, ink) == ([], True, INK), path
