"""The events page: what other systems told us, and what became of it. Its changes are in ``eventing``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.keyset import page
from apps.crm.models import Policy
from apps.crm.policy import Numbers
from apps.intake.events import KEPT_FOR, TRIES
from apps.intake.inbox import STATES, EventFilter, shown_body
from apps.intake.models import Event
from apps.outbox.inert import one_line
from apps.web.links import Choice, Link, counted, query
from apps.web.rights import SignedIn
from apps.web.tables import Word
from apps.web.views.daily import NOTICES_SHOWN

MEANINGS = {
    Event.State.WAITING: "info",
    Event.State.DONE: "good",
    Event.State.UNMATCHED: "wait",
    Event.State.AMBIGUOUS: "wait",
    Event.State.FAILED: "bad",
    Event.State.GIVEN_UP: "bad",
}
# The states in which all that a page shows can be tried again at once.
RETRIED_AT_ONCE = ("unmatched", "ambiguous", "failed")
# A page asks every few seconds of the events it shows, but of no more than so many.
MOST_WATCHED = 200
# What the page asks beside the filter.
OWN = ("body", "newest", "shown", "told")
JUST_CAME = timedelta(seconds=30)
LATE = "It should have been applied by now: the worker stands still, or does not keep up."


@dataclass(frozen=True, slots=True)
class Row:
    """One event, ready to be shown. ``stamp`` is another when anything of it has changed."""

    pk: int
    door: str
    type: str
    external_id: str
    state: Word
    sentence: str
    so_far: str
    received: str
    account: int | None
    name: str
    actions: tuple[str, ...]
    size: int
    stamp: str


@require_safe
def events(request: SignedIn) -> HttpResponse:
    """The events a query string asks for, one page of them, with the counts by state."""
    asked = _asked(request, Policy.at(timezone.now()))
    found = page(_shown(asked.qs), asked.order, cursor=request.GET.get("cursor", ""))
    context = {
        **_context(request, asked),
        "rows": [_row(event, request, asked.numbers) for event in found.rows],
        "next": query(asked, cursor=found.next) if found.next else "",
        "notices": [*asked.notices[:NOTICES_SHOWN], *filter(None, [found.notice])],
        "newest": max((event.pk for event in found.rows), default=0),
    }
    return render(request, "web/events.html", context)


@require_safe
def event(request: SignedIn, pk: int) -> HttpResponse:
    """One event; with ``?body=1`` what was sent, too, for those who work with events."""
    return render(request, "web/event.html", _one(request, pk, timezone.now()))


@require_safe
def changed(request: SignedIn) -> HttpResponse:
    """The rows of ``?shown=12.a4,13.b1`` that are not as they were, the counts, and how many are newer. 204 if none."""
    shown = dict(one.split(".", 1) for one in request.GET.get("shown", "")[:8000].split(",") if "." in one)
    ids = [int(pk) for pk in shown if pk.isascii() and pk.isdigit() and len(pk) < 19][:MOST_WATCHED]
    newest = request.GET.get("newest", "")
    asked = _asked(request, Policy.at(timezone.now()))
    rows = [_row(one, request, asked.numbers) for one in _shown(Event.objects.filter(pk__in=ids))]
    other = [row for row in rows if row.stamp != shown[str(row.pk)]]
    newer = 0
    if newest.isascii() and newest.isdigit() and len(newest) < 19:
        newer = asked.qs.filter(pk__gt=int(newest))[:100].count()
    if not other and str(newer) == request.GET.get("told", ""):
        return HttpResponse(status=204)
    drawn = {**_context(request, asked), "rows": other, "newer": newer}
    return HttpResponse(render_to_string("web/_event_parts.html", drawn, request))


def row_parts(request: SignedIn, pk: int, *, now: datetime) -> str:
    """One event's row as it is now, wherever it belongs, and the counts."""
    asked = _asked(request, Policy.at(now))
    rows = [_row(one, request, asked.numbers) for one in _shown(Event.objects.filter(pk=pk))]
    return render_to_string(
        "web/_event_parts.html", {**_context(request, asked), "rows": rows, "newer": None}, request
    )


def list_parts(request: SignedIn, *, now: datetime) -> str:
    """The first page of rows, and the counts."""
    asked = _asked(request, Policy.at(now))
    found = page(_shown(asked.qs), asked.order)
    drawn = {
        **_context(request, asked),
        "rows": [_row(one, request, asked.numbers) for one in found.rows],
        "next": query(asked, cursor=found.next) if found.next else "",
    }
    return render_to_string("web/_event_list.html", drawn, request)


def one_parts(request: SignedIn, pk: int, *, now: datetime) -> str:
    """An event's own page below its title, drawn anew."""
    return render_to_string("web/_event_one.html", _one(request, pk, now), request)


def of_query(request: SignedIn, now: datetime, most: int) -> tuple[list[int], bool]:
    """The ids of the events the query string asks for that wait for a person, so many, and whether there are more."""
    asked = _asked(request, Policy.at(now))
    ids = list(asked.qs.in_the_way().order_by("pk").values_list("pk", flat=True)[: most + 1])
    return ids[:most], len(ids) > most


def _asked(request: SignedIn, numbers: Numbers) -> EventFilter:
    given = request.GET.copy()
    for name in OWN:
        given.pop(name, None)
    return EventFilter(given, numbers=numbers, user=request.user, also=("cursor",))


def _shown(found: Any) -> Any:
    return found.light().select_related("account", "by")


def _context(request: SignedIn, asked: EventFilter) -> dict[str, Any]:
    """What the page and its parts share."""
    state = asked.state_asked
    choices = [
        Choice("", "All", {"state": ""}, not state),
        *(Choice(key, words, {"state": key}, key == state) for key, (words, _) in STATES.items()),
    ]
    links: dict[str, Link] = counted(asked, choices, asked.like)
    return {
        "asked": asked,
        "query": query(asked),
        "states": list(links.values()),
        "at_once": links[state].shown if state in RETRIED_AT_ONCE and links[state].shown != "0" else "",
        "may": request.user.may("event"),
    }


def _one(request: SignedIn, pk: int, now: datetime) -> dict[str, Any]:
    shown = get_object_or_404(Event.objects.sized().select_related("account", "by"), pk=pk)
    may = request.user.may("event")
    wanted = may and request.GET.get("body") == "1"
    return {
        "row": _row(shown, request, Policy.at(now)),
        "event": shown,
        "may": may,
        "query": "",
        "body": shown_body(shown) if wanted and shown.size else "",
        "gone": not shown.size and shown.received_at < now - KEPT_FOR,
        "unsettled": shown.due_at is not None and shown.due_at <= now + JUST_CAME,
    }


def _row(event: Event, request: SignedIn, numbers: Numbers) -> Row:
    account = event.account
    return Row(
        pk=event.pk,
        door=event.door,
        type=one_line(event.type) or "Unknown type",
        external_id=one_line(event.external_id),
        state=Word(event.get_state_display(), MEANINGS.get(Event.State(event.state), "")),
        sentence=one_line(event.sentence),
        so_far=_so_far(event, request, numbers),
        received=request.user.moment(event.received_at, numbers.now),
        account=event.account_id,
        name=account.name if account else "",
        actions=tuple(_actions(event)) if request.user.may("event") else (),
        size=event.size,
        stamp=f"{event.state[:2]}{event.tries}{event.account_id or ''}{event.by_id or ''}",
    )


def _actions(event: Event) -> list[str]:
    """What a person can do about an event, the likeliest first."""
    offered = {
        "link": event.can_be_linked and event.size,
        "retry": event.state in (*Event.FOR_A_PERSON, Event.State.IGNORED) and event.size,
        "ignore": event.state in Event.FOR_A_PERSON,
    }
    return [name for name, holds in offered.items() if holds]


def _so_far(event: Event, request: SignedIn, numbers: Numbers) -> str:
    """What happens next, or who stepped in, in a line."""
    if event.due_at and event.tries:
        when = request.user.moment(event.due_at, numbers.now)
        return f"Try {event.tries + 1} of {TRIES} from {when}."
    if event.state == Event.State.WAITING:
        soon = LATE if event.is_late(numbers.now) else "It is applied within seconds."
        return f"{event.by} had it tried again." if event.by else soon
    if event.state == Event.State.GIVEN_UP:
        return f"Tried {event.tries} times."
    if event.by:
        return f"{'Ignored by' if event.state == Event.State.IGNORED else 'Tried again for'} {event.by}."
    return ""
