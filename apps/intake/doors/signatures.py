"""The recipes by which others sign what they send. Each answers only whether a body is rightly signed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

LONGEST_HEADER = 4096
PAST, AHEAD = 300, 60
_SECONDS = re.compile(r"[0-9]{1,12}")


def _header(headers: Mapping[str, str], name: str) -> str:
    """A header as it is read: empty where it is missing, too long or not plain."""
    value = headers.get(name) or ""
    return value if len(value) <= LONGEST_HEADER and value.isascii() and value.isprintable() else ""


def _fresh(seconds: str, now: datetime) -> bool:
    return bool(_SECONDS.fullmatch(seconds)) and -PAST <= int(seconds) - now.timestamp() <= AHEAD


def _hmac(secret: bytes, *parts: bytes) -> bytes:
    return hmac.digest(secret, b"".join(parts), hashlib.sha256)


def _any_equal(given: Sequence[str], right: Sequence[str]) -> bool:
    """Whether one of those is one of these; every pair is compared, in constant time."""
    found = [hmac.compare_digest(one, other) for one in given for other in right]
    return any(found)


def timed(
    header: str, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> bool:
    """Stripe's and Calendly's: ``t=SECONDS,v1=HEX``, over the time, a dot and the body."""
    pairs = [part.strip().partition("=") for part in _header(headers, header).split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    given = [value for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not _fresh(times[0], now):
        return False
    right = [_hmac(secret.encode(), times[0].encode(), b".", body).hex() for secret in secrets]
    return _any_equal(given, right)


def shopify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    """Shopify's: Base64 over the body alone; it says no time."""
    given = _header(headers, "X-Shopify-Hmac-SHA256")
    return _any_equal(
        [given], [base64.b64encode(_hmac(secret.encode(), body)).decode() for secret in secrets]
    )


def standard(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    """Standard Webhooks, version 1: Base64 over id, time and body; the secret is Base64 behind ``whsec_``."""
    name, seconds = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
    if not name or not _fresh(seconds, now):
        return False
    signed = f"{name}.{seconds}.".encode()
    right = [base64.b64encode(_hmac(key, signed, body)).decode() for key in map(standard_key, secrets) if key]
    given = [part[3:] for part in _header(headers, "webhook-signature").split(" ") if part.startswith("v1,")]
    return _any_equal(given, right)


def standard_key(secret: str) -> bytes:
    """The bytes of a Standard Webhooks secret; none where it is not Base64."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def plain(
    header: str, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
) -> bool:
    """MailerSend's: hex over the body alone; it says no time."""
    return _any_equal([_header(headers, header)], [_hmac(secret.encode(), body).hex() for secret in secrets])


def token(seconds: str, name: str, given: str, secrets: Sequence[str], now: datetime) -> bool:
    """Mailgun's: hex over a time and a token. It does not reach the body, so its time alone limits its use."""
    if not (_fresh(seconds, now) and name.isascii() and given.isascii()):
        return False
    return _any_equal(
        [given], [_hmac(secret.encode(), seconds.encode(), name.encode()).hex() for secret in secrets]
    )


def basic(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    """HTTP's own ``user:password``, of services that sign nothing."""
    scheme, _, given = _header(headers, "Authorization").partition(" ")
    right = [base64.b64encode(secret.encode()).decode() for secret in secrets]
    return scheme.lower() == "basic" and _any_equal([given.strip()], right)
