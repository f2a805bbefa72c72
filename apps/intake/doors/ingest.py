"""Our own format, signed by Standard Webhooks, for whatever has no door of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from apps.crm.fields import Unreadable, boolean, choice, email, moment, money, read_account, text
from apps.crm.models import Call, Signal
from apps.crm.models.call import Told, What
from apps.intake.doors import signatures
from apps.intake.doors.letters import MOST_RECIPIENTS, of_a_machine
from apps.intake.doors.reading import at, currency, maybe, need
from apps.intake.facts import AccountReported, Bought, CallFact, Fact, Ignored, Referred, Refunded, Signalled
from apps.intake.mailed import Inbound, Outbound
from apps.intake.matching import Who

verify = signatures.standard
_id = text(200)
_words = text(2000, typed=True)


def identify(headers: Mapping[str, str], body: Mapping[str, Any]) -> tuple[str, str]:
    return need(headers, "webhook-id", _id), maybe(body, "type", text(120)) or ""


def read(type: str, body: Mapping[str, Any], now: datetime) -> list[Fact]:
    """The facts of one event. Raises ``Unreadable``, and ``Ignored`` for a type we have no use for."""
    if type not in _READERS:
        raise Ignored(f"Nothing follows from “{type}”.")
    data = at(body, "data")
    if not isinstance(data, Mapping):
        raise Unreadable("“data” is missing.")
    return _READERS[type](data, now)


def _who(data: Mapping[str, Any], address: str = "") -> Who:
    return Who(external_id=maybe(data, "account", _id) or "", email=address)


def _account(data: Mapping[str, Any], now: datetime) -> list[Fact]:
    row, problems = read_account(data)
    if problems:
        raise Unreadable(f"“{problems[0].field}” {problems[0].sentence}")
    return [AccountReported(row, "ingest")]


def _outbound(data: Mapping[str, Any], now: datetime) -> list[Fact]:
    to = at(data, "to")
    if not isinstance(to, list) or not 0 < len(to) <= MOST_RECIPIENTS:
        raise Unreadable("“to” is not a list of addresses.")
    starts = maybe(data, "starts", boolean)
    reply = maybe(data, "in_reply_to", text(1000))
    return [
        Outbound(
            tuple(dict.fromkeys(email(address) for address in to)),
            external_id=maybe(data, "account", _id) or "",
            sender=need(data, "from", email),
            at=need(data, "at", moment),
            starts=not reply if starts is None else starts,
        )
    ]


def _inbound(data: Mapping[str, Any], now: datetime) -> list[Fact]:
    sender = need(data, "from", email)
    automatic = str(at(data, "auto_submitted") or "no").lower() not in ("no", "false")
    if automatic or of_a_machine(sender, maybe(data, "subject", _words) or ""):
        raise Ignored("A machine wrote it, so it is no reply.")
    return [Inbound(_who(data, sender), need(data, "at", moment))]


def _booked(data: Mapping[str, Any], now: datetime) -> list[Fact]:
    address = maybe(data, "email", email) or ""
    told = Told(
        external_id=need(data, "call_id", _id),
        what="booked",
        at=None,
        kind=maybe(data, "kind", _kind) or "",
        starts_at=need(data, "starts_at", moment),
        ends_at=need(data, "ends_at", moment),
        contact_email=address,
    )
    return [CallFact(_who(data, address), told)]


def _marked(what: What, data: Mapping[str, Any], now: datetime) -> list[Fact]:
    return [CallFact(Who(), Told(need(data, "call_id", _id), what, maybe(data, "at", moment) or now))]


def _bought(data: Mapping[str, Any], now: datetime) -> list[Fact]:
    return [
        Bought(
            Who(email=need(data, "email", email)),
            order_id=need(data, "order_id", _id),
            amount=need(data, "amount", money),
            currency=maybe(data, "currency", currency) or "USD",
            at=need(data, "at", moment),
        )
    ]


def _refunded(data: Mapping[str, Any], now: datetime) -> list[Fact]:
    return [Refunded(need(data, "order_id", _id), maybe(data, "at", moment) or now)]


def _referred(data: Mapping[str, Any], now: datetime) -> list[Fact]:
    said = {name: maybe(data, name, _words) or "" for name in ("by", "reason")}
    return [Referred(_who(data), need(data, "at", moment), **said)]


def _signalled(kind: str, data: Mapping[str, Any], now: datetime) -> list[Fact]:
    said = {name: maybe(data, name, _words) or "" for name in ("by", "reason")}
    return [Signalled(_who(data), kind, need(data, "at", moment), **said)]


_kind = choice(Call.Kind, "is no kind of call: intro, second or consultation.")
_READERS: dict[str, Callable[[Mapping[str, Any], datetime], list[Fact]]] = {
    "account.upserted": _account,
    "conversation.outbound": _outbound,
    "conversation.inbound": _inbound,
    "call.booked": _booked,
    "call.canceled": partial(_marked, "canceled"),
    "call.held": partial(_marked, "held"),
    "call.no_show": partial(_marked, "no_show"),
    "purchase.paid_call": _bought,
    "purchase.refunded": _refunded,
    "sales.referred": _referred,
    "sales.disqualified": partial(_signalled, Signal.Kind.SALES_DISQUALIFIED),
    "subscription.canceled": partial(_signalled, Signal.Kind.SUBSCRIPTION_CANCELED),
}
TYPES = tuple(_READERS)
