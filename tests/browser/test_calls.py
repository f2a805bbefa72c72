"""The calls and the contradictions under the hands: keys, the small form, Undo, the slide-over, and a phone."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Call
from apps.crm.pipeline import Stage
from tests.factories import account, call, purchase, user

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def booked(name, starts_in, **fields):
    of = account(Stage.CALL_BOOKED, since=timezone.now() - 5 * DAY, name=name)
    return call(of, starts_at=timezone.now() + starts_in, **fields)


@pytest.fixture
def desk(page, login):
    """Two calls that nobody has marked, one to come, and a paid call that was missed; opened by a specialist."""
    booked("Amber", -timedelta(hours=2))
    booked("Birch", -timedelta(hours=3))
    booked("Cedar", 2 * DAY, contact_time_zone="Pacific/Apia")
    paid = account(Stage.PAID_CALL, since=timezone.now() - 30 * DAY, name="Dogwood")
    purchase(paid, bought_at=timezone.now() - 30 * DAY)
    missed_at = timezone.now() - 9 * DAY
    call(paid, "consultation", starts_at=missed_at, status="no_show", marked_at=missed_at)
    page.person = login(page)
    page.goto("/calls/")
    return page


@pytest.fixture
def hygiene(page, login):
    """An engaged account in 6a, and a call that was held and not written down."""
    engaged = account(Stage.ONBOARDED_NO_ENGAGEMENT, name="Amber")
    Account.objects.filter(pk=engaged.pk).update(engaged_at=timezone.now(), engaged_via="email")
    held = account(Stage.INTRO_CALL_COMPLETED, name="Birch")
    held.add_task("Something", timezone.now().date(), by=None, now=timezone.now())
    call(held, starts_at=timezone.now() - 2 * DAY, status="held")
    page.person = login(page)
    page.goto("/hygiene/")
    return page


def line(page, name):
    return page.locator("ul.slim li", has_text=name)


def call_of(name):
    return Call.objects.select_related("account").get(account__name=name)


def test_the_keys_walk_mark_and_take_back(desk, axe):
    axe(desk)
    desk.keyboard.press("j")
    expect(line(desk, "Amber").locator("a.name")).to_be_focused()
    desk.keyboard.press("h")
    expect(line(desk, "Amber")).to_have_count(0)
    expect(desk.locator(".toast")).to_contain_text("It moved to “4a. Intro Call Completed”.")
    # The focus goes on to the line that took its place.
    expect(line(desk, "Birch").locator("a.name")).to_be_focused()
    assert call_of("Amber").account.stage == Stage.INTRO_CALL_COMPLETED
    desk.keyboard.press("z")
    expect(line(desk, "Amber")).to_have_count(1)
    assert (call_of("Amber").status, call_of("Amber").account.stage) == ("booked", Stage.CALL_BOOKED)


def test_a_paid_call_is_taken_back_from_its_lane(desk):
    lane = desk.locator('section[aria-labelledby="lane-no_show"]')
    expect(lane).to_contain_text("No-show 9 days ago; credits are offered after 14")
    lane.get_by_role("button", name="Take back").click()
    expect(lane.locator("li")).to_have_count(0)
    expect(desk.locator('section[aria-labelledby="lane-booked"] li')).to_contain_text("Dogwood")
    assert call_of("Dogwood").status == "booked"


def test_a_colleague_is_added_and_taken_off(desk):
    dan = user(first_name="Dan")
    desk.reload()
    line(desk, "Cedar").locator("a.name").focus()
    desk.keyboard.press("o")
    expect(desk.locator("#asks select")).to_be_focused()
    desk.locator("#asks select").select_option(label="Dan")
    desk.locator("#asks").get_by_role("button", name="Add").click()
    expect(line(desk, "Cedar").locator(".hosts")).to_contain_text("Dan")
    expect(desk.locator("#asks")).not_to_be_visible()
    expect(line(desk, "Cedar").locator("a.name")).to_be_focused()
    assert [*call_of("Cedar").hosts.all()] == [dan]
    line(desk, "Cedar").get_by_role("button", name="Take Dan off").click()
    expect(line(desk, "Cedar").locator(".hosts")).not_to_contain_text("Dan")
    assert not call_of("Cedar").hosts.exists()


def test_whoever_comes_second_is_told_and_sees_what_is_true(desk):
    call_of("Amber").mark(Call.Status.NO_SHOW, by=user(first_name="Dan"), now=timezone.now(), cause="list")
    line(desk, "Amber").get_by_role("button", name="Held").click()
    expect(desk.locator(".toast")).to_contain_text("Dan marked it a no-show first.")
    expect(line(desk, "Amber")).to_have_count(0)
    assert call_of("Amber").status == "no_show"


def test_an_account_slides_over_the_desk_and_what_is_marked_there_leaves_it(desk):
    line(desk, "Amber").locator("a.name").click()
    expect(desk.locator(".over #account-name")).to_have_text("Amber")
    desk.locator(".over").get_by_role("button", name="Held: Intro call").click()
    expect(desk.locator(".over .stepper")).to_contain_text("4a. Intro Call Completed")
    desk.keyboard.press("Escape")
    expect(desk.locator(".over")).to_have_count(0)
    expect(desk).to_have_url(re.compile(r"/calls/$"))
    expect(line(desk, "Amber")).to_have_count(0)
    expect(line(desk, "Birch")).to_have_count(1)


def test_a_filter_stays_when_a_call_is_marked(desk):
    desk.locator("#kind").select_option("second")
    expect(line(desk, "Amber")).to_have_count(0)
    desk.locator("#kind").select_option("intro")
    expect(line(desk, "Amber")).to_have_count(1)
    line(desk, "Amber").get_by_role("button", name="No-show").click()
    expect(line(desk, "Amber")).to_have_count(0)
    assert desk.url.endswith("kind=intro&host=")


def test_g_c_goes_to_the_calls(desk):
    desk.goto("/playbooks/")
    desk.keyboard.press("g")
    desk.keyboard.press("c")
    expect(desk.locator("h1")).to_have_text("Calls")


def test_the_first_button_mends_and_undo_brings_the_line_back(hygiene, axe):
    axe(hygiene)
    hygiene.keyboard.press("j")
    hygiene.keyboard.press("1")
    expect(line(hygiene, "Amber")).to_have_count(0)
    expect(line(hygiene, "Birch").locator("a.name")).to_be_focused()
    assert Account.objects.get(name="Amber").stage == Stage.ONBOARDED_ENGAGED
    expect(hygiene.locator(".toast [data-undo]")).to_be_visible()
    hygiene.keyboard.press("z")
    expect(line(hygiene, "Amber")).to_have_count(1)


def test_a_note_is_written_from_its_line_until_nothing_contradicts_itself(hygiene, axe):
    line(hygiene, "Birch").get_by_role("button", name="Write the note").click()
    expect(hygiene.locator("#form textarea")).to_be_focused()
    axe(hygiene)
    hygiene.keyboard.type("They use flags.")
    hygiene.locator("#form").get_by_role("button", name="Save note").click()
    expect(line(hygiene, "Birch")).to_have_count(0)
    line(hygiene, "Amber").get_by_role("button").click()
    expect(hygiene.locator(".empty")).to_contain_text("Nothing contradicts itself.")


@pytest.mark.parametrize("address", ["/calls/", "/hygiene/"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(desk, axe, address, scheme):
    engaged = account(Stage.ONBOARDED_NO_ENGAGEMENT, name="Elm " * 20)
    Account.objects.filter(pk=engaged.pk).update(engaged_at=timezone.now(), engaged_via="email")
    booked("Fir" * 40, timedelta(hours=30), contact_email=f"{'long' * 12}@{'domain' * 6}.example")
    desk.emulate_media(color_scheme=scheme)
    desk.set_viewport_size({"width": 360, "height": 740})
    desk.goto(address)
    expect(desk.locator("ul.slim li").first).to_be_visible()
    assert desk.evaluate("document.documentElement.scrollWidth") == 360
    axe(desk)
