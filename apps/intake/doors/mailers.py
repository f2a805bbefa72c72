"""The mail services whose webhooks we take: how each posts a letter, and what it says of those we sent.

Letters are read here, within bounds; what became of our own mail is brought to one vocabulary by django-anymail.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anymail.signals import AnymailTrackingEvent
from anymail.webhooks.mailersend import MailerSendTrackingWebhookView
from anymail.webhooks.mailgun import MailgunTrackingWebhookView
from anymail.webhooks.mailjet import MailjetTrackingWebhookView
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from django.core.handlers.wsgi import WSGIRequest

from apps.crm.fields import Unreadable
from apps.intake.api.errors import Problem
from apps.intake.api.strict import loads
from apps.intake.doors.letters import Letter, Part, aligned, domain_of
from apps.intake.doors.reading import at

# Verified by our own recipes before anything is kept, so anymail's own views are asked for nothing but reading.
_NONE = "unused"
_UNUSED = {"webhook_secret": [_NONE]}


class Post:
    """What a service posted: JSON, or a form. Told apart by its first byte, since only the body is kept."""

    def __init__(self, raw: bytes) -> None:
        kind = "application/json" if raw[:1] in (b"{", b"[") else "application/x-www-form-urlencoded"
        if raw.startswith(b"--"):
            kind = f'multipart/form-data; boundary="{_boundary(raw)}"'
        self.is_form = kind != "application/json"
        self.request = WSGIRequest(
            {
                "REQUEST_METHOD": "POST",
                "CONTENT_TYPE": kind,
                "CONTENT_LENGTH": str(len(raw)),
                "wsgi.input": io.BytesIO(raw),
            }
        )
        self.json: Any = None if self.is_form else _strict(raw)
        # Read whole before the form is, so that it can be read again.
        self.raw = self.request.body

    def files(self) -> list[Any]:
        """What hangs on the form, of each name the last."""
        return [file for _, file in self.request.FILES.items()]

    def form(self, name: str) -> str:
        """A field of the form, the last of that name; empty where there is none."""
        return str(self.request.POST.get(name, ""))


def _boundary(raw: bytes) -> str:
    return raw[2:202].partition(b"\r\n")[0].decode("ascii", "replace").replace('"', "")


def _strict(raw: bytes) -> Any:
    try:
        return loads(raw)
    except Problem as problem:
        raise Unreadable(str(problem.detail)) from None


def _text(data: Any, path: str) -> str:
    found = at(data, path)
    return found if isinstance(found, str) else ""


def _rows(data: Any, path: str) -> list[Any]:
    found = at(data, path)
    return found if isinstance(found, list) else []


def _held(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded)
    except (binascii.Error, ValueError):
        return b""


# Postmark says who and to whom apart from the other headers, and everything whether or not it sends the raw letter.


def _postmark(post: Post) -> Letter:
    body = post.json
    headers = [(_text(row, "Name"), _text(row, "Value")) for row in _rows(body, "Headers")]
    apart = {"from", "to", "cc", "subject", "date"}
    named = [("from", _text(body, "FromFull.Email"))]
    named += [
        (name.lower(), _text(row, "Email")) for name in ("To", "Cc") for row in _rows(body, f"{name}Full")
    ]
    named += [("subject", _text(body, "Subject")), ("date", _text(body, "Date"))]
    attached = [
        Part(_text(row, "ContentType"), _held(_text(row, "Content"))) for row in _rows(body, "Attachments")
    ]
    copied = [_text(row, "Email") for row in _rows(body, "BccFull")]
    # Only a first header is Postmark's own; further down anybody may have written it.
    returned = headers[0][1] if headers and headers[0][0].lower() == "return-path" else None
    rest = [pair for pair in headers if pair[0].lower() not in apart | {"return-path"}]
    return Letter.of([*named, *rest], attached, returned, [_text(body, "OriginalRecipient"), *copied])


def _postmark_vouches(letter: Letter, post: Post, domain: str) -> bool | None:
    tests, spf = letter.all("x-spam-tests"), letter.all("received-spf")
    if not tests and not spf:
        return None
    passed = [{name.strip() for name in said.split(",")} for said in tests]
    if passed and all("DKIM_VALID_AU" in names for names in passed):
        return True
    by_spf = all("SPF_PASS" in names for names in passed) and all(_passes(said) for said in spf)
    return by_spf and aligned(domain_of(letter.envelope_from or ""), domain)


def _passes(said: str) -> bool:
    return said.lower().startswith("pass")


# Mailgun posts a form: the raw letter, or its headers as a list of pairs.


def _mailgun(post: Post) -> Letter:
    envelope = post.form("sender"), post.form("recipient").split(",")
    if raw := post.form("body-mime"):
        return Letter.of_mime(raw.encode(errors="surrogateescape"), *envelope)
    pairs = _strict(post.form("message-headers").encode())
    if not isinstance(pairs, list):
        raise Unreadable("“message-headers” is missing.")
    files = [Part(_kind(file), file.read()) for file in post.files()]
    return Letter.of([pair for pair in pairs if len(pair) == 2], files, *envelope)


def _kind(file: Any) -> str:
    extra = (file.content_type_extra or {}).items()
    said = [f"{name}={value.decode(errors='replace')}" for name, value in extra if isinstance(value, bytes)]
    return "; ".join([file.content_type or "", *said])


def _mailgun_vouches(letter: Letter, post: Post, domain: str) -> bool | None:
    spf, dkim = letter.all("x-mailgun-spf"), letter.all("x-mailgun-dkim-check-result")
    if not spf and not dkim:
        return None
    if spf and all(_passes(said) for said in spf) and aligned(domain_of(letter.envelope_from or ""), domain):
        return True
    signers = [_signer(signature) for signature in letter.all("dkim-signature")]
    signed = bool(signers) and all(signer and aligned(signer, domain) for signer in signers)
    return bool(dkim) and all(_passes(said) for said in dkim) and signed


def _signer(signature: str) -> str:
    pairs = (part.partition("=") for part in signature.split(";"))
    return next((value.strip().lower() for name, _, value in pairs if name.strip() == "d"), "")


# Mailjet: headers as an object whose values are strings, or lists of them.


def _mailjet(post: Post) -> Letter:
    body = post.json
    headers = at(body, "Headers")
    headers = headers if isinstance(headers, Mapping) else {}
    pairs = [
        (name, one) for name, said in headers.items() for one in (said if isinstance(said, list) else [said])
    ]
    attached = [
        Part(_text(row, "Headers.Content-Type"), _held(_text(body, _text(row, "ContentRef") or "-")))
        for row in _rows(body, "Parts")
    ]
    return Letter.of(pairs, attached, _text(body, "Sender"), [_text(body, "Recipient")])


# MailerSend: the raw letter within JSON.


def _mailersend(post: Post) -> Letter:
    to = [_text(row, "email") for row in _rows(post.json, "data.recipients.rcptTo")]
    raw = _text(post.json, "data.raw")
    if not raw:
        raise Unreadable("“data.raw” is missing.")
    return Letter.of_mime(raw.encode(), _text(post.json, "data.sender.email"), to)


def _mailersend_vouches(letter: Letter, post: Post, domain: str) -> bool | None:
    code = _text(post.json, "data.spf_check.code")
    return code == "+" and aligned(domain_of(letter.envelope_from or ""), domain) if code else None


def _silent(letter: Letter, post: Post, domain: str) -> bool | None:
    return None


@dataclass(frozen=True)
class Mailer:
    """``vouches`` says whether a letter comes from the domain it names, and None where the service says nothing.

    ``hard`` tells a bounce for good from one that may pass, by the service's own words.
    """

    is_letter: Callable[[Post], bool]
    letter: Callable[[Post], Letter]
    vouches: Callable[[Letter, Post, str], bool | None]
    tracking: Any
    hard: Callable[[Any], bool]

    def told(self, post: Post) -> list[AnymailTrackingEvent]:
        """What became of mail we sent."""
        found: list[AnymailTrackingEvent] = self.tracking.parse_events(post.request)
        return found


MAILERS = {
    "postmark": Mailer(
        lambda post: at(post.json, "RecordType") in (None, "Inbound") and bool(at(post.json, "FromFull")),
        _postmark,
        _postmark_vouches,
        PostmarkTrackingWebhookView(**_UNUSED),
        lambda said: (
            not {at(said, "Type"), at(said, "SuppressionReason")}.isdisjoint(
                ("HardBounce", "BadEmailAddress")
            )
        ),
    ),
    "mailgun": Mailer(
        lambda post: post.is_form and not post.form("event"),
        _mailgun,
        _mailgun_vouches,
        MailgunTrackingWebhookView(webhook_signing_key=_NONE, **_UNUSED),
        lambda said: at(said, "event-data.severity") == "permanent",
    ),
    "mailjet": Mailer(
        lambda post: isinstance(at(post.json, "Headers"), Mapping),
        _mailjet,
        _silent,
        MailjetTrackingWebhookView(**_UNUSED),
        lambda said: at(said, "hard_bounce") is True,
    ),
    "mailersend": Mailer(
        lambda post: at(post.json, "type") == "inbound.message",
        _mailersend,
        _mailersend_vouches,
        MailerSendTrackingWebhookView(signing_secret=_NONE, **_UNUSED),
        lambda said: at(said, "data.type") == "hard_bounced",
    ),
}
