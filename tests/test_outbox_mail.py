"""Sending mail: to a real mail server on loopback, well and not well."""

from __future__ import annotations

import email.policy

import pytest

from apps.outbox import send
from apps.outbox.mail import address_of, unsubscribe_url
from apps.outbox.models import AUTOMATIC, MAIL, Gate, Message
from tests import sending
from tests.factories import NOW, account, user
from tests.outside import MailServer
from tests.sending import gate, letter, tried, write

clock = sending.clock


@pytest.fixture
def mailbox(settings):
    with MailServer() as server:
        settings.EMAIL_URL = "set"
        options = {"host": "127.0.0.1", "port": server.port, "username": "us", "password": "pw", "timeout": 5}
        settings.MAILERS = {
            "default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}
        }
        yield server


@pytest.mark.django_db
def test_a_mail_leaves_in_text_and_html_under_its_reference(mailbox, clock, settings):
    settings.DEFAULT_FROM_EMAIL = "Onramp <hello@onramp.example>"
    [message] = write(letter("Hello", html="<p>Hi.</p>"))
    assert send.drain(MAIL, clock=clock) == 1
    [raw] = mailbox.taken
    taken = email.message_from_bytes(raw, policy=email.policy.default)
    assert mailbox.logins == [b"\0us\0pw"]
    assert (taken["Subject"], taken["To"], taken["From"]) == (
        *("Hello", "ann@acme.example", "Onramp <hello@onramp.example>"),
    )
    assert taken["Message-ID"] == f"<{message.reference}@onramp.example>"
    assert taken["List-Unsubscribe"] is None
    assert taken.get_body(("plain",)).get_content().strip() == "Hi."
    assert taken.get_body(("html",)).get_content().strip() == "<p>Hi.</p>"


@pytest.mark.django_db
def test_automatic_mail_can_be_ended_by_its_reader(mailbox, clock, settings):
    one = account("new")
    one.contacts.create(email="ann@acme.example")
    write(letter("Survey", automatic=True, account_id=one.pk))
    assert send.drain(MAIL, clock=clock) == 1
    taken = email.message_from_bytes(mailbox.taken[0], policy=email.policy.default)
    assert taken["List-Unsubscribe"] == f"<{unsubscribe_url('ann@acme.example')}>"
    assert taken["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert address_of(taken["List-Unsubscribe"].strip("<>").rstrip("/").rsplit("/")[-1]) == "ann@acme.example"


MAIL_TROUBLES = {
    "login refused": ("AUTH", "535 Wrong password", "shut"),
    "login list away": ("AUTH", "454 Later", "waits"),
    "no such user": ("RCPT", "550 No such user", "failed"),
    "mailbox full": ("RCPT", "452 Full", "waits"),
    "content refused": ("DATA", "554 Spam", "waits"),
    "server busy": ("CONNECT", "421 Later", "waits"),
    "sender refused": ("MAIL", "451 Later", "waits"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("trouble", MAIL_TROUBLES)
def test_a_mail_server_that_is_not_well_loses_nothing(mailbox, clock, trouble):
    command, answer, end = MAIL_TROUBLES[trouble]
    mailbox.script[command] = answer
    [message] = write(letter())
    send.drain(MAIL, clock=clock)
    message.refresh_from_db()
    assert (mailbox.taken, message.sent_at, message.failed_at is not None) == ([], None, end == "failed")
    assert (gate(MAIL).shut_at is not None) == (end == "shut")
    mailbox.script.clear()
    if end == "shut":
        assert message.tries == 0
        Gate.objects.turn(MAIL, shut=False, by=user("lead"), now=clock.now)
    tried(clock, MAIL)
    assert len(mailbox.taken) == (end != "failed")


@pytest.mark.django_db
def test_a_stopped_gate_sends_nothing_until_it_is_opened(mailbox, clock):
    lead, one = user("lead"), account("new")
    one.contacts.create(email="ann@acme.example")
    write(letter("by hand"), letter("automatic", automatic=True, account_id=one.pk))
    assert Gate.objects.turn(AUTOMATIC, shut=True, by=lead, now=NOW)
    assert not Gate.objects.turn(AUTOMATIC, shut=True, by=lead, now=NOW)
    assert (send.drain(MAIL, clock=clock), len(mailbox.taken)) == (1, 1)
    assert list(Message.objects.waiting().values_list("key", "held_at")) == [("automatic", None)]
    Gate.objects.turn(MAIL, shut=True, by=lead, now=NOW)
    Gate.objects.turn(AUTOMATIC, shut=False, by=lead, now=NOW)
    assert send.drain(MAIL, clock=clock) == 0
    Gate.objects.turn(MAIL, shut=False, by=lead, now=NOW)
    assert (send.drain(MAIL, clock=clock), len(mailbox.taken)) == (1, 2)
    assert not Gate.objects.dead().exists()
