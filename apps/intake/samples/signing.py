"""How each sender signs what it posts: the body as it is sent, and the headers beside it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import uuid4

from apps.intake.doors.signatures import standard_key

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Signed(NamedTuple):
    """A request as its sender would make it."""

    body: bytes
    headers: dict[str, str]


# Of a type, what is said, when, and by which secret.
Signer = Callable[[str, dict[str, Any] | list[Any], datetime, str], Signed]


def _mac(secret: bytes, signed: bytes) -> hmac.HMAC:
    return hmac.new(secret, signed, hashlib.sha256)


def _by_headers(sign: Callable[[str, bytes, datetime, str], dict[str, str]]) -> Signer:
    """JSON, with what signs it in headers."""

    def signed(type: str, said: Any, now: datetime, secret: str) -> Signed:
        body = json.dumps(said).encode()
        return Signed(body, {"Content-Type": JSON, **sign(type, body, now, secret)})

    return signed


def _timed(header: str) -> Signer:
    def sign(type: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
        seconds = str(int(now.timestamp()))
        right = _mac(secret.encode(), seconds.encode() + b"." + body).hexdigest()
        return {header: f"t={seconds},v1={right}"}

    return _by_headers(sign)


@_by_headers
def _shopify(type: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
    return {
        "X-Shopify-Hmac-SHA256": base64.b64encode(_mac(secret.encode(), body).digest()).decode(),
        "X-Shopify-Webhook-Id": str(uuid4()),
        "X-Shopify-Topic": type,
    }


@_by_headers
def _standard(type: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
    name, seconds = f"msg_{uuid4().hex}", str(int(now.timestamp()))
    right = _mac(standard_key(secret), f"{name}.{seconds}.".encode() + body).digest()
    return {
        "webhook-id": name,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(right).decode()}",
    }


@_by_headers
def _basic(type: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}


@_by_headers
def _mailersend(type: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
    return {"Signature": _mac(secret.encode(), body).hexdigest()}


def _mailgun(type: str, said: Any, now: datetime, secret: str) -> Signed:
    """A letter is a form, news of mail is JSON; a time and a token within either are what is signed."""
    seconds, token = str(int(now.timestamp())), uuid4().hex
    right = _mac(secret.encode(), f"{seconds}{token}".encode()).hexdigest()
    signature = {"timestamp": seconds, "token": token, "signature": right}
    if "event-data" in said:
        return Signed(json.dumps({"signature": signature, **said}).encode(), {"Content-Type": JSON})
    return Signed(urlencode({**said, **signature}).encode(), {"Content-Type": FORM})


SIGNED: Mapping[str, Signer] = {
    "stripe": _timed("Stripe-Signature"),
    "calendly": _timed("Calendly-Webhook-Signature"),
    "shopify": _shopify,
    "ingest": _standard,
    "mail/postmark": _basic,
    "mail/mailgun": _mailgun,
    "mail/mailjet": _basic,
    "mail/mailersend": _mailersend,
}
