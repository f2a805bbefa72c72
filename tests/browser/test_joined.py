"""The files as a deployment serves them, joined, do what they do apart."""

import pytest
from django.core.management import call_command
from django.template import engines
from playwright.sync_api import expect

from apps.crm.models import Account, Note
from apps.crm.pipeline import Stage
from tests.browser.boards import VIOLATIONS, drag, said
from tests.factories import account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def collected(page, settings, tmp_path):
    """What a page is made of comes joined and hashed, as `collectstatic` keeps it."""
    static = engines["jinja2"].env.globals["static"]
    settings.STATIC_ROOT = tmp_path
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "config.static.JoinedStorage"}}
    call_command("collectstatic", interactive=False, verbosity=0)
    settings.STATICFILES_DIRS = [tmp_path]
    static.cache_clear()
    yield
    static.cache_clear()


def test_list_slide_over_board_and_palette_work_from_at_most_six_requests_a_page(page, login, collected):
    of = account(Stage.NEW, name="Amber")
    login(page)
    page.add_init_script(VIOLATIONS)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    page.wait_for_load_state("networkidle")
    # On a slow machine the first look for what colleagues changed is among them.
    assert len([url for url in asked if "/changes/" not in url]) <= 6, asked
    assert not any("/js/" in url or "/css/" in url for url in asked)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".over h1")).to_have_text("Amber")
    expect(page.locator(".over")).to_be_focused()
    page.keyboard.press("o")
    expect(page.locator("#add-note textarea")).to_be_focused()
    page.keyboard.type("From the joined files")
    page.locator("#add-note .primary").click()
    expect(page.locator(".over .timeline")).to_contain_text("From the joined files")
    page.goto("/board/")
    drag(page, of, Stage.INITIATED)
    said(page, "2. Onboarding Initiated")
    page.keyboard.press("/")
    expect(page.locator("#palette input")).to_be_focused()
    page.keyboard.type("ambe")
    expect(page.locator("#found a", has_text="Amber")).to_be_visible()
    assert (Account.objects.get().stage, Note.objects.get().text) == ("initiated", "From the joined files")
    assert page.evaluate("window.violations") == []


@pytest.mark.parametrize("path", ["/accounts/{}/", "/alerts/", "/tasks/", "/events/", "/calls/", "/reports/"])
def test_every_joined_script_runs(page, login, collected, path):
    of = account(Stage.NEW)
    login(page, "lead")
    page.goto(path.format(of.pk))
    page.keyboard.press("?")
    expect(page.locator("#keys-told")).to_be_visible()
