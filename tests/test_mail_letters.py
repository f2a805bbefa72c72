"""Letters by mail: a customer's answer is a reply, a logged letter an outreach, and nothing else is either."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from apps.crm.models import Account
from apps.crm.pipeline import Stage
from apps.intake import drain
from apps.intake.linking import link
from apps.intake.models import Event
from tests import mail, mailing
from tests.factories import account, user
from tests.mailing import LATER, NOON, customer, heard, told

today = mailing.today
sam = mailing.sam

pytestmark = pytest.mark.django_db
MACHINES = mail.samples("machines")


# What a customer writes


@pytest.mark.parametrize("service", mail.SERVICES)
@pytest.mark.parametrize("name", mail.samples("people"))
def test_what_a_person_at_the_customer_writes_is_a_reply(service: str, name: str) -> None:
    made = customer()
    event = told(service, mail.letter(service, mail.sample(name)))
    assert (event.state, event.type, event.account) == ("done", "inbound", made)
    assert heard(made) == (Stage.ENGAGED_EMAIL, None, NOON, LATER, 2)


@pytest.mark.parametrize("service", mail.SERVICES)
@pytest.mark.parametrize("name", MACHINES)
def test_what_a_machine_writes_is_no_reply(service: str, name: str) -> None:
    made = customer()
    before = heard(made)
    event = told(service, mail.letter(service, mail.sample(name)))
    assert (event.state, bool(event.sentence), heard(made)) == ("ignored", True, before)


@pytest.mark.parametrize("service", mail.SERVICES)
def test_the_same_letter_twice_is_kept_once(service: str) -> None:
    made = customer()
    told(service, mail.letter(service, mail.sample("people/reply")))
    again = mail.letter(
        service, mail.sample("people/reply"), extra=[("Received", "by another of their servers")]
    )
    assert mail.post(service, again).json() == {"kept": False}
    assert (Event.objects.count(), heard(made)[-1]) == (1, 2)


@pytest.mark.parametrize("service", mail.SERVICES)
def test_letters_without_an_id_are_told_apart_by_what_they_say(service: str) -> None:
    customer()
    raw = mail.sample("people/reply-without-an-id")
    other = raw.replace(b"12:00:00", b"12:00:01")
    signed = [mail.letter(service, one) for one in (raw, raw, other)]
    assert [mail.post(service, one).json()["kept"] for one in signed] == [True, False, True]
    assert all(
        key.startswith("inbound:sha256:") for key in Event.objects.values_list("external_id", flat=True)
    )


def test_a_date_to_come_or_none_is_that_of_the_arrival() -> None:
    raw = mail.sample("people/reply")
    for number, date in enumerate(
        (b"Fri, 20 Nov 2099 12:00:00 +0000", b"yesterday", b"", b"Fri, 20 Nov 1901 12:00")
    ):
        made = customer(Stage.INITIATED, f"zoe@{number}.example")
        letter = raw.replace(b"Fri, 20 Nov 2026 12:00:00 +0000\r\nMess", date + b"\r\nMess")
        told(
            "mailgun",
            mail.letter(
                "mailgun",
                letter.replace(b"Zoe@Acme.example", f"zoe@{number}.example".encode()),
                to=f"{number}@in.mail.example",
            ),
        )
        assert heard(made)[2] == LATER


@pytest.mark.parametrize(
    "sender",
    [
        b"",
        b"nobody",
        b"zoe@acme.example, sam@onramp.example",
        b"zoe@acme.example <sam@onramp.example>",
        b"Zoe <zoe@acme.example>, Sam <sam@onramp.example>",
        b"zoe@acme.example\r\nFrom: sam@onramp.example",
        b"(" * 20_000 + b" <zoe@acme.example",
        b'"' * 60_000,
        b"zoe@acme.example\x00",
    ],
)
def test_a_sender_that_is_not_plainly_one_is_not_understood(sender: bytes) -> None:
    made = customer()
    before = heard(made)
    raw = b"From: " + sender + b"\r\nTo: a@b.example\r\nMessage-ID: <odd@x.example>\r\n\r\nHello"
    event = told("mailgun", mail.letter("mailgun", raw, sender="eve@evil.example"))
    assert (event.state, bool(event.sentence), heard(made)) == ("failed", True, before)


def test_a_colleague_who_writes_is_no_customer_who_replies() -> None:
    made = customer(Stage.INITIATED, "zoe@acme.example")
    user("lead", email="Zoe@acme.example")
    before = heard(made)
    event = told("postmark", mail.letter("postmark", mail.sample("people/reply")))
    assert (event.state, heard(made)) == ("ignored", before)


def test_a_stranger_and_somebody_of_two_accounts_wait_for_a_person() -> None:
    event = told("mailjet", mail.letter("mailjet", mail.sample("people/reply")))
    assert (event.state, event.subject) == ("unmatched", "email:zoe@acme.example")
    first, second = customer(), customer()
    assert link(event, first, by=user("specialist"), now=LATER) == 1
    drain.apply_due(now=LATER)
    assert (heard(first)[0], heard(second)[0]) == (Stage.ENGAGED_EMAIL, Stage.INITIATED)
    again = mail.letter("mailjet", mail.sample("people/reply"), to="other@in.mail.example")
    assert told("mailjet", again).state == "ambiguous"
    assert heard(second)[0] == Stage.INITIATED


# What a specialist writes


def logged(service: str, raw: bytes | None = None, **more: Any) -> Event:
    return told(service, mail.letter(service, raw or mail.sample("outreach/outreach"), to=mail.LOG, **more))


@pytest.mark.parametrize("service", mail.SERVICES)
def test_a_logged_letter_is_an_outreach_to_every_account_it_went_to(service: str, sam: Any) -> None:
    acme = customer(Stage.NEW, "zoe@acme.example", "bo@acme.example")
    globex = account(Stage.NEW, domain="globex.example")
    ours = account(Stage.NEW, domain="onramp.example")
    event = logged(service)
    assert event.state == "done"
    assert all(name in event.sentence for name in (f"{acme.name}: Moved", f"{globex.name}: Moved"))
    ten = NOON - timedelta(hours=2)
    assert [heard(of) for of in (acme, globex)] == [(Stage.INITIATED, ten, None, None, 2)] * 2
    assert heard(ours) == (Stage.NEW, None, None, None, 1)


def test_it_starts_a_conversation_only_where_it_answers_none(sam: Any) -> None:
    made = customer(Stage.NEW)
    raw = mail.sample("outreach/outreach").replace(
        b"Content-Type", b"In-Reply-To: <x@y.example>\r\nContent-Type"
    )
    assert logged("mailgun", raw).state == "done"
    assert heard(made) == (Stage.NEW, NOON - timedelta(hours=2), None, None, 1)


def test_a_letter_is_logged_by_its_envelope_and_not_by_its_headers(sam: Any) -> None:
    made = customer(Stage.NEW)
    before = heard(made)
    raw = mail.sample("outreach/outreach").replace(b"Cc: ", f"Cc: {mail.LOG}, ".encode())
    assert (told("mailgun", mail.letter("mailgun", raw)).state, heard(made)) == ("ignored", before)
    assert (logged("mailgun", raw).state, heard(made)[0]) == ("done", Stage.INITIATED)


def test_a_letter_of_somebody_else_to_the_log_address_is_no_outreach(sam: Any) -> None:
    made = customer(Stage.NEW)
    before = heard(made)
    raw = mail.sample("outreach/outreach").replace(b"<sam@", b"<eve@")
    assert (logged("mailgun", raw).state, heard(made)) == ("ignored", before)


PASSES: list[tuple[str, Any]] = [
    ("postmark", {"extra": [("X-Spam-Tests", "DKIM_SIGNED,DKIM_VALID,DKIM_VALID_AU,SPF_FAIL")]}),
    (
        "postmark",
        {"extra": [("X-Spam-Tests", "HTML_MESSAGE,SPF_PASS"), ("Received-SPF", "Pass (authorized)")]},
    ),
    ("mailgun", {"extra": [("X-Mailgun-Spf", "Pass")]}),
    (
        "mailgun-parsed",
        {
            "extra": [
                ("X-Mailgun-Dkim-Check-Result", "Pass"),
                ("DKIM-Signature", "v=1; d=onramp.example; b=y"),
            ]
        },
    ),
    ("mailersend", {"spf_check": {"code": "+", "value": None}}),
]
FAILS: list[tuple[str, Any]] = [
    ("postmark", {"extra": [("X-Spam-Tests", "DKIM_SIGNED,DKIM_VALID,SPF_FAIL")]}),
    ("postmark", {"extra": [("Received-SPF", "Softfail (domain owner discourages it) client-ip=192.0.2.1")]}),
    # A header the sender wrote beside the one that the service added.
    (
        "postmark",
        {
            "extra": [
                ("X-Spam-Tests", "SPF_FAIL"),
                ("X-Spam-Tests", "DKIM_VALID_AU"),
                ("X-Spam-Tests", "SPF_PASS"),
            ]
        },
    ),
    ("mailgun", {"extra": [("X-Mailgun-Spf", "Fail"), ("X-Mailgun-Spf", "Pass")]}),
    ("mailgun", {"extra": [("X-Mailgun-Spf", "Pass")], "sender": "eve@evil.example"}),
    (
        "mailgun-parsed",
        {"extra": [("X-Mailgun-Dkim-Check-Result", "Pass"), ("DKIM-Signature", "v=1; d=evil.example; b=y")]},
    ),
    ("mailgun-parsed", {"extra": [("X-Mailgun-Dkim-Check-Result", "Fail")]}),
    ("mailersend", {"spf_check": {"code": "-", "value": None}}),
    ("mailersend", {"spf_check": {"code": "+", "value": None}, "sender": {"email": "eve@evil.example"}}),
]


@pytest.mark.parametrize(("service", "said"), PASSES)
def test_an_outreach_that_the_service_vouches_for_counts(service: str, said: Any, sam: Any) -> None:
    made = customer(Stage.NEW)
    assert (logged(service, **said).state, heard(made)[0]) == ("done", Stage.INITIATED)


@pytest.mark.parametrize(("service", "said"), FAILS)
def test_an_outreach_with_a_forged_sender_does_not_count(service: str, said: Any, sam: Any) -> None:
    made = customer(Stage.NEW)
    before = heard(made)
    event = logged(service, **said)
    assert (event.state, "SPF nor DKIM" in event.sentence, heard(made)) == ("ignored", True, before)


def to_all(*recipients: str) -> bytes:
    head = "From: sam@onramp.example\r\nTo: " + ",\r\n ".join(recipients)
    return f"{head}\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <many@x.example>\r\n\r\nHello".encode()


def test_a_mailing_and_a_letter_to_nobody_are_no_outreach(sam: Any) -> None:
    made = customer(Stage.NEW)
    before = heard(made)
    many = ("zoe@acme.example", *(f"person{number}@acme.example" for number in range(100)))
    assert logged("mailgun", to_all(*many)).state == "ignored"
    assert logged("mailersend", to_all("undisclosed-recipients:;")).state == "ignored"
    assert logged("mailjet", to_all("lee@onramp.example")).state == "ignored"
    assert heard(made) == before


def test_recipients_nobody_knows_are_left_out_and_none_known_waits(sam: Any) -> None:
    account(Stage.NEW, domain="gmail.com")
    event = logged("mailgun", to_all("who@gmail.com", "zoe@acme.example"))
    assert (event.state, event.subject) == ("unmatched", "email:who@gmail.com")
    for _ in range(2):
        customer(Stage.NEW, "two@agency.example")
    assert logged("mailersend", to_all("who@gmail.com", "two@agency.example")).state == "ambiguous"
    assert set(Account.objects.values_list("last_outreach_at", flat=True)) == {None}
    made = customer(Stage.NEW)
    assert logged("postmark", to_all("two@agency.example", "zoe@acme.example")).state == "done"
    assert heard(made)[0] == Stage.INITIATED
    assert Account.objects.filter(last_outreach_at=None).count() == 3


@pytest.mark.parametrize("late", [False, True])
def test_outreach_and_reply_end_the_same_in_either_order(late: bool, sam: Any) -> None:
    made = customer(Stage.NEW)
    steps = [
        lambda: logged("mailgun"),
        lambda: told("postmark", mail.letter("postmark", mail.sample("people/reply"))),
    ]
    for step in reversed(steps) if late else steps:
        step()
    assert heard(made)[:3] == (Stage.ENGAGED_EMAIL, NOON - timedelta(hours=2), NOON)


def test_without_a_log_address_nothing_is_logged(sam: Any, settings: Any) -> None:
    settings.MAIL_LOG_ADDRESS = ""
    made = customer(Stage.NEW)
    before = heard(made)
    assert (
        told("mailgun", mail.letter("mailgun", mail.sample("outreach/outreach"), to="")).state,
        heard(made),
    ) == (
        "ignored",
        before,
    )
