"""One account from its first word to its last: every door is knocked at, and the timeline tells it in order.

Three weeks pass. What other systems say comes over HTTP, signed as theirs; the tick and the drain are those that the
worker runs; Slack and the mail server stand on loopback; people click in Chromium.
"""

import json
import re
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, Survey
from apps.crm.pipeline import Stage
from apps.intake.doors import DOORS
from apps.intake.models import Event
from apps.intake.samples import INTRO_CALL, SAMPLES, About
from apps.intake.samples.mail import LOG_ADDRESS
from apps.intake.samples.signing import JSON, SIGNED
from apps.intake.tokens import ApiToken
from apps.playbooks.jobs import tick
from tests.factories import user
from tests.outside import MailServer, Slack

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NAME = "acme-1"

# What the timeline says at the end, the oldest first.
TOLD = (
    "Scope decided: Ours Forecast $250, above $100.",
    "The playbook enter-pipeline moved it to 1. New Account",
    "An incoming event moved it to 2. Onboarding Initiated",
    "An incoming event moved it to 3a. Engaged — Email",
    "An incoming event moved it to 3b. Engaged — Call Booked",
    "Intro call: no-show with ann@acme.example",
    "The playbook acted: failed-payment",
    "Alert: Payment failed",
    "Bill of $1,299 paid",
    "Resolved by itself: Payment failed The bill is paid.",
    "A playbook added the task Send the final outreach",
    "The playbook final-outreach-due moved it to 5. Awaiting Final Outreach",
    "Sam Hill moved it to 6b. Onboarded — Engaged from 5. Awaiting Final Outreach",
    "The playbook acted: satisfaction-survey",
    "Survey answer: 9 of 10 by Ann Lee Quick.",
)


class World:
    """Time, and the other systems: what they say goes to the live server."""

    def __init__(self, server):
        # In the morning, so that three weeks later is not ahead of the real clock, which the browser goes by.
        self.began = (timezone.now() - timedelta(days=22)).replace(hour=9, minute=0, second=0, microsecond=0)
        self.server = server

    def day(self, number):
        """That day's morning, from which the clock goes on."""
        return time_machine.travel(self.began + timedelta(days=number), tick=True)

    def post(self, method, path, body, headers):
        with closing(HTTPConnection(self.server.thread.host, self.server.thread.port, timeout=60)) as there:
            there.request(method, path, body, headers)
            answer = there.getresponse()
            said = json.loads(answer.read())
        assert answer.status == 200, said
        return said

    def report(self, token, **facts):
        body = json.dumps({"accounts": [{"external_id": NAME, **facts}]})
        headers = {"Content-Type": JSON, "Authorization": f"Bearer {token}"}
        return self.post("PUT", "/api/v1/accounts", body, headers)

    def tell(self, door, type):
        """As `manage.py send_sample_event` does; then the drain, with what follows from it."""
        call_command("send_sample_event", door, type, account=NAME, url=self.server.url)
        call_command("drain", once=True)

    def say_they_did_not_come(self, booked):
        """What Calendly says of the call of that day's booking, at its time."""
        now = timezone.now()
        about = About.account(Account.objects.get(), now=booked)
        said = SAMPLES["calendly"]["invitee_no_show.created"](about) | {"created_at": now.isoformat()}
        self.post("POST", "/hooks/calendly/", *SIGNED["calendly"]("", said, now, SECRET))
        call_command("drain", once=True)

    @staticmethod
    def pass_a_minute():
        """What beat has the worker do."""
        tick()
        call_command("drain", once=True)


@pytest.fixture
def world(live_server, settings):
    for door in SAMPLES:
        setattr(settings, DOORS[door].setting, [SECRET])
    settings.CALENDLY_EVENT_TYPES = {INTRO_CALL: "intro"}
    settings.MAIL_LOG_ADDRESS = LOG_ADDRESS
    settings.DEBUG, settings.BASE_URL = True, live_server.url
    return World(live_server)


@pytest.fixture
def slack(settings):
    with Slack() as server:
        settings.SLACK_WEBHOOK_URL = server.url
        yield server


@pytest.fixture
def mailbox(settings):
    with MailServer() as server:
        settings.EMAIL_URL = "set"
        options = {"host": "127.0.0.1", "port": server.port, "timeout": 60}
        settings.MAILERS = {
            "default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}
        }
        yield server


def test_an_account_is_onboarded_from_its_first_report_to_its_last_answer(world, slack, mailbox, page, login):
    def stage():
        return Stage(Account.objects.values_list("stage", flat=True).get())

    specialist, lead = user("specialist", first_name="Sam", last_name="Hill"), user("lead")

    # Billing reports an account, and the next tick finds that it is ours.
    with world.day(0):
        facts = {
            "name": "Acme",
            "domain": "acme.example",
            "plan": "pay_as_you_go",
            "forecast": "250.00",
            "next_renewal_on": f"{world.began + timedelta(days=26):%Y-%m-%d}",
            "stripe_customer_id": "cus_acme",
            "contacts": [{"email": "ann@acme.example", "name": "Ann Lee"}],
        }
        token = ApiToken.objects.issue(lead, now=timezone.now())
        assert world.report(token, **facts) == {"created": 1, "updated": 0, "unchanged": 0}
        assert stage() == Stage.OUTSIDE
        world.pass_a_minute()
        assert stage() == Stage.NEW

    # A specialist writes, with the log address in BCC; the customer answers, and books a call.
    with world.day(2):
        world.tell("mail/postmark", "outreach")
        assert stage() == Stage.INITIATED
    with world.day(4):
        world.tell("mail/postmark", "reply")
        assert stage() == Stage.ENGAGED_EMAIL
    with world.day(5):
        booked = timezone.now()
        world.tell("calendly", "invitee.created")
        assert stage() == Stage.CALL_BOOKED

    # Nobody comes, and then a payment fails: that is for Slack, until it is paid.
    with world.day(8):
        world.say_they_did_not_come(booked)
        assert Account.objects.get().calls.get().status == "no_show"
    assert slack.heard == []
    with world.day(9):
        world.tell("stripe", "invoice.payment_failed")
        alert = Account.objects.get().alerts.get()
        assert (alert.kind, alert.resolved_at) == ("failed-payment", None)
        assert len(slack.subjects) == 1
        assert "Acme" in slack.subjects[0]
    with world.day(10):
        world.tell("stripe", "invoice.paid")
        alert.refresh_from_db()
        assert alert.resolved_at is not None

    # The renewal comes near; a person sends the last letter, and says so.
    with world.day(18):
        world.pass_a_minute()
        assert stage() == Stage.AWAITING_FINAL_OUTREACH
    with world.day(19):
        login(page, specialist)
        page.goto("/")
        page.get_by_role("link", name="Acme").click()
        page.locator(".over .next > form").get_by_role("button", name="Final outreach sent").click()
        expect(page.locator(".over .stepper [aria-current]")).to_contain_text("6b. Onboarded — Engaged")
        assert stage() == Stage.ONBOARDED_ENGAGED

    # A day later they are asked how it was, and say so.
    world.pass_a_minute()
    [letter] = mailbox.taken
    link = re.search(rf"{world.server.url}/survey/\S+?(?=[\s\"?])", letter.decode().replace("=\r\n", ""))
    page.goto(link[0])
    page.get_by_role("radio", name="9", exact=True).check()
    page.get_by_label("In a word, if you like").fill("Quick.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert Survey.objects.get().score == 9

    assert {*Event.objects.values_list("state", flat=True)} == {"done"}
    assert len(slack.heard) == 1
    page.goto(f"/accounts/{Account.objects.get().pk}/")
    expect(page.locator(".timeline > li")).to_have_count(len(TOLD))
    told = [" ".join(line.split()) for line in page.locator(".timeline > li").all_inner_texts()][::-1]
    assert [line for line, words in zip(told, TOLD, strict=True) if not line.startswith(words)] == []
