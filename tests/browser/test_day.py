"""A specialist's day by the keyboard alone: from the login, through fifteen outreaches, to an empty “Write now”."""

import re
from datetime import timedelta
from time import monotonic

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Call, Contact, Outreach, Policy
from apps.crm.options import refusal
from apps.crm.pipeline import Stage
from apps.outbox.models import Message
from tests.factories import account, call, snapshot, user

pytestmark = pytest.mark.django_db(transaction=True)

OUTREACHES = 15
NAMES = [f"Account {letter}" for letter in "ABCDEFGHIJKLMNO"]


class Hands:
    """Ten fingers and no mouse: each key counts, the words that only this customer gets do not."""

    def __init__(self, page):
        self.page, self.keys = page, 0

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
            self.keys += 1 + key.count("+")

    def say(self, words):
        self.page.keyboard.insert_text(words)


@pytest.fixture
def work(settings):
    """Fifteen accounts to be written to, one that had its intro call, one to hand to Sales; and who does it."""
    settings.EMAIL_URL, settings.MAIL_LOG_ADDRESS = "smtp://localhost", "log@onramp.example"
    now = timezone.now()
    Policy.objects.create(
        name="booking_link", value="https://book.example/team", starts_on=now.date() - timedelta(days=2)
    )
    for number, name in enumerate(NAMES):
        made = account(
            Stage.NEW,
            since=now - timedelta(days=8),
            name=name,
            next_renewal_on=now.date() + timedelta(days=20 + number),
        )
        Contact.objects.create(account=made, email=f"ann@{name[-1].lower()}.example", name="Ann Ames")
    later = now.date() + timedelta(days=50)
    held = account(
        Stage.CALL_BOOKED, since=now - timedelta(days=5), name="Had its call", next_renewal_on=later
    )
    call(held, starts_at=now - timedelta(hours=2))
    account(Stage.ENGAGED_EMAIL, since=now - timedelta(days=5), name="Grows fast", next_renewal_on=later)
    return user(username="sam", first_name="Sam", last_name="Smith")


def selected(page):
    return page.evaluate(
        "(({value, selectionStart, selectionEnd}) => value.slice(selectionStart, selectionEnd))(document.activeElement)"
    )


def row(page, name):
    return page.locator("#rows tr", has_text=name)


def name_of(page, name):
    return row(page, name).locator("th a")


def said(page, words):
    expect(page.locator(".toast").last).to_contain_text(words)


def arrived(page, at):
    """Wait until a page is there with its keys."""
    page.wait_for_url(re.compile(at))


def sign_in(page, hands, person):
    page.goto("/")
    expect(page.locator("input[name=login]")).to_be_focused()
    hands.say(person.username)
    hands.press("Tab")
    hands.say("secret-secret")
    hands.press("Enter")
    arrived(page, r"\d/$")
    expect(page.locator("#daily")).to_be_visible()


def find(page, hands, words, first):
    hands.press("/")
    expect(page.locator("#palette input")).to_be_focused()
    hands.say(words)
    expect(page.locator("#found [data-first]")).to_contain_text(first)
    hands.press("Enter")


def write_to_all(page, hands):
    """The pile of the day, from its top to its end; gives the keys and the seconds that each took."""
    find(page, hands, "write now", "Write now")
    arrived(page, "write=now")
    expect(page.locator("#rows th a")).to_have_count(OUTREACHES)
    begun, before = monotonic(), hands.keys
    for name in NAMES:
        hands.press("j")
        expect(name_of(page, name)).to_be_focused()
        hands.press("w")
        expect(page.locator("#form textarea")).to_be_focused()
        expect(page.locator("#form .called")).to_have_text(name)
        assert selected(page) == "[what you saw in their account?]"
        hands.say("Session replay is on, and nobody looks at it.")
        hands.press("Control+Enter")
        said(page, f"On its way to ann@{name[-1].lower()}.example.")
        expect(name_of(page, name)).to_be_focused()
    return (hands.keys - before) / OUTREACHES, (monotonic() - begun) / OUTREACHES


def call_held(page, hands):
    hands.press("g", "c")
    arrived(page, "/calls/$")
    line = page.locator("ul.slim li", has_text="Had its call")
    expect(line).to_be_visible()
    hands.press("j")
    expect(line.locator("a.name")).to_be_focused()
    hands.press("h")
    said(page, "was held. It moved to “4a. Intro Call Completed”.")


def hand_to_sales(page, hands):
    """Found by its name, moved from its page by the stage's number, with the note that Sales needs."""
    find(page, hands, "grows", "Grows fast")
    arrived(page, r"/accounts/\d+/$")
    expect(page.locator("#account-name")).to_have_text("Grows fast")
    hands.press("m")
    choice = page.locator("#form summary", has_text="6c. Sales Handoff")
    expect(page.locator("#form .moves :focus")).to_have_count(1)
    hands.press("6", "c")
    expect(choice).to_be_focused()
    hands.press("Enter")
    expect(page.locator("#form textarea:focus")).to_have_count(1)
    hands.say("They want 40 seats and a contract.")
    hands.press("Control+Enter")
    said(page, "Grows fast moved to “6c. Sales Handoff”.")
    expect(page.locator("#form")).not_to_be_visible()
    expect(page.locator(".stepper [aria-current]")).to_contain_text("6c. Sales Handoff")


def down_to(page, hands, name):
    while not name_of(page, name).evaluate("(here) => here === document.activeElement"):
        hands.press("j")


def refused(page, hands):
    """What the rules do not permit: told in their words, and nothing has changed."""
    hands.press("g", "d")
    arrived(page, r"\d/$")
    expect(name_of(page, "Had its call")).to_be_visible()
    down_to(page, hands, "Had its call")
    here = Account.objects.get(name="Had its call")
    before = snapshot(here)
    for number, to in ("3b", Stage.CALL_BOOKED), ("6a", Stage.ONBOARDED_NO_ENGAGEMENT):
        hands.press("m")
        expect(page.locator("#form .moves button").first).to_be_focused()
        hands.press(*number)
        expect(page.locator("#form .refused:focus")).to_contain_text(refusal(here, to))
        hands.press("Enter")
        said(page, refusal(here, to))
        hands.press("Escape")
        expect(name_of(page, "Had its call")).to_be_focused()
    assert snapshot(here) == before


def overtaken(page, hands):
    """A colleague was quicker: the move is refused in words, and what is true is shown."""
    hands.press("m")
    expect(page.locator("#form .moves button").first).to_be_focused()
    dan = user(first_name="Dan", last_name="Day")
    Account.objects.get(name="Had its call").move(
        Stage.CHURNED, by=dan, now=timezone.now(), cause="board", reason="Left."
    )
    hands.press("Enter")
    said(page, "Dan Day moved it to “6d. Churned” first.")
    expect(row(page, "Had its call")).to_contain_text("6d. Churned")
    expect(name_of(page, "Had its call")).to_be_focused()


def moved_and_back(page, hands):
    """The wrong one, and Undo, though something else was said meanwhile."""
    hands.press("k")
    expect(name_of(page, NAMES[-1])).to_be_focused()
    hands.press("m")
    expect(page.locator("#form .moves button").first).to_be_focused()
    hands.press("Enter")
    said(page, f"{NAMES[-1]} moved to “3a. Engaged — Email”.")
    expect(name_of(page, NAMES[-1])).to_be_focused()
    hands.press("e")
    said(page, "Copied: ann@o.example")
    hands.press("z")
    said(page, f"{NAMES[-1]} is back in “2. Onboarding Initiated”.")
    expect(row(page, NAMES[-1])).to_contain_text("2. Onboarding Initiated")
    expect(name_of(page, NAMES[-1])).to_be_focused()


def assign_five(page, hands):
    hands.press("x", "k", "k", "k", "k", "Shift+X")
    expect(page.locator("#picked")).to_contain_text("5 chosen")
    hands.press("a")
    expect(page.locator("#form select")).to_be_focused()
    hands.press("Control+Enter")
    said(page, "5 accounts")
    expect(page.locator("#picked")).not_to_be_visible()
    expect(name_of(page, NAMES[-5])).to_be_focused()


def test_a_day_by_keyboard_ends_with_nobody_left_to_write_to(page, work):
    hands = Hands(page)
    sign_in(page, hands, work)
    keys, seconds = write_to_all(page, hands)
    print(f"\n{keys:.0f} keys and {seconds:.1f} seconds an outreach, beside the words only they get")
    assert page.locator("#rows").inner_text().count("2. Onboarding Initiated") == OUTREACHES
    assert keys == 4
    assert Outreach.objects.count() == Message.objects.count() == OUTREACHES
    call_held(page, hands)
    hand_to_sales(page, hands)
    refused(page, hands)
    overtaken(page, hands)
    moved_and_back(page, hands)
    assign_five(page, hands)
    find(page, hands, "write now", "Write now")
    expect(page.locator(".empty")).to_contain_text("Nobody is left to write to.")
    expect(page.locator("#pile-write")).to_have_text("0")
    print(f"{hands.keys} keys the whole day")
    handed = Account.objects.get(name="Grows fast")
    assert (handed.stage, handed.transitions.first().reason) == (
        "sales_handoff",
        "They want 40 seats and a contract.",
    )
    assert Call.objects.get().status == "held"
    assert (
        Account.objects.filter(owner=work, name__in=NAMES[-5:]).count()
        == Account.objects.filter(owner=work).count()
        == 5
    )
