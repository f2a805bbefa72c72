"""The hygiene page: where a record contradicts itself, and the one click that mends it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.hygiene import CONTRADICTIONS, HygieneFilter, Mend
from apps.crm.keyset import count_text, counts, page
from apps.crm.models import Account, Note, Policy, StageTransition
from apps.crm.policy import Numbers
from apps.web.rights import SignedIn
from apps.web.views.changes import anew

NOTICES_SHOWN, FEW, MANY = 3, 8, 50


class Door(NamedTuple):
    """Where a mend is sent, and the right it asks for. ``takes``: what stands there, not the account."""

    right: str
    address: str
    takes: str = ""


DOORS = {
    "move": Door("move", "web:move"),
    "mark": Door("call", "web:call_mark", "call"),
    "finish": Door("task", "web:task_finish", "task"),
    "task": Door("task", "web:task"),
    "renewal": Door("edit", "web:renewal"),
    "contract": Door("edit", "web:contract"),
    "note": Door("note", ""),
}


class Button(NamedTuple):
    """A mend as the page offers it; without an address it opens the small form of that name."""

    words: str
    address: str
    values: dict[str, Any]
    form: str = ""


class Row(NamedTuple):
    """An account in one contradiction, what is wrong, and what mends it."""

    account: Account
    says: str
    owner: str
    buttons: list[Button]


class Section(NamedTuple):
    """One contradiction with the accounts in it; ``more`` is the query string of those that are not shown."""

    key: str
    label: str
    total: str
    rows: list[Row]
    more: str


class Link(NamedTuple):
    """A kind as a filter: its words, how many accounts, the query string, and whether it is on."""

    words: str
    total: str
    query: str
    on: bool


@require_safe
def hygiene(request: HttpRequest) -> HttpResponse:
    """The contradictions that stand now, a few of each kind, or one kind page by page."""
    context = _context(cast(SignedIn, request), Policy.at(timezone.now()))
    # For the note's form, which stands in the page to serve any account.
    any_account = {"account": Account(pk=0), "origin": "hygiene", "kinds": Note.Kind.choices}
    return render(request, "web/hygiene.html", {**context, **any_account})


def hygiene_parts(
    request: SignedIn, account: Account, *, now: datetime, moved: StageTransition | None
) -> str:
    """The page's contradictions drawn anew: one mend can end several."""
    return _parts(request, now)


def _parts(request: SignedIn, now: datetime) -> str:
    return render_to_string("web/_hygiene_parts.html", _context(request, Policy.at(now)), request)


changed = anew(_parts)


def _context(request: SignedIn, numbers: Numbers) -> dict[str, Any]:
    asked = HygieneFilter(request.GET, numbers=numbers, user=request.user, also=("cursor",))
    found = counts({kind: asked.of(kind) for kind in CONTRADICTIONS})
    kinds = [asked.kind_asked] if asked.kind_asked else [kind for kind in CONTRADICTIONS if found[kind]]
    notices = list(asked.notices)
    sections = []
    for kind in kinds:
        rows = asked.of(kind)
        part = page(
            rows,
            asked.order,
            cursor=request.GET.get("cursor", "") if asked.kind_asked else "",
            size=MANY if asked.kind_asked else FEW,
        )
        notices += filter(None, [part.notice])
        more = _query(asked, kind=kind, cursor=part.next if asked.kind_asked else "") if part.next else ""
        label, shown = CONTRADICTIONS[kind].label, [_row(request, one, kind, asked) for one in part.rows]
        sections.append(Section(kind, label, count_text(found[kind]), shown, more))
    return {
        "asked": asked,
        "notices": notices[:NOTICES_SHOWN],
        "sections": sections,
        "links": _links(asked, found),
        "clean": not any(found.values()),
        "query": request.GET.urlencode(),
        "today": numbers.today,
        "my_today": request.user.today(numbers.now),
    }


def _row(request: SignedIn, account: Account, kind: str, asked: HygieneFilter) -> Row:
    what, numbers = CONTRADICTIONS[kind], asked.numbers
    mends = [mend for mend in what.mends(account, numbers) if request.user.may(DOORS[mend.door].right)]
    owner = asked.people.get(account.owner_id or 0, account.owner_reported)
    return Row(account, what.says(account, numbers), owner, [_button(account, mend) for mend in mends])


def _button(account: Account, mend: Mend) -> Button:
    door, values = DOORS[mend.door], dict(mend.values)
    if not door.address:
        return Button(mend.words, "", {}, form=mend.door)
    # A call and a task have addresses of their own; everything else hangs on the account's.
    place = values.pop(door.takes) if door.takes else account.pk
    return Button(mend.words, reverse(door.address, args=[place]), values)


def _links(asked: HygieneFilter, found: dict[str, int]) -> list[Link]:
    total = sum(found.values())
    kinds = [
        ("", "All", total),
        *((kind, CONTRADICTIONS[kind].label, found[kind]) for kind in CONTRADICTIONS),
    ]
    return [
        Link(words, count_text(number), _query(asked, kind=kind), kind == asked.kind_asked)
        for kind, words, number in kinds
        if number or kind in ("", asked.kind_asked)
    ]


def _query(asked: HygieneFilter, **changes: str) -> str:
    """The query string of this page with some parameters changed; an empty value takes one out."""
    query = asked.data.copy()
    for name, value in {"cursor": "", **changes}.items():
        query.pop(name, None)
        if value:
            query[name] = value
    for name in [name for name, values in query.lists() if not any(values)]:
        del query[name]
    return query.urlencode()
