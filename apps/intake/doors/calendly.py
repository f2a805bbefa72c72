"""Calendly: calls booked, cancelled, missed. A reschedule is a cancellation and a booking, in any order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings

from apps.crm.fields import boolean, email, moment, text
from apps.crm.models.call import Told, What
from apps.intake.doors import signatures
from apps.intake.doors.reading import maybe, need
from apps.intake.facts import CallFact, Fact, Ignored
from apps.intake.matching import Who

verify = partial(signatures.timed, "Calendly-Webhook-Signature")
_uri = text(300)

_SAYS: dict[str, What] = {
    "invitee.created": "booked",
    "invitee.canceled": "canceled",
    "invitee_no_show.created": "no_show",
    "invitee_no_show.deleted": "came",
}
TYPES = tuple(_SAYS)


def identify(headers: Mapping[str, str], body: Mapping[str, Any]) -> tuple[str, str]:
    type = need(body, "event", text(120))
    rescheduled = ":rescheduled" if maybe(body, "payload.rescheduled", boolean) else ""
    return f"{need(body, 'payload.uri', _uri)}:{type}{rescheduled}{_which(type, body)}", type


def _which(type: str, body: Mapping[str, Any]) -> str:
    """Which no-show of several it speaks of: one may be marked, taken back and marked again for one invitee."""
    if not type.startswith("invitee_no_show."):
        return ""
    named = maybe(body, "payload.no_show.uri", _uri) or maybe(body, "created_at", text(40))
    return f":{named}" if named else ""


def read(type: str, body: Mapping[str, Any], now: datetime) -> list[Fact]:
    """The facts of one event. Raises ``Unreadable``, and ``Ignored`` for a type we have no use for."""
    if type not in _SAYS:
        raise Ignored(f"Nothing follows from “{type}”.")
    invitee = body["payload"]
    address = need(invitee, "email", email)
    told = Told(
        external_id=need(invitee, "uri", _uri),
        what=_SAYS[type],
        at=need(body, "created_at", moment),
        kind=settings.CALENDLY_EVENT_TYPES.get(maybe(invitee, "scheduled_event.event_type", _uri) or "", ""),
        starts_at=need(invitee, "scheduled_event.start_time", moment),
        ends_at=need(invitee, "scheduled_event.end_time", moment),
        contact_email=address,
    )
    return [CallFact(Who(email=address), told, bool(maybe(invitee, "rescheduled", boolean)))]
