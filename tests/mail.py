"""Letters and news of sent mail, posted and signed as each mail service does it, written apart from our readers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses
from pathlib import Path
from typing import Any

from django.test import Client

SECRET = "hooks:a-long-secret-of-ours"
LOG = "log@in.onramp.example"
SAMPLES = Path(__file__).parent / "data" / "mail"
SERVICES = ("postmark", "mailgun", "mailgun-parsed", "mailjet", "mailersend")

Signed = tuple[bytes, dict[str, str]]


def sample(name: str) -> bytes:
    """A letter by its folder and name, with the line ends that mail has."""
    return (SAMPLES / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")


def samples(folder: str) -> list[str]:
    return sorted(f"{folder}/{path.stem}" for path in (SAMPLES / folder).iterdir())


def basic(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {
        "Authorization": "Basic " + base64.b64encode(secret.encode()).decode(),
        "Content-Type": "application/json",
    }


def by_mailersend(body: bytes, secret: str = SECRET) -> dict[str, str]:
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Signature": right, "Content-Type": "application/json"}


def token(secret: str = SECRET, at: datetime | None = None, name: str = "token-1") -> dict[str, str]:
    seconds = str(int((at or datetime.now(UTC)).timestamp()))
    right = hmac.new(secret.encode(), f"{seconds}{name}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": seconds, "token": name, "signature": right}


def form(fields: dict[str, str], files: Sequence[tuple[str, str, bytes]] = ()) -> Signed:
    """A multipart form; files are name, kind and content."""
    parts = [(f'name="{name}"', value.encode(errors="surrogateescape")) for name, value in fields.items()]
    parts += [
        (f'name="{name}"; filename="{name}.bin"\r\nContent-Type: {kind}', content)
        for name, kind, content in files
    ]
    body = b"".join(
        b"--frontier\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return body + b"--frontier--\r\n", {"Content-Type": "multipart/form-data; boundary=frontier"}


def letter(
    service: str,
    raw: bytes,
    *,
    to: str = "hash@in.mail.example",
    secret: str = SECRET,
    extra: Sequence[tuple[str, str]] = (),
    **more: Any,
) -> Signed:
    """A letter as a service posts it: the body, and what signs it. ``extra`` are headers that the service adds."""
    message = message_from_bytes(raw)
    returned = (message["Return-Path"] or str(message["From"]).rpartition("<")[2]).strip("<> ")
    if "Return-Path" in message and not returned:
        returned = ""
    pairs = [*extra, *((name, str(value).replace("\r\n", "")) for name, value in message.raw_items())]
    parts = [
        part for part in message.walk() if part.get_content_maintype() != "multipart" and part is not message
    ]
    held: list[tuple[str, Any]] = [
        (str(part["Content-Type"]), part.get_payload(decode=True) or b"") for part in parts
    ]
    with_extra = "".join(f"{name}: {value}\r\n" for name, value in extra).encode() + raw
    if service == "postmark":
        body = json.dumps(_postmark(message, pairs, held, returned, to) | more).encode()
        return body, basic(body, secret)
    if service == "mailjet":
        headers: dict[str, Any] = {}
        for name, value in pairs:
            headers.setdefault(name, []).append(value)
        headers = {name: said[0] if len(said) == 1 else said for name, said in headers.items()}
        told: dict[str, Any] = {
            "Sender": returned,
            "Recipient": to,
            "Headers": headers,
            "Text-part": "x",
            "Parts": [],
        }
        for number, (kind, content) in enumerate(held):
            told["Parts"].append({"Headers": {"Content-Type": kind}, "ContentRef": f"Attachment{number}"})
            told[f"Attachment{number}"] = base64.b64encode(content).decode()
        body = json.dumps(told | more).encode()
        return body, basic(body, secret)
    if service == "mailersend":
        data = {
            "object": "message",
            "id": "in-1",
            "recipients": {"rcptTo": [{"email": to}]},
            "sender": {"email": returned},
            "raw": with_extra.decode(errors="replace"),
            "created_at": "2026-11-20T12:00:00.000000Z",
        }
        body = json.dumps({"type": "inbound.message", "data": data | more}).encode()
        return body, by_mailersend(body, secret)
    fields = {"recipient": to, "sender": returned, **token(secret)}
    if service == "mailgun":
        return form(fields | {"body-mime": with_extra.decode(errors="surrogateescape")} | more)
    fields |= {"message-headers": json.dumps(pairs), "body-plain": "x", "attachment-count": str(len(held))}
    return form(
        fields | more, [(f"attachment-{n}", kind, content) for n, (kind, content) in enumerate(held, 1)]
    )


def _postmark(message: Any, pairs: list[Any], held: list[Any], returned: str, to: str) -> dict[str, Any]:
    apart = ("from", "to", "cc", "subject", "date", "return-path", "content-type")

    def full(name: str) -> list[dict[str, str]]:
        named = getaddresses([str(value) for value in message.get_all(name, [])])
        return [{"Name": said, "Email": address, "MailboxHash": ""} for said, address in named]

    rest = [{"Name": name, "Value": value} for name, value in pairs if name.lower() not in apart]
    return {
        "FromFull": (full("From") or [{"Email": ""}])[0],
        "ToFull": full("To"),
        "CcFull": full("Cc"),
        "BccFull": [],
        "OriginalRecipient": to,
        "Subject": str(make_header(decode_header(message["Subject"] or ""))),
        "Date": message["Date"] or "",
        "MessageID": "22c74902-a0c1-4511-804f-341342852c90",
        "TextBody": "x",
        "Headers": [{"Name": "Return-Path", "Value": f"<{returned}>"}, *rest],
        "Attachments": [
            {"Name": "x", "ContentType": kind, "Content": base64.b64encode(content).decode()}
            for kind, content in held
        ],
    }


# What each service says became of mail we sent: hard and soft bounce, complaint, unsubscribed, delivered, opened.
_MAILGUN = {
    "bounced": {"event": "failed", "severity": "permanent", "reason": "bounce"},
    "soft": {"event": "failed", "severity": "temporary", "reason": "generic"},
    "complained": {"event": "complained"},
    "unsubscribed": {"event": "unsubscribed"},
    "delivered": {"event": "delivered"},
    "opened": {"event": "opened"},
}
_POSTMARK: dict[str, dict[str, Any]] = {
    "bounced": {"RecordType": "Bounce", "Type": "HardBounce", "ID": 7, "BouncedAt": "2026-11-20T12:00:00Z"},
    "soft": {"RecordType": "Bounce", "Type": "SoftBounce", "ID": 8, "BouncedAt": "2026-11-20T12:00:00Z"},
    "complained": {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "ID": 9},
    "unsubscribed": {
        "RecordType": "SubscriptionChange",
        "SuppressSending": True,
        "SuppressionReason": "ManualSuppression",
    },
    "delivered": {"RecordType": "Delivery", "DeliveredAt": "2026-11-20T12:00:00Z"},
    "opened": {"RecordType": "Open", "ReceivedAt": "2026-11-20T12:00:00Z"},
}
_MAILJET: dict[str, dict[str, Any]] = {
    "bounced": {"event": "bounce", "hard_bounce": True, "error": "user unknown"},
    "soft": {"event": "bounce", "hard_bounce": False, "error": "quota exceeded"},
    "complained": {"event": "spam"},
    "unsubscribed": {"event": "unsub"},
    "delivered": {"event": "sent"},
    "opened": {"event": "open"},
}
_MAILERSEND = {
    "bounced": "hard_bounced",
    "soft": "soft_bounced",
    "complained": "spam_complaint",
    "unsubscribed": "unsubscribed",
    "delivered": "delivered",
    "opened": "opened",
}
NEWS = ("bounced", "soft", "complained", "unsubscribed", "delivered", "opened")
TRACKING = ("postmark", "mailgun", "mailjet", "mailersend")
_TOLD_AT = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())


def news(service: str, what: str, email: str, *, message_id: str = "<other@elsewhere.example>") -> Signed:
    """What became of mail to an address, as a service posts it."""
    if service == "postmark":
        body = json.dumps({"Email": email, "Recipient": email, "MessageID": "x", **_POSTMARK[what]}).encode()
        return body, basic(body)
    if service == "mailjet":
        body = json.dumps([{"email": email, "time": _TOLD_AT, "MessageID": 1, **_MAILJET[what]}]).encode()
        return body, basic(body)
    if service == "mailersend":
        to = {"recipient": {"email": email}, "message": {"id": "m-1"}}
        data = {
            "type": _MAILERSEND[what],
            "id": f"{what}-1",
            "created_at": "2026-11-20T12:00:00Z",
            "email": to,
        }
        body = json.dumps({"type": f"activity.{_MAILERSEND[what]}", "data": data}).encode()
        return body, by_mailersend(body)
    about = {
        "recipient": email,
        "timestamp": float(_TOLD_AT),
        "message": {"headers": {"message-id": message_id.strip("<>")}},
    }
    body = json.dumps(
        {"signature": token(name=f"{what}-{email}"), "event-data": about | _MAILGUN[what]}
    ).encode()
    return body, {"Content-Type": "application/json"}


def post(service: str, signed: Signed) -> Any:
    """Post it as the service would."""
    body, headers = signed
    kind = headers.get("Content-Type", "application/json")
    rest = {name: value for name, value in headers.items() if name != "Content-Type"}
    path = f"/hooks/mail/{service.partition('-')[0]}/"
    return Client(enforce_csrf_checks=True).post(path, body, content_type=kind, headers=rest)
