"""Sample events, as each system would send them: one for every type of every door, signed by the door's own recipe.

Samples about one account belong together: the invoice that fails is the one that is paid, the call that is missed
the one that was booked, the order given back the one that was bought.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4
from zlib import crc32

from django.conf import settings

from apps.crm.models import Account, User
from apps.intake.doors.signatures import standard_key

# What `make run` tells the doors of Calendly and Shopify, so that these are understood.
INTRO_CALL = "https://api.calendly.com/event_types/onramp-sample-intro"
CONSULTATION = "ONRAMP-SAMPLE-CONSULTATION"
PRICE = "500.00"

Body = dict[str, Any]


class Unsendable(Exception):
    """No sample can be made, for the reason in its words."""


@dataclass(frozen=True)
class About:
    """Whom a sample speaks of, by what each system knows them by."""

    key: str
    name: str
    email: str
    customer: str
    sender: str
    now: datetime

    @classmethod
    def account(cls, account: Account, *, now: datetime) -> About:
        """An account of ours, by a contact's address, or by one in its domain."""
        contact = account.contacts.order_by("pk").first()
        if contact is None and not account.domain:
            raise Unsendable(f"{account.name} has neither a contact nor a domain to be found by.")
        return cls(
            key=account.external_id,
            name=account.name,
            email=contact.email if contact else f"ann@{account.domain}",
            customer=account.stripe_customer_id or f"cus_sample_{account.pk}",
            sender=_specialist(),
            now=now,
        )

    @classmethod
    def stranger(cls, *, now: datetime) -> About:
        """Somebody whom nobody knows: what is said of them waits on the events page."""
        return cls(
            "sample-stranger",
            "Sample Stranger",
            "ann@stranger.demo.example",
            "cus_sample_stranger",
            _specialist(),
            now,
        )

    @property
    def number(self) -> int:
        """A number of its own, for systems that count."""
        return 4_000_000_000 + crc32(self.key.encode())

    @property
    def call(self) -> str:
        return f"sample-call-{self.key}"

    @property
    def order(self) -> str:
        return f"sample-order-{self.key}"

    def at(self, **ago: float) -> str:
        return (self.now + timedelta(**ago)).isoformat()


class Signed(NamedTuple):
    """A request as its sender would make it."""

    body: bytes
    headers: dict[str, str]


def sample(door: str, type: str, about: About, secret: str) -> Signed:
    """The event of a type, about somebody, signed. Both names are of ``SAMPLES``."""
    body = json.dumps(SAMPLES[door][type](about)).encode()
    return Signed(body, {"Content-Type": "application/json", **_SIGNED[door](type, body, about.now, secret)})


def _specialist() -> str:
    """Whose mail counts as an outreach."""
    found = User.objects.sender_group().exclude(email="").order_by("pk").first()
    return found.email if found else "specialist@onramp.example"


# How each sender signs


def _mac(secret: bytes, signed: bytes) -> hmac.HMAC:
    return hmac.new(secret, signed, hashlib.sha256)


def _timed(header: str) -> Callable[[str, bytes, datetime, str], dict[str, str]]:
    def sign(type: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
        seconds = str(int(now.timestamp()))
        right = _mac(secret.encode(), seconds.encode() + b"." + body).hexdigest()
        return {header: f"t={seconds},v1={right}"}

    return sign


def _shopify_signed(type: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
    return {
        "X-Shopify-Hmac-SHA256": base64.b64encode(_mac(secret.encode(), body).digest()).decode(),
        "X-Shopify-Webhook-Id": str(uuid4()),
        "X-Shopify-Topic": type,
    }


def _standard_signed(type: str, body: bytes, now: datetime, secret: str) -> dict[str, str]:
    name, seconds = f"msg_{uuid4().hex}", str(int(now.timestamp()))
    right = _mac(standard_key(secret), f"{name}.{seconds}.".encode() + body).digest()
    return {
        "webhook-id": name,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(right).decode()}",
    }


_SIGNED: Mapping[str, Callable[[str, bytes, datetime, str], dict[str, str]]] = {
    "stripe": _timed("Stripe-Signature"),
    "calendly": _timed("Calendly-Webhook-Signature"),
    "shopify": _shopify_signed,
    "ingest": _standard_signed,
}


# What each sender says


def _stripe(type: str, found: Callable[[About], Body]) -> Callable[[About], Body]:
    return lambda about: {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": type,
        "created": int(about.now.timestamp()),
        "data": {"object": found(about)},
    }


def _invoice(status: str, **more: Any) -> Callable[[About], Body]:
    def found(about: About) -> Body:
        begins = int(about.now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
        period = {"start": begins, "end": begins + 30 * 86_400}
        return {
            "id": f"in_sample_{about.number}",
            "object": "invoice",
            "customer": about.customer,
            "customer_email": about.email,
            "currency": "usd",
            "total": 129_900,
            "status": status,
            "attempt_count": 0,
            "due_date": period["start"] + 86_400,
            "lines": {"data": [{"period": period}]},
            "parent": {"subscription_details": {"subscription": f"sub_sample_{about.number}"}},
            **more,
        }

    return found


def _calendly(type: str) -> Callable[[About], Body]:
    def found(about: About) -> Body:
        begins = about.now.replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
        uri = f"https://api.calendly.com/scheduled_events/onramp/invitees/{about.call}"
        return {
            "event": type,
            "created_at": about.at(),
            "payload": {
                "uri": uri,
                "email": about.email,
                "name": about.name,
                "rescheduled": False,
                "no_show": {"uri": f"{uri}/no_show"} if type.startswith("invitee_no_show.") else None,
                "scheduled_event": {
                    "event_type": INTRO_CALL,
                    "start_time": begins.isoformat(),
                    "end_time": (begins + timedelta(minutes=30)).isoformat(),
                },
            },
        }

    return found


def _lines() -> list[Body]:
    return [{"sku": _consultation(), "title": "Consultation", "quantity": 1, "price": PRICE}]


def _consultation() -> str:
    return next(iter(settings.SHOPIFY_CONSULTATION_SKUS), CONSULTATION)


def _paid(about: About) -> Body:
    return {
        "id": about.number,
        "email": about.email,
        "created_at": about.at(minutes=-1),
        "processed_at": about.at(minutes=-1),
        "total_price": PRICE,
        "currency": "USD",
        "line_items": _lines(),
    }


def _refund(about: About) -> Body:
    lines = [{"line_item": line, "quantity": 1} for line in _lines()]
    return {
        "id": about.number + 1,
        "order_id": about.number,
        "created_at": about.at(),
        "refund_line_items": lines,
    }


def _ingest(type: str, data: Callable[[About], Body]) -> Callable[[About], Body]:
    return lambda about: {"type": type, "data": data(about)}


_STRIPE = {
    "invoice.created": _invoice("draft"),
    "invoice.finalized": _invoice("open"),
    "invoice.updated": _invoice("open"),
    "invoice.paid": _invoice("paid", attempt_count=1),
    "invoice.payment_failed": _invoice("open", attempt_count=1),
    "invoice.voided": _invoice("void"),
    "invoice.marked_uncollectible": _invoice("uncollectible", attempt_count=4),
    "invoice.upcoming": _invoice("draft", id=None),
    "customer.subscription.deleted": lambda about: {
        "id": f"sub_sample_{about.number}",
        "customer": about.customer,
        "customer_email": about.email,
        "status": "canceled",
    },
    "customer.updated": lambda about: {"id": about.customer, "email": about.email, "name": about.name},
}
_INGEST: Mapping[str, Callable[[About], Body]] = {
    "account.upserted": lambda about: {
        "external_id": about.key,
        "name": about.name,
        "users_count": 12,
        "contacts": [{"email": about.email, "name": "Ann Sample", "role": "Owner"}],
    },
    "conversation.outbound": lambda about: {
        "from": about.sender,
        "to": [about.email],
        "at": about.at(minutes=-5),
        "subject": "Welcome aboard",
    },
    "conversation.inbound": lambda about: {
        "from": about.email,
        "to": [about.sender],
        "at": about.at(),
        "subject": "Re: Welcome aboard",
    },
    "call.booked": lambda about: {
        "email": about.email,
        "call_id": about.call,
        "starts_at": about.at(minutes=-40),
        "ends_at": about.at(minutes=-10),
        "kind": "intro",
    },
    "call.canceled": lambda about: {"call_id": about.call, "at": about.at()},
    "call.held": lambda about: {"call_id": about.call, "at": about.at()},
    "call.no_show": lambda about: {"call_id": about.call, "at": about.at()},
    "purchase.paid_call": lambda about: {
        "email": about.email,
        "order_id": about.order,
        "at": about.at(minutes=-1),
        "amount": PRICE,
        "currency": "USD",
    },
    "purchase.refunded": lambda about: {"order_id": about.order, "at": about.at()},
    "sales.referred": lambda about: {"account": about.key, "at": about.at(), "by": "Kim of Sales"},
    "sales.disqualified": lambda about: {
        "account": about.key,
        "at": about.at(),
        "by": "Kim of Sales",
        "reason": "Too small for a contract.",
    },
    "subscription.canceled": lambda about: {"account": about.key, "at": about.at()},
}
SAMPLES: Mapping[str, Mapping[str, Callable[[About], Body]]] = {
    "stripe": {type: _stripe(type, found) for type, found in _STRIPE.items()},
    "calendly": {
        type: _calendly(type)
        for type in (
            "invitee.created",
            "invitee.canceled",
            "invitee_no_show.created",
            "invitee_no_show.deleted",
        )
    },
    "shopify": {
        "orders/paid": _paid,
        "orders/cancelled": lambda about: {**_paid(about), "cancelled_at": about.at()},
        "refunds/create": _refund,
    },
    "ingest": {type: _ingest(type, data) for type, data in _INGEST.items()},
}
