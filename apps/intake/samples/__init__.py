"""Sample events, as each system would send them: one for every type of every door, signed by the door's own recipe.

Samples about one account belong together: the invoice that fails is the one that is paid, the call that is missed
the one that was booked, the order given back the one that was bought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings

from apps.intake.samples.about import About, Unsendable
from apps.intake.samples.mail import MAIL
from apps.intake.samples.signing import SIGNED, Signed

__all__ = ["CONSULTATION", "INTRO_CALL", "SAMPLES", "About", "Signed", "Unsendable", "sample"]

# What `make run` tells the doors of Calendly and Shopify, so that these are understood.
INTRO_CALL = "https://api.calendly.com/event_types/onramp-sample-intro"
CONSULTATION = "ONRAMP-SAMPLE-CONSULTATION"
PRICE = "500.00"

Body = dict[str, Any]


def sample(door: str, type: str, about: About, secret: str) -> Signed:
    """The event of a type, about somebody, signed. Both names are of ``SAMPLES``."""
    return SIGNED[door](type, SAMPLES[door][type](about), about.now, secret)


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
SAMPLES: Mapping[str, Mapping[str, Callable[[About], Any]]] = {
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
    **MAIL,
}
