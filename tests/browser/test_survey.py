"""The survey in a customer's hands: from the mail, on a phone, without script, in the light and in the dark."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Contact, Survey
from apps.crm.pipeline import Stage
from apps.outbox.models import Message
from apps.playbooks.engine import run
from tests.factories import account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def survey(settings, live_server):
    """A survey that was sent this minute."""
    settings.BASE_URL = live_server.url
    now = timezone.now()
    of = account(Stage.ONBOARDED_ENGAGED, since=now - timedelta(days=2))
    Contact.objects.create(account=of, email="ann@acme.example", name="Ann Lee")
    run(["satisfaction-survey"], now=now)
    return Survey.objects.get(account=of)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_it_fits_and_is_accessible(page, survey, axe, width, scheme):
    page.set_viewport_size({"width": width, "height": 740})
    page.emulate_media(color_scheme=scheme)
    for address in (f"/survey/{survey.token}/?score=8", "/survey/x/"):
        page.goto(address)
        expect(page.locator("h1")).to_be_visible()
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert Survey.objects.get().score is None


def test_a_score_in_the_mail_leads_to_an_answer_without_script(window, survey):
    phone = window(java_script_enabled=False, viewport={"width": 360, "height": 740}).new_page()
    phone.set_content(Message.objects.get().html)
    phone.get_by_role("link", name="7", exact=True).click()
    expect(phone.get_by_role("radio", name="7", exact=True)).to_be_checked()
    assert Survey.objects.get().score is None
    phone.get_by_role("radio", name="7", exact=True).focus()
    phone.keyboard.press("ArrowRight")
    phone.get_by_label("In a word, if you like").fill("Quick.")
    phone.get_by_role("button", name="Send").click()
    expect(phone.get_by_role("heading", name="Thank you")).to_be_visible()
    answer = Survey.objects.get()
    assert (answer.score, answer.word) == (8, "Quick.")
