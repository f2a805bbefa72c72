"""Letters, and news of mail we sent, as each mail service posts them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple
from uuid import uuid4

from django.conf import settings

from apps.intake.samples.about import About

# What `make run` tells the mail doors, so that a letter to it is an outreach.
LOG_ADDRESS = "log@in.onramp.example"

Body = dict[str, Any] | list[Any]


class Letter(NamedTuple):
    """A letter, and whom its service took it from and for."""

    sender: str
    taken_for: str
    headers: list[tuple[str, str]]
    text: str

    @property
    def raw(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self.headers) + f"\r\n{self.text}\r\n"

    def said(self, name: str) -> str:
        return dict(self.headers)[name]


def _letter(sender: str, to: str, taken_for: str, subject: str, about: About, **more: str) -> Letter:
    headers = [
        ("From", sender),
        ("To", to),
        ("Subject", subject),
        ("Date", format_datetime(about.now + timedelta(minutes=-5 if to == about.email else 0))),
        ("Message-ID", f"<{uuid4().hex}@{sender.rpartition('@')[2]}>"),
        *((name.replace("_", "-"), value) for name, value in more.items()),
    ]
    return Letter(sender, taken_for, headers, "This letter is a sample.")


def _outreach(about: About) -> Letter:
    """A specialist writes to the customer, with the log address in BCC."""
    log = settings.MAIL_LOG_ADDRESS or LOG_ADDRESS
    return _letter(about.sender, about.email, log, "Welcome aboard", about)


def _reply(about: About) -> Letter:
    """The customer answers, to a group of ours that hands it on to the service."""
    answers = f"<sample-outreach@{about.sender.rpartition('@')[2]}>"
    return _letter(about.email, about.sender, about.sender, "Re: Welcome aboard", about, In_Reply_To=answers)


# How each service posts a letter, with what it says of SPF.


def _postmark_letter(letter: Letter) -> Body:
    apart = ("From", "To", "Subject", "Date")
    rest = [{"Name": name, "Value": value} for name, value in letter.headers if name not in apart]
    return {
        "FromFull": {"Name": "", "Email": letter.said("From"), "MailboxHash": ""},
        "ToFull": [{"Name": "", "Email": letter.said("To"), "MailboxHash": ""}],
        "CcFull": [],
        "BccFull": [],
        "OriginalRecipient": letter.taken_for,
        "Subject": letter.said("Subject"),
        "Date": letter.said("Date"),
        "MessageID": str(uuid4()),
        "TextBody": letter.text,
        "Headers": [
            {"Name": "Return-Path", "Value": f"<{letter.sender}>"},
            {"Name": "Received-SPF", "Value": f"Pass (sender SPF authorized) envelope-from={letter.sender}"},
            *rest,
        ],
        "Attachments": [],
    }


def _mailgun_letter(letter: Letter) -> Body:
    return {
        "recipient": letter.taken_for,
        "sender": letter.sender,
        "subject": letter.said("Subject"),
        "message-headers": json.dumps([("X-Mailgun-Spf", "Pass"), *letter.headers]),
        "body-plain": letter.text,
    }


def _mailjet_letter(letter: Letter) -> Body:
    return {
        "Sender": letter.sender,
        "Recipient": letter.taken_for,
        "Headers": dict(letter.headers),
        "Text-part": letter.text,
        "Parts": [],
    }


def _mailersend_letter(letter: Letter) -> Body:
    return {
        "type": "inbound.message",
        "data": {
            "object": "message",
            "id": uuid4().hex,
            "recipients": {"rcptTo": [{"email": letter.taken_for}]},
            "sender": {"email": letter.sender},
            "spf_check": {"code": "+"},
            "raw": letter.raw,
        },
    }


# How each service says that mail came back for good, was called spam, or is wanted no more.


def _postmark_news(what: str, about: About) -> Body:
    said: dict[str, dict[str, Any]] = {
        "bounced": {"RecordType": "Bounce", "Type": "HardBounce", "BouncedAt": about.at()},
        "complained": {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "BouncedAt": about.at()},
        "unsubscribed": {
            "RecordType": "SubscriptionChange",
            "SuppressSending": True,
            "SuppressionReason": "ManualSuppression",
            "ChangedAt": about.at(),
        },
    }
    number = uuid4().int % 10**12
    return {
        "ID": number,
        "MessageID": str(uuid4()),
        "Email": about.email,
        "Recipient": about.email,
        **said[what],
    }


def _mailgun_news(what: str, about: About) -> Body:
    failed = {"event": "failed", "severity": "permanent", "reason": "bounce"}
    return {
        "event-data": {
            "id": uuid4().hex,
            "timestamp": about.now.timestamp(),
            "recipient": about.email,
            "message": {"headers": {"message-id": f"{uuid4().hex}@mail.example"}},
            **(failed if what == "bounced" else {"event": what}),
        }
    }


def _mailjet_news(what: str, about: About) -> Body:
    said: dict[str, dict[str, Any]] = {
        "bounced": {"event": "bounce", "hard_bounce": True, "error": "user unknown"},
        "complained": {"event": "spam"},
        "unsubscribed": {"event": "unsub"},
    }
    common = {"time": int(about.now.timestamp()), "Message_GUID": str(uuid4()), "email": about.email}
    return [common | said[what]]


def _mailersend_news(what: str, about: About) -> Body:
    name = {"bounced": "hard_bounced", "complained": "spam_complaint"}.get(what, what)
    about_mail = {"recipient": {"email": about.email}, "message": {"id": uuid4().hex}}
    data = {"type": name, "id": uuid4().hex, "created_at": about.at(), "email": about_mail}
    return {"type": f"activity.{name}", "data": data}


_LETTERS: Mapping[str, Callable[[About], Letter]] = {"outreach": _outreach, "reply": _reply}
_NEWS = ("bounced", "complained", "unsubscribed")
_SERVICES: Mapping[str, tuple[Callable[[Letter], Body], Callable[[str, About], Body]]] = {
    "mail/postmark": (_postmark_letter, _postmark_news),
    "mail/mailgun": (_mailgun_letter, _mailgun_news),
    "mail/mailjet": (_mailjet_letter, _mailjet_news),
    "mail/mailersend": (_mailersend_letter, _mailersend_news),
}


def _samples(
    letter: Callable[[Letter], Body], news: Callable[[str, About], Body]
) -> dict[str, Callable[[About], Body]]:
    def posted(write: Callable[[About], Letter]) -> Callable[[About], Body]:
        return lambda about: letter(write(about))

    def told(what: str) -> Callable[[About], Body]:
        return lambda about: news(what, about)

    return {name: posted(write) for name, write in _LETTERS.items()} | {what: told(what) for what in _NEWS}


MAIL = {door: _samples(*by) for door, by in _SERVICES.items()}
