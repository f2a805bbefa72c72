"""What became of mail we sent: it marks the person at every account, once and in any order."""

from __future__ import annotations

import hashlib
import json
from uuid import uuid4

import pytest

from apps.crm.models import Contact
from apps.crm.pipeline import Stage
from apps.outbox.models import Message
from tests import mail, mailing
from tests.factories import NOW
from tests.mailing import LATER, NOON, customer, heard, told

today = mailing.today

pytestmark = pytest.mark.django_db


# What became of mail we sent


@pytest.mark.parametrize("service", mail.TRACKING)
@pytest.mark.parametrize("what", mail.NEWS)
def test_what_became_of_our_mail_marks_the_person_at_every_account(service: str, what: str) -> None:
    first, second = customer(), customer()
    other = Contact.objects.create(account=first, email="other@acme.example")
    event = told(service, mail.news(service, what, "Zoe@acme.example"))
    mine = Contact.objects.filter(email="zoe@acme.example")
    marked = {(contact.bounced_at is not None, contact.unsubscribed_at is not None) for contact in mine}
    bounced, unsubscribed = what == "bounced", what in ("complained", "unsubscribed")
    assert marked == {(bounced, unsubscribed)}
    assert event.state == ("done" if bounced or unsubscribed else "ignored")
    other.refresh_from_db()
    assert (other.bounced_at, other.unsubscribed_at) == (None, None)
    assert mail.post(service, mail.news(service, what, "Zoe@acme.example")).json() == {"kept": False}
    assert heard(second)[-1] == 1


def test_a_bounce_of_a_message_of_ours_is_said_there_too() -> None:
    made = customer()
    reference = uuid4()
    Message.objects.write(
        [
            Message.mail(
                "key-1",
                to="zoe@acme.example",
                kind="x",
                subject="Hi",
                now=NOW,
                account_id=made.pk,
                reference=reference,
            )
        ]
    )
    Message.objects.filter(reference=reference).update(sent_at=NOW)
    signed = mail.news("mailgun", "bounced", "zoe@acme.example", message_id=f"<{reference}@onramp.example>")
    assert told("mailgun", signed).state == "done"
    assert Contact.objects.get().bounced_at == NOON
    assert "came back" in Message.objects.get(reference=reference).because


def test_a_bounce_of_somebody_unknown_is_passed_over() -> None:
    event = told("postmark", mail.news("postmark", "bounced", "who@nowhere.example"))
    assert (event.state, event.account) == ("ignored", None)


def test_news_that_come_together_each_count() -> None:
    made = customer(Stage.INITIATED, "a@acme.example", "b@acme.example", "c@acme.example")
    rows = [
        json.loads(mail.news("mailjet", what, f"{name}@acme.example")[0])[0]
        for name, what in (("a", "bounced"), ("b", "opened"), ("c", "complained"), ("nobody", "bounced"))
    ]
    body = json.dumps(rows).encode()
    event = told("mailjet", (body, mail.basic(body)))
    assert (event.state, event.type) == ("done", "bounced,complained,opened")
    assert event.external_id == f"sha256:{hashlib.sha256(body).hexdigest()}"
    marked = made.contacts.order_by("email").values_list("bounced_at", "unsubscribed_at")
    assert list(marked) == [(NOON, None), (None, None), (None, NOON)]


def test_an_older_bounce_that_comes_late_does_not_go_before_a_newer_one() -> None:
    made = customer()
    made.contacts.update(bounced_at=LATER)
    assert told("mailjet", mail.news("mailjet", "bounced", "zoe@acme.example")).state == "done"
    assert made.contacts.get().bounced_at == LATER
