"""The events under the hands: keys, a word, Undo, the choice of an account, and rows that stay true."""

import json
import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Contact
from apps.crm.pipeline import Stage
from apps.intake import drain
from apps.intake.models import Event
from tests.factories import account

pytestmark = pytest.mark.django_db(transaction=True)


def came(number, **fields):
    now = timezone.now()
    email = f"ann@water{number}.example"
    data = {"email": email, "order_id": f"o-{number}", "at": now.isoformat(), "amount": "500.00"}
    fields = {
        "external_id": f"msg-{number}",
        "type": "purchase.paid_call",
        "state": "unmatched",
        "subject": f"email:{email}",
        "sentence": f"No account for {email}.",
        **fields,
    }
    body = json.dumps({"type": "purchase.paid_call", "data": data}).encode()
    return Event.objects.create(provider="ingest", body=body, received_at=now, **fields)


@pytest.fixture
def opened(page, login):
    """Three purchases of people nobody knows, the newest first, opened by a specialist."""
    page.events = [came(number) for number in (3, 2, 1)][::-1]
    page.person = login(page)
    page.goto("/events/")
    return page


def row(page, number):
    return page.locator(f"#event-{page.events[number - 1].pk}")


def test_the_keys_walk_ignore_with_a_word_and_take_it_back(opened, axe):
    axe(opened)
    opened.keyboard.press("j")
    opened.keyboard.press("j")
    expect(row(opened, 2).locator("th a")).to_be_focused()
    opened.keyboard.press("i")
    expect(opened.locator("#form textarea")).to_be_focused()
    axe(opened)
    opened.keyboard.type("Not a customer")
    opened.locator("#form button.primary").press("Enter")
    expect(row(opened, 2)).to_contain_text(f"Ignored by {opened.person}.")
    expect(row(opened, 2)).to_contain_text("Not a customer")
    expect(row(opened, 2).locator("th a")).to_be_focused()
    expect(opened.locator("#event-states")).to_contain_text("Ignored 1")
    expect(opened.locator("#count-events")).to_have_text("2")
    expect(opened.locator(".toast [data-undo]")).to_be_visible()
    opened.keyboard.press("z")
    expect(row(opened, 2).locator(".state")).to_have_text("Waiting")
    assert Event.objects.get(pk=opened.events[1].pk).state == "waiting"


def test_an_event_is_linked_by_keys_and_its_page_says_when_it_is_applied(opened, axe):
    acme = account(Stage.INITIATED, name="Water One")
    account(name="Water Lily")
    opened.keyboard.press("j")
    opened.keyboard.press("l")
    expect(opened.locator("h1")).to_have_text("Whose is it?")
    opened.get_by_role("searchbox").fill("water one")
    opened.keyboard.press("Enter")
    expect(opened.locator(".candidates li")).to_have_count(1)
    axe(opened)
    opened.get_by_role("button", name="Link to Water One").click()
    expect(opened.locator(".banner")).to_contain_text("It is applied to Water One now.")
    expect(opened.locator("#event .chip")).to_have_text("Waiting")
    drain.apply_due(now=timezone.now())
    expect(opened.locator("#event .chip")).to_have_text("Done")
    acme.refresh_from_db()
    assert (acme.stage, Contact.objects.get().account) == (Stage.PAID_CALL, acme)
    opened.get_by_role("link", name="Show the").click()
    expect(opened.locator("#body pre")).to_contain_text('"order_id": "o-1"')
    axe(opened)


def test_rows_stay_true_and_what_is_newer_waits_to_be_asked_for(opened):
    expect(opened.locator("#newer")).to_be_empty()
    account(name="Other", domain="water3.example")
    opened.keyboard.press("j")
    came(4)
    Event.objects.filter(pk=opened.events[2].pk).again(now=timezone.now())
    drain.apply_due(now=timezone.now())
    expect(row(opened, 3).locator(".state")).to_have_text("Done")
    expect(row(opened, 1).locator("th a")).to_be_focused()
    expect(opened.locator("#event-rows tr")).to_have_count(3)
    opened.locator("#newer").get_by_text("1 newer event: show").click()
    expect(opened.locator("#event-rows tr")).to_have_count(4)


def test_all_that_failed_are_tried_again_at_once(opened):
    opened.locator("#event-states").get_by_text("Unmatched").click()
    expect(opened).to_have_url(re.compile(r"state=unmatched$"))
    opened.get_by_role("button", name="Retry all 3").click()
    expect(opened.locator(".toast")).to_contain_text("3 events are tried again.")
    expect(opened.locator(".empty")).to_be_visible()
    assert {*Event.objects.values_list("state", flat=True)} == {"waiting"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_the_pages_fit_every_width_in_both_schemes(opened, axe, width, scheme):
    came(5, state="failed", sentence="OperationalError: " + "x" * 300)
    came(6, type="t" * 110, external_id="i" * 590)
    last = Event.objects.latest("pk")
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": width, "height": 800})
    for address in ("/events/", f"/events/{last.pk}/?body=1", f"/events/{last.pk}/link/?q=x"):
        opened.goto(address)
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert opened.evaluate(overflow) == 0, (address, width)
        axe(opened)
