"""Every page of the product, found by its address: axe has no fault to find, and the browser no complaint."""

import re
from itertools import cycle

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm import demo
from apps.crm.models import Account, Label, User
from apps.crm.models.bulk import Bulk
from apps.crm.models.entry import Entry
from apps.crm.models.user import ROLES
from apps.intake.models import Event, Import
from apps.outbox.models import Message
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
# Pages that others drew in our dress, or nearly so.
BESIDE = ("/accounts/password/change/", "/accounts/2fa/", "/accounts/logout/", "/admin/")
REPORTS = ("/reports/", "/reports/pipeline/", "/reports/team/", "/revenue/")
# What print has for ink: that of the light scheme, whatever the screen has.
INK = "oklch(0.25 0.012 270)"
WIDTHS = (360, 768, 1440, 1920)
# How axe sees each page: one after another, by turns.
LOOKS = [(360, "dark"), (1440, "light"), (768, "light"), (1920, "dark"), (360, "light"), (1440, "dark")]
# Letters of another size than the five, and a page whose title is not to be seen.
AMISS = """async () => {
  // The new width is laid out, and what lies out of sight on a board, which is not, is left out.
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  const all = [...document.querySelectorAll("body *:not(svg *)")]
    .filter((one) => one.checkVisibility({ contentVisibilityAuto: true }));
  const says = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const size = (one) => parseFloat(getComputedStyle(one).fontSize);
  const odd = all.filter((one) => says(one) && ![12, 13, 14, 17, 24].includes(size(one)));
  const titled = all.some((one) => one.matches("h1") && one.getBoundingClientRect().width > 8);
  const wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  const said = [...odd.map((one) => one.outerHTML.slice(0, 120)), ...window.violations];
  return [...said, ...(titled ? [] : ["no title"]), ...(wide ? ["too wide"] : [])];
}"""


def seeded():
    """Some accounts with all that may hang on them; returns who may see every page of theirs."""
    now = timezone.now()
    # A test that empties the tables takes the roles along.
    Group.objects.bulk_create([Group(name=role) for role in ROLES], ignore_conflicts=True)
    demo.add_logins(now=now)
    demo.add_accounts(20, seed=1, now=now)
    return User.objects.get(username="admin")


def rows(person, client):
    """One of each thing but an account that has a page of its own: its id, by how the addresses begin."""
    now = timezone.now()
    letter = Message.mail("a-letter", to="ann@acme.example", kind="digest", subject="Monday", now=now)
    letter.text, letter.html = "Three calls", "<p>Three calls</p>"
    with transaction.atomic():
        [letter] = Message.objects.write([letter])
    told = Event.objects.create(
        provider="ingest", external_id="told", state="unmatched", body=b"{}", received_at=now
    )
    client.post("/import/", {"file": SimpleUploadedFile("accounts.csv", b"external_id,name\na-1,Acme\n")})
    many = Bulk.objects.create(kind="assign", by=person, at=now, finished_at=now)
    return {
        "daily/many/": many.pk,
        "events/": told.pk,
        "import/": Import.objects.get().pk,
        "outbox/": letter.pk,
        "settings/labels/": Label.objects.first().pk,
        "settings/team/": person.pk,
    }


def filled(route, ids):
    word = next((WITHIN[start] for start in sorted(WITHIN, reverse=True) if route.startswith(start)), "none")
    pk = next((pk for start, pk in ids.items() if route.startswith(start)))
    return "/" + re.sub(r"<(\w+):\w+>", lambda found: str(pk) if found[1] == "int" else word, route)


def pages(person, here):
    """The addresses that answer with a whole page."""
    client = Client(raise_request_exception=False)
    client.force_login(person)
    ids = {**rows(person, client), "": here.pk}
    for address in addresses():
        path = filled(address.route, ids)
        answer = client.get(path)
        if answer.status_code == 200 and not answer.streaming and b"<main" in answer.content:
            yield path


def test_every_page_is_accessible_and_fits_whatever_the_width_and_the_light(page, login, axe):
    person = seeded()
    here = Account.objects.exclude(stage="").order_by("next_renewal_on").first()
    login(page, person)
    page.context.add_init_script(VIOLATIONS)
    wrong = {}
    walked = [*pages(person, here)]
    for path, (look, scheme) in zip(walked, cycle(LOOKS), strict=False):
        # Before the page comes: what a board leaves out of sight keeps the colours it had.
        page.emulate_media(color_scheme=scheme)
        page.goto(path)
        for width in (*WIDTHS, look):
            page.set_viewport_size({"width": width, "height": 900})
            if amiss := page.evaluate(AMISS):
                wrong[path, width] = amiss
        try:
            axe(page)
        except AssertionError as fault:
            wrong[path, look, scheme] = str(fault)
    assert wrong == {}


def test_pages_that_others_drew_are_accessible_too_and_fit(page, login, axe):
    login(page, seeded())
    page.context.add_init_script(VIOLATIONS)
    for path, (width, scheme) in zip(BESIDE, LOOKS, strict=False):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.goto(path)
        axe(page)
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert (page.evaluate("window.violations"), wide) == ([], False), path


def test_what_is_not_here_is_said_in_our_own_dress(page, login, axe):
    login(page, "viewer")
    for path, says in {
        "/nowhere/": "This page is not here",
        "/settings/team/new/": "This page is not among your rights",
    }.items():
        page.goto(path)
        assert page.locator("h1").inner_text() == says
        axe(page)
    page.get_by_role("link", name="Open the daily list").click()
    page.wait_for_url("/")


def test_phone_reaches_what_a_row_and_a_list_can_do(page, login):
    login(page, seeded())
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto("/")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("checkbox", name="Payment risk").wait_for()
    page.keyboard.press("Escape")
    page.locator("#rows th").first.hover()
    page.get_by_role("button", name="More for this account").click()
    page.get_by_role("button", name="Snooze").click()
    page.get_by_role("heading", name="Snooze").wait_for()


def test_numbers_print_in_black_on_white_without_what_is_pressed(page, login):
    login(page, seeded())
    page.emulate_media(media="print", color_scheme="dark")
    for path in REPORTS:
        page.goto(path)
        pressed = page.locator("header, main button, main .button, .tabs").evaluate_all(
            "all => all.filter((one) => one.checkVisibility()).map((one) => one.outerHTML)"
        )
        ink = page.locator("main h1").evaluate("(title) => getComputedStyle(title).color")
        assert (pressed, page.locator("main table").count() > 0, ink) == ([], True, INK), path


# Of each mark of a plot: its words, whether what is on the screen says its value only once it has the focus, or
# always, and whether that is within the plot.
MARKS = """() => [...document.querySelectorAll(".plot .mark")].map((mark) => {
  const text = mark.querySelector("text");
  const seen = () => getComputedStyle(text).visibility === "visible";
  const [before, room] = [seen(), mark.closest(".plot").getBoundingClientRect()];
  mark.focus();
  mark.getAnimations({ subtree: true }).forEach((one) => one.finish());
  const { left, right } = text.getBoundingClientRect();
  return {
    words: mark.getAttribute("aria-label") ?? "",
    says: (mark.getAttribute("aria-label") ?? "").endsWith(text.textContent) && text.textContent !== "",
    always: before === text.classList.contains("shown"),
    seen: document.activeElement === mark && seen(),
    within: left >= room.left - 1 && right <= room.right + 1,
  };
})"""


def test_each_value_of_a_plot_is_on_the_screen_and_read_aloud_where_the_keyboard_stands(page, login):
    login(page, seeded())
    Entry.objects.bring_up_to_date()
    drawn, wrong = 0, []
    for path in REPORTS:
        page.goto(path)
        marks = page.evaluate(MARKS)
        drawn += len(marks)
        wrong += [(path, mark) for mark in marks if not all(mark.values())]
        page.set_viewport_size({"width": 360, "height": 800})
        wrong += [(path, "360", mark) for mark in page.evaluate(MARKS) if not all(mark.values())]
        page.set_viewport_size({"width": 1280, "height": 720})
        read = page.locator("main").aria_snapshot()
        wrong += [(path, mark["words"]) for mark in marks if f'img "{mark["words"]}"' not in read]
        for mark in marks[1:2]:
            # From one to the next by the keyboard, as the eye goes.
            page.locator(".plot .mark").first.focus()
            page.keyboard.press("Tab")
            expect(page.locator(":focus")).to_have_attribute("aria-label", mark["words"])
    assert (wrong, drawn > 50) == ([], True)
