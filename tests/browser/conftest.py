"""A real Chromium before the real pages. Whatever it complains about fails the test.

``page`` is a fresh window, and ``page.excused`` what of its complaints a test provokes on purpose; ``login(page)``
signs somebody in; ``axe(page)`` asserts that a page is accessible.
"""

import os
import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import expect, sync_playwright

from tests.factories import user

# Playwright's loop runs in this thread, and Django would otherwise refuse to query beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

# How long to wait for what will be true: long, for a slow machine with much else to do. What is true is seen at once.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What the script of a test may provoke on purpose: an answer with a status of 4xx is reported by the browser too.
EXPECTED = (
    "Failed to load resource: the server responded with a status of 4",
    "net::ERR_INTERNET_DISCONNECTED",
)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), None) or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium was found: install one, for example Debian's chromium")
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser, live_server, settings):
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    context = browser.new_context(
        base_url=live_server.url,
        viewport={"width": 1440, "height": 900},
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE)
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
        found = Axe().run(page).response["violations"]
        assert not found, "\n".join(
            f"{fault['id']}: {fault['help']}: {[node['html'][:160] for node in fault['nodes'][:3]]}"
            for fault in found
        )

    return check
