"""The doors of the mail services: who may post, and what strangers may put into a letter."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.crm.pipeline import Stage
from apps.intake.doors import DOORS
from apps.intake.models import Event
from tests import mail, mailing
from tests.mailing import LATER, customer, heard, told

today = mailing.today
sam = mailing.sam

pytestmark = pytest.mark.django_db


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
