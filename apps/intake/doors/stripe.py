"""Stripe: bills, customers, subscriptions that end. Reads both shapes of an invoice, of before and after 2025-03-31."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from apps.crm.fields import Unreadable, choice, email, text
from apps.crm.models import Bill, Signal
from apps.crm.models.bill import ReportedBill
from apps.intake.doors import signatures
from apps.intake.doors.reading import coins, count, currency, maybe, need, seconds
from apps.intake.facts import BillTold, CustomerKnown, Fact, Ignored, Signalled
from apps.intake.matching import Who

verify = partial(signatures.timed, "Stripe-Signature")
_id = text(200)


def identify(headers: Mapping[str, str], body: Mapping[str, Any]) -> tuple[str, str]:
    return need(body, "id", _id), maybe(body, "type", text(120)) or ""


def read(type: str, body: Mapping[str, Any], now: datetime) -> list[Fact]:
    """The facts of one event. Raises ``Unreadable``, and ``Ignored`` for a type we have no use for."""
    if type not in _READERS:
        raise Ignored(f"Nothing follows from “{type}”.")
    if maybe(body, "data.object", dict) is None:
        raise Unreadable("It is a thin event: it names its object and does not hold it.")
    return [_READERS[type](body, need(body, "created", seconds))]


def _who(body: Mapping[str, Any], customer: str, address: str) -> Who:
    return Who(
        customer=maybe(body, f"data.object.{customer}", _id) or "",
        email=maybe(body, f"data.object.{address}", email) or "",
    )


def _customer(body: Mapping[str, Any], created: datetime) -> Fact:
    return CustomerKnown(_who(body, "id", "email"))


def _ended(body: Mapping[str, Any], created: datetime) -> Fact:
    return Signalled(_who(body, "customer", "customer_email"), Signal.Kind.SUBSCRIPTION_CANCELED, created)


def _bill(body: Mapping[str, Any], created: datetime, *, upcoming: bool = False) -> Fact:
    found = body["data"]["object"]
    money = need(found, "currency", currency)
    begins = maybe(found, "lines.data.0.period.start", seconds) or maybe(found, "period_start", seconds)
    ends = maybe(found, "lines.data.0.period.end", seconds) or maybe(found, "period_end", seconds)
    subscription = maybe(found, "parent.subscription_details.subscription", _id) or maybe(
        found, "subscription", _id
    )
    key = f"{subscription}:{begins:%Y-%m-%d}" if subscription and begins else ""
    if upcoming and not key:
        raise Unreadable("It does not say which subscription’s which period is coming.")
    status = Bill.Status.UPCOMING if upcoming else need(found, "status", _status)
    attempts = maybe(found, "attempt_count", count) or 0
    due = maybe(found, "due_date", seconds) or maybe(found, "next_payment_attempt", seconds)
    return BillTold(
        _who(body, "customer", "customer_email"),
        ReportedBill(
            external_id=f"upcoming:{key}" if upcoming else need(found, "id", _id),
            account_id=0,
            status=status,
            amount=maybe(found, "total", coins(money)) or Decimal(0),
            reported_at=created,
            currency=money,
            period_start=begins.date() if begins else None,
            period_end=ends.date() if ends else None,
            due_on=due.date() if due else None,
            paid_at=maybe(found, "status_transitions.paid_at", seconds)
            if status == Bill.Status.PAID
            else None,
            # The attempt that brought the money in has not failed.
            attempts=max(attempts - 1, 0) if status == Bill.Status.PAID else attempts,
            period_key=key,
        ),
    )


_status = choice(Bill.Status, "is no state of a bill that we know.")
_READERS: dict[str, Callable[[Mapping[str, Any], datetime], Fact]] = {
    **dict.fromkeys(
        (
            "invoice.created",
            "invoice.finalized",
            "invoice.updated",
            "invoice.paid",
            "invoice.payment_failed",
            "invoice.voided",
            "invoice.marked_uncollectible",
        ),
        _bill,
    ),
    "invoice.upcoming": partial(_bill, upcoming=True),
    "customer.subscription.deleted": _ended,
    "customer.updated": _customer,
}
TYPES = tuple(_READERS)
