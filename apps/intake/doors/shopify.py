"""Shopify: consultations bought in the merch store, and given back. Everything else that is sold there is not ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings

from apps.crm.fields import Unreadable, email, moment, money, text
from apps.intake.doors import signatures
from apps.intake.doors.reading import at, currency, maybe, need
from apps.intake.facts import Bought, Fact, Ignored, Refunded
from apps.intake.matching import Who

verify = signatures.shopify


def identify(headers: Mapping[str, str], body: Mapping[str, Any]) -> tuple[str, str]:
    # The id and the topic stand beside the signed body, not in it; what follows hangs on the order's own id.
    return need(headers, "X-Shopify-Webhook-Id", text(200)), headers.get("X-Shopify-Topic", "")[:120]


def read(type: str, body: Mapping[str, Any], now: datetime) -> list[Fact]:
    """The facts of one event. Raises ``Unreadable``, and ``Ignored`` for what is no consultation."""
    if type not in _READERS:
        raise Ignored(f"Nothing follows from “{type}”.")
    return [_READERS[type](body)]


def _order_id(value: Any) -> str:
    if type(value) is not int or not 0 < value < 10**18:
        raise Unreadable("is no order’s id.")
    return f"shopify:{value}"


def _consultation(lines: Any) -> None:
    """Refuse an order that holds no consultation."""
    lines = lines if isinstance(lines, list) else []
    if not any(str(at(line, "sku")) in settings.SHOPIFY_CONSULTATION_SKUS for line in lines):
        raise Ignored("The order holds no consultation.")


def _paid(order: Mapping[str, Any]) -> Fact:
    _consultation(at(order, "line_items"))
    return Bought(
        Who(email=maybe(order, "email", email) or ""),
        order_id=need(order, "id", _order_id),
        amount=need(order, "total_price", money),
        currency=need(order, "currency", currency),
        at=maybe(order, "processed_at", moment) or need(order, "created_at", moment),
    )


def _canceled(order: Mapping[str, Any]) -> Fact:
    _consultation(at(order, "line_items"))
    return Refunded(need(order, "id", _order_id), need(order, "cancelled_at", moment))


def _refunded(refund: Mapping[str, Any]) -> Fact:
    lines = at(refund, "refund_line_items")
    _consultation([at(line, "line_item") for line in lines] if isinstance(lines, list) else [])
    return Refunded(need(refund, "order_id", _order_id), need(refund, "created_at", moment))


_READERS: dict[str, Callable[[Mapping[str, Any]], Fact]] = {
    "orders/paid": _paid,
    "orders/cancelled": _canceled,
    "refunds/create": _refunded,
}
TYPES = tuple(_READERS)
