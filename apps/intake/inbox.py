"""What came in as it is asked for: the filter of the events page, and a body made fit to be looked at."""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import Any

import django_filters
from django.db import models
from django.db.models import F, Q

from apps.crm.alerts import IdFilter, OfOneAccount
from apps.crm.fields import Unreadable
from apps.crm.filters import QueryFilter
from apps.crm.keyset import Column
from apps.crm.models import Account
from apps.intake.doors import DOORS
from apps.intake.doors.reading import read_body
from apps.intake.events import EventQuerySet, door_name
from apps.intake.models import Event
from apps.outbox.inert import inert

STATES: dict[str, tuple[str, tuple[Event.State, ...]]] = {
    "waiting": ("Waiting", (Event.State.WAITING,)),
    "unmatched": ("Unmatched", (Event.State.UNMATCHED,)),
    "ambiguous": ("Ambiguous", (Event.State.AMBIGUOUS,)),
    "failed": ("Failed", (Event.State.FAILED, Event.State.GIVEN_UP)),
    "done": ("Done", (Event.State.DONE,)),
    "ignored": ("Ignored", (Event.State.IGNORED,)),
}

# More accounts than this share a name with nobody in particular.
ACCOUNTS_FOUND = 200

# What acts for whoever holds it, and what nobody here needs: its value is not shown.
_HELD_BACK = re.compile(
    r"secret|token|password|passcode|authorization|signature|api_?key|iban|account_number|fingerprint|last4"
    r"|(invoice|cancel|reschedule|status|checkout|join|conference|receipt)_(url|pdf)",
    re.IGNORECASE,
)
HIDDEN = "(not shown)"


class EventFilter(OfOneAccount, QueryFilter):
    """The events a query string asks for, the newest first."""

    everything = Event.objects
    sorts = {"received": Column(F("pk"), models.BigAutoField())}
    default_sort = "-received"

    q = django_filters.CharFilter(method="searched", label="Search", max_length=600)
    door = django_filters.ChoiceFilter(
        field_name="provider", label="Door", choices=[(name, door_name(name)) for name in DOORS]
    )
    state = django_filters.ChoiceFilter(
        label="State", choices=[(key, words) for key, (words, _) in STATES.items()], method="in_state"
    )
    account = IdFilter(label="Account", min_value=1, max_value=2**63 - 1)

    @property
    def state_asked(self) -> str:
        return self.form.cleaned_data.get("state") or ""

    @cached_property
    def _found(self) -> Q:
        """What the search means: an event's own id, what its account is looked for by, or the account."""
        text = self.form.cleaned_data.get("q", "").strip()
        subjects = [
            f"{kind}:{value}"
            for kind in ("email", "customer", "account", "call", "order")
            for value in {text, text.lower()}
        ]
        accounts = Account.objects.matching(text).values_list("pk", flat=True)[:ACCOUNTS_FOUND]
        found = (
            Q(provider__in=DOORS, external_id=text)
            | Q(state__in=Event.OF_NOBODY, subject__in=subjects)
            | Q(account__in=list(accounts))
        )
        number = text.removeprefix("event:")
        return (
            found | Q(pk=int(number)) if number.isascii() and number.isdigit() and len(number) < 19 else found
        )

    def searched(self, events: EventQuerySet, name: str, text: str) -> EventQuerySet:
        return events.filter(self._found)

    def in_state(self, events: EventQuerySet, name: str, state: str) -> EventQuerySet:
        return events.filter(state__in=STATES[state][1])

    def filter_queryset(self, queryset: EventQuerySet) -> EventQuerySet:
        return self._narrow(queryset, self.form.cleaned_data)

    def like(self, **changes: str) -> EventQuerySet:
        """The events this would show with some of its filters changed; an empty value takes one out."""
        return self._narrow(Event.objects.all(), {**self.form.cleaned_data, **changes})

    def _narrow(self, events: EventQuerySet, given: dict[str, Any]) -> EventQuerySet:
        for name in ("q", "door", "state", "account"):
            events = self.filters[name].filter(events, given.get(name) or "")
        return events


def shown_body(event: Event) -> str:
    """What was sent, set out in lines, without marks that act and without what acts for whoever holds it."""
    raw = bytes(event.body)
    try:
        text = json.dumps(_held_back(read_body(raw)), indent=2, ensure_ascii=False)
    except (Unreadable, RecursionError):
        text = raw.decode("utf-8", errors="replace")
    return inert(text)


def _held_back(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if found and _HELD_BACK.search(name) else _held_back(found)
            for name, found in value.items()
        }
    return [_held_back(one) for one in value] if isinstance(value, list) else value
