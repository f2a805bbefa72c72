"""Mail services: a person's answer is a reply, a specialist's logged letter an outreach, and nothing else is either."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client

from apps.crm.models import Account, Contact
from apps.crm.pipeline import Stage
from apps.intake import drain
from apps.intake.doors import DOORS
from apps.intake.linking import link
from apps.intake.models import Event
from apps.outbox.models import Message
from tests import mail
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(hours=3)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MACHINES = mail.samples("machines")


@pytest.fixture(autouse=True)
def _today(settings: Any) -> Iterator[None]:
    settings.MAIL_WEBHOOK_SECRETS = [mail.SECRET]
    settings.MAIL_LOG_ADDRESS = mail.LOG
    settings.DEFAULT_FROM_EMAIL = "Onramp <onboarding@onramp.example>"
    with time_machine.travel(LATER, tick=False):
        yield


def customer(stage: Stage = Stage.INITIATED, *emails: str, **fields: Any) -> Account:
    made = account(stage, **fields)
    for email in emails or ("zoe@acme.example",):
        Contact.objects.create(account=made, email=email)
    return made


def told(service: str, signed: mail.Signed) -> Event:
    """An event posted and applied."""
    answer = mail.post(service, signed)
    assert (answer.status_code, answer.json()) == (200, {"kept": True})
    drain.apply_due(now=LATER)
    found: Event = Event.objects.latest("pk")
    assert bytes(found.body) == signed[0]
    return found


def heard(of: Account) -> tuple[Any, ...]:
    """Where it stands and what was heard: nothing of it changes where a letter does not count."""
    of.refresh_from_db()
    return Stage(of.stage), of.last_outreach_at, of.last_reply_at, of.engaged_at, of.version


# Who may post


def refused(service: str, signed: mail.Signed, status: int = 401, error: str = "unauthorized") -> None:
    answer = mail.post(service, signed)
    assert (answer.status_code, answer.json()["error"], Event.objects.count()) == (status, error, 0)


@pytest.mark.parametrize("service", mail.SERVICES)
def test_another_secret_and_none_are_refused(service: str) -> None:
    reply = mail.sample("people/reply")
    refused(service, mail.letter(service, reply, secret="hooks:another"))
    body, headers = mail.letter(service, reply)
    kept = {"Content-Type": headers["Content-Type"]}
    if not service.startswith("mailgun"):
        refused(service, (body, kept))
        refused(service, (body, kept | {"Authorization": "Basic !!!", "Signature": "é"}))
        refused(service, (body, kept | {"Authorization": mail.SECRET, "Signature": mail.SECRET}))


def test_mailersend_signs_the_body() -> None:
    body, headers = mail.letter("mailersend", mail.sample("people/reply"))
    refused("mailersend", (body + b" ", headers))


@pytest.mark.parametrize("off", [-301, 61, -86_400])
def test_what_mailgun_signed_at_another_time_is_refused(off: int) -> None:
    at = LATER + timedelta(seconds=off)
    signed: dict[str, Any] = mail.token(at=at)
    refused("mailgun", mail.letter("mailgun", mail.sample("people/reply"), **signed))


@pytest.mark.parametrize(
    "spoiled",
    [
        {"signature": ""},
        {"signature": "é"},
        {"token": "other"},
        {"timestamp": "now"},
        {"timestamp": "9" * 5000},
    ],
)
def test_what_mailgun_did_not_sign_is_refused(spoiled: dict[str, Any]) -> None:
    refused("mailgun", mail.letter("mailgun", mail.sample("people/reply"), **spoiled))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"signature": 1}', b"--", b"--x\r\n", b"a=%ff", b"\xff", b"[" * 100_000]
)
def test_mailgun_is_not_believed_without_a_signature(body: bytes) -> None:
    refused("mailgun", (body, {"Content-Type": "application/json"}))


@pytest.mark.parametrize("service", mail.SERVICES)
def test_a_rotated_secret_holds_beside_the_new_one(service: str, settings: Any) -> None:
    settings.MAIL_WEBHOOK_SECRETS = ["hooks:another", mail.SECRET]
    reply = mail.sample("people/reply")
    answers = [
        mail.post(service, mail.letter(service, reply, secret=secret, to=f"{n}@in.mail.example"))
        for n, secret in enumerate(settings.MAIL_WEBHOOK_SECRETS)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize("service", mail.SERVICES)
def test_without_a_secret_the_doors_are_closed(service: str, settings: Any) -> None:
    settings.MAIL_WEBHOOK_SECRETS = []
    refused(service, mail.letter(service, mail.sample("people/reply")), 503, "not_configured")


@pytest.mark.parametrize("service", mail.SERVICES)
def test_a_letter_with_large_attachments_is_refused_as_too_large(service: str) -> None:
    raw = mail.sample("people/reply").replace(b"iVBORw0KGgo=", b"AAAA" * 90_000)
    refused(service, mail.letter(service, raw), 413, "too_large")


def test_a_service_we_do_not_know_and_a_get_are_refused() -> None:
    assert Client().post("/hooks/mail/unknown/").status_code == 404
    assert {Client().get(f"/hooks/{door}/").status_code for door in DOORS} == {405}


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


@pytest.fixture
def sam() -> Any:
    user("specialist", email="lee@onramp.example")
    return user("specialist", email="Sam@onramp.example")


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


# What strangers may put into a letter


EVIL = {
    "quotes": b"To: " + b'"' * 60_000,
    "commas": b"To: " + b"a," * 60_000,
    "brackets": b"To: " + b"(" * 60_000,
    "angles": b"From: " + b"<" * 60_000,
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 10_000,
    "an unknown charset": b"Subject: =?klingon?q?a?=",
    "a broken encoded word": b"Subject: =?utf-8?b?a?= =?utf-8?q?=zz?=",
    "content type": b"Content-Type: " + b'text/plain; a="' * 10_000,
    "boundary": b"Content-Type: multipart/mixed; boundary=" + b"b" * 10_000,
    "dates": b"Date: " + b"(" * 60_000,
    "references": b"Message-ID: <" + b"[" * 60_000,
    "raw bytes": b"Subject: \xff\xfe\x00\r\nMessage-ID: <\xff@x>",
    "header names": b"\x01\x02: x\r\n:\r\n: y\r\nno header at all",
}


@pytest.mark.parametrize("name", EVIL)
def test_a_hostile_letter_is_kept_quickly_and_fails_nothing(name: str, sam: Any) -> None:
    began = time.process_time()
    raw = EVIL[name] + b"\r\nFrom: sam@onramp.example\r\n\r\nHello"
    fields = {"recipient": mail.LOG, "sender": "x@y.example", **mail.token()}
    body, headers = mail.form(fields | {"body-mime": raw.decode(errors="surrogateescape")})
    assert told("mailgun", (body, headers)).state in ("failed", "unmatched", "ignored")
    assert time.process_time() - began < 15


def test_a_deeply_nested_letter_is_kept_and_fails_nothing() -> None:
    raw = b"From: a@b.example\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 3000 + b"x"
    body = json.dumps({"type": "inbound.message", "data": {"raw": raw.decode()}}).encode()
    assert told("mailersend", (body, mail.by_mailersend(body))).state == "failed"


@pytest.mark.parametrize(
    ("name", "value"),
    [("Subject", "Hello\r\nAuto-Submitted: auto-replied"), ("X-Any", "a\r\nFrom: eve@evil.example")],
)
def test_a_line_end_within_a_header_adds_no_header(name: str, value: str) -> None:
    made = customer()
    event = told(
        "mailjet", mail.letter("mailjet", mail.sample("people/reply-without-an-id"), extra=[(name, value)])
    )
    assert (event.state, heard(made)[0]) == ("done", Stage.ENGAGED_EMAIL)


@pytest.mark.parametrize("service", ["postmark", "mailjet", "mailersend"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"[1]",
        b'{"RecordType": 1}',
        b'{"type": "inbound.message"}',
        b'{"Headers": {"a": [1]}}',
        b'{"FromFull": {}, "Headers": [1, {"Name": 2}]}',
        b'{"event": "bounce", "hard_bounce": true, "email": "x"}',
        b'{"RecordType": "Bounce", "Type": "HardBounce", "Email": 5}',
        b'{"data": []}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"FromFull": 5, "a": NaN}',
        b"--x\r\nboundary",
    ],
)
def test_a_rightly_signed_post_that_nobody_can_use_is_kept_and_says_why(service: str, body: bytes) -> None:
    sign = mail.by_mailersend if service == "mailersend" else mail.basic
    event = told(service, (body, sign(body)))
    assert (event.state in ("failed", "ignored"), bool(event.sentence), event.due_at) == (True, True, None)


@pytest.mark.parametrize(
    "fields", [{}, {"message-headers": "["}, {"message-headers": "[[1], [2, 3], 4]"}, {"event": "bounced"}]
)
def test_a_form_that_nobody_can_use_is_kept_and_says_why(fields: dict[str, str]) -> None:
    event = told("mailgun", mail.form(mail.token() | fields))
    assert (event.state in ("failed", "ignored"), bool(event.sentence), event.due_at) == (True, True, None)


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
