"""A real Chromium before the real pages. Whatever it complains about fails the test.

``page`` is a fresh window, and ``page.excused`` what of its complaints a test provokes on purpose; ``login(page)``
signs somebody in; ``axe(page)`` asserts that a page is accessible.
"""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import expect, sync_playwright

from tests.browser.boards import VIOLATIONS, WIDE
from tests.browser.chromium import launched
from tests.factories import user

# Playwright's loop runs in this thread, and Django would otherwise refuse to query beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

# How long to wait for what will be true: long, for a slow machine with much else to do. What is true is seen at once.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
# A toast's six or ten seconds and an answer's fifteen are too short there, too.
PATIENT = """
const wait = window.setTimeout;
window.setTimeout = (work, after, ...rest) => wait(work, after >= 6000 ? 10 * after : after, ...rest);
"""
SIZE = {"viewport": {"width": 1440, "height": 900}}

# What the script of a test may provoke on purpose: an answer with a status of 4xx is reported by the browser too.
EXPECTED = (
    "Failed to load resource: the server responded with a status of 4",
    "net::ERR_INTERNET_DISCONNECTED",
)


def until(page, true):
    """Wait for what the page cannot be asked: that one of our own routes was called, for example."""
    while not true():
        page.wait_for_timeout(10)


def deaf(page):
    """Keep from a page what others change, so that it learns of it only from what it does itself."""
    page.route("**/changes/*", lambda route: route.fulfill(status=204))


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(5 * PATIENCE / 1000))


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        started = launched(playwright)
        if not started:
            pytest.skip("no Chromium was found: install one, for example Debian's chromium")
        yield started
        started.close()


@pytest.fixture
def window(browser, live_server, settings):
    """Opens a window of its own, with what Playwright's ``new_context`` takes; closed when the test is over."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    contexts = []

    def open_window(**options):
        context = browser.new_context(**{"base_url": live_server.url, **SIZE, **options})
        context.set_default_timeout(PATIENCE)
        context.add_init_script(PATIENT)
        contexts.append(context)
        return context

    yield open_window
    for context in contexts:
        context.close()


@pytest.fixture
def page(window):
    context = window(reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    complaints = []
    context.on(
        "console",
        lambda said: (
            complaints.append(said.text)
            if said.type == "error" and not said.text.startswith(EXPECTED) and "ERR_INTERNET" not in said.text
            else None
        ),
    )
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    opened = context.new_page()
    opened.excused = []
    yield opened
    # So that all it has to say was said.
    context.close()
    assert [said for said in complaints if not any(map(said.__contains__, opened.excused))] == []


@pytest.fixture
def login(live_server, settings):
    """Sign somebody in: a specialist, or the person or role given. Returns the person."""

    def sign_in(page, who="specialist"):
        person = user(who) if isinstance(who, str) else who
        client = Client()
        client.force_login(person)
        name = settings.SESSION_COOKIE_NAME
        page.context.add_cookies(
            [{"name": name, "value": client.cookies[name].value, "url": live_server.url}]
        )
        return person

    return sign_in


@pytest.fixture
def axe():
    """Assert that a page has no fault that axe can find."""

    def check(page):
        # It would read how a page turns on its side from the sheets by style elements, which we forbid.
        found = Axe().run(page, options={"preload": False}).response["violations"]
        assert not found, "\n".join(
            f"{fault['id']}: {fault['help']}: {[node['html'][:160] for node in fault['nodes'][:3]]}"
            for fault in found
        )

    return check


@pytest.fixture
def open_board(window, login):
    """Opens the board for a person; at the end no script failed and no policy was violated."""
    opened = []

    def open_it(person, query="", **options):
        context = window(**{**WIDE, **options})
        context.add_init_script(VIOLATIONS)
        page = context.new_page()
        failures = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        opened.append((page, failures))
        login(page, person)
        page.goto(f"/board/{query}")
        # Until the rules have come, the lanes could not say why.
        page.wait_for_load_state("networkidle")
        return page

    yield open_it
    for page, failures in opened:
        assert (failures, page.evaluate("window.violations")) == ([], [])
