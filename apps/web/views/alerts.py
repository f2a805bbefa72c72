"""The alerts page: what wants somebody now. Its changes are in ``alerting``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.alerts import STATES, AlertFilter
from apps.crm.days import away, day, spoken
from apps.crm.keyset import counts, page
from apps.crm.models import Policy, User
from apps.crm.models.alert import ALERT_KINDS, alert_kind
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers
from apps.web.display import GROUPS, away_short, money
from apps.web.links import Choice, Head, Link, counted, heads, query, rows_on_screen
from apps.web.rights import SignedIn
from apps.web.tables import Word
from apps.web.views.daily import NOTICES_SHOWN


@dataclass(frozen=True, slots=True)
class Row:
    """One alert of the page, ready to be shown."""

    pk: int
    kind: Word
    account: int
    name: str
    group: str
    stage: str
    renewal: str
    away: Word
    text: str
    so_far: str
    raised: str
    attempts: str
    amount: str
    assignee: str
    assignee_id: int | str
    snoozed_until: str
    actions: tuple[str, ...]


HEADS = (
    Head("Alert"),
    Head("Account"),
    Head("Renewal", "renewal"),
    Head("What"),
    Head("Raised", "raised"),
    Head("Amount", "-amount", number=True),
    Head("Assignee"),
)

# The actions a row offers, by the state it is shown in.
ACTIONS = {
    "open": ("acknowledge", "snooze", "resolve"),
    "snoozed": ("wake", "resolve"),
    "resolved": ("reopen",),
}

# What can be done to many at once, likewise.
ACTIONS_OF_MANY = {
    "open": ("acknowledge", "snooze", "resolve", "assign"),
    "snoozed": ("resolve", "assign"),
    "resolved": (),
}


@require_safe
def alerts(request: SignedIn) -> HttpResponse:
    """The alerts a query string asks for, one page of them, with the counts by kind and state."""
    asked = _asked(request, Policy.at(timezone.now()))
    found = page(asked.facts(), asked.order, cursor=request.GET.get("cursor", ""))
    return render(
        request,
        "web/alerts.html",
        {
            **_context(request, asked),
            "rows": _rows(found.rows, asked),
            "next": _next(asked, found.next),
            "notices": [*asked.notices[:NOTICES_SHOWN], *filter(None, [found.notice])],
            "heads": heads(asked, HEADS),
            "people": User.objects.assignable() if request.user.may("alert") else [],
            "today": asked.numbers.today,
        },
    )


@require_safe
def changed(request: SignedIn) -> HttpResponse:
    """The rows and the counts drawn anew: what others have changed meanwhile."""
    return HttpResponse(list_parts(request, now=timezone.now()))


def row_parts(request: SignedIn, pk: int, *, now: datetime) -> str:
    """One alert's row, or where it no longer belongs an empty place for it, and the counts."""
    asked = _asked(request, Policy.at(now))
    drawn = {**_context(request, asked), "pk": pk, "rows": _rows(asked.facts().filter(pk=pk), asked)}
    return render_to_string("web/_alert_parts.html", drawn, request)


def list_parts(request: SignedIn, *, now: datetime) -> str:
    """The rows as far as they were shown, and the counts."""
    asked = _asked(request, Policy.at(now))
    found = page(asked.facts(), asked.order, size=rows_on_screen(request))
    drawn = {**_context(request, asked), "rows": _rows(found.rows, asked), "next": _next(asked, found.next)}
    return render_to_string("web/_alert_list.html", drawn, request)


def of_query(
    request: SignedIn, now: datetime, most: int, *, but: Collection[int] = ()
) -> tuple[list[int], int]:
    """The ids of the alerts the query string asks for ``but`` some, so many in order, and how many more there are."""
    asked = _asked(request, Policy.at(now))
    meant = asked.qs.exclude(pk__in=but)
    ids = [row["pk"] for row in page(meant.values("pk"), asked.order, size=most).rows]
    more = counts({"all": meant})["all"] - len(ids) if len(ids) == most else 0
    return ids, more


def _asked(request: SignedIn, numbers: Numbers) -> AlertFilter:
    return AlertFilter(request.GET, numbers=numbers, user=request.user, also=("cursor",))


def _context(request: SignedIn, asked: AlertFilter) -> dict[str, Any]:
    """What the page and its parts share."""
    links = _links(asked)
    return {
        "asked": asked,
        "query": query(asked),
        "kinds": [link for key, link in links.items() if key.startswith("kind")],
        "states": [link for key, link in links.items() if key.startswith("state")],
        "actions": ACTIONS_OF_MANY[asked.state_asked],
        "may": request.user.may("alert"),
    }


def _links(asked: AlertFilter) -> dict[str, Link]:
    """The kinds in the state at hand, and the states of the kind at hand, each with its count. One query."""
    kind, state = asked.form.cleaned_data.get("kind", ""), asked.state_asked
    kinds = [("", "All"), *((name, kind.label) for name, kind in ALERT_KINDS.items())]
    choices = [
        *(Choice(f"kind-{key}", words, {"kind": key}, key == kind) for key, words in kinds),
        *(
            Choice(f"state-{key}", words, {"state": "" if key == "open" else key}, key == state)
            for key, (words, _) in STATES.items()
        ),
    ]
    return counted(asked, choices, asked.like)


def _next(asked: AlertFilter, cursor: str) -> str:
    return query(asked, cursor=cursor) if cursor else ""


def _rows(facts: Any, asked: AlertFilter) -> list[Row]:
    return [_row(fact, asked) for fact in facts]


def _row(fact: dict[str, Any], asked: AlertFilter) -> Row:
    numbers, people = asked.numbers, asked.people
    stage, renewal = Stage(fact["account__stage"]), fact["account__renewal_on"]
    late = renewal is not None and renewal < numbers.today
    actions, kind = ACTIONS[asked.state_asked], alert_kind(fact["kind"])
    return Row(
        pk=fact["pk"],
        kind=Word(kind.label, kind.meaning),
        account=fact["account_id"],
        name=fact["account__name"],
        group=GROUPS[stage],
        stage=stage.label,
        renewal=day(renewal, numbers.today),
        away=Word(away_short(renewal, numbers.today), "bad" if late else ""),
        text=spoken(fact["text"], numbers.today),
        so_far=_so_far(fact, numbers, people),
        raised=away(numbers.day_of(fact["raised_at"]), numbers.today),
        attempts=_attempts(fact["attempts"]),
        amount=_amount(fact["amount"], fact["currency"]),
        assignee=people.get(fact["assignee_id"], ""),
        assignee_id=fact["assignee_id"] or "",
        snoozed_until=fact["snoozed_until"].isoformat() if fact["snoozed_until"] else "",
        actions=actions[1:] if fact["acknowledged_at"] and actions[0] == "acknowledge" else actions,
    )


def _so_far(fact: dict[str, Any], numbers: Numbers, people: dict[int, str]) -> str:
    """What people did about it so far, in a line."""
    if fact["resolved_at"]:
        who = people.get(fact["resolved_by_id"], "Closed by itself")
        when = away(numbers.day_of(fact["resolved_at"]), numbers.today)
        return f"{who}, {when}: {fact['resolution']}" if fact["resolution"] else f"{who}, {when}"
    told = (
        (fact["acknowledged_at"], f"{people.get(fact['acknowledged_by_id'])} is on it"),
        (fact["snoozed_until"], _put_off(fact["snoozed_until"], numbers)),
    )
    return " · ".join(words for holds, words in told if holds)


def _put_off(until: Any, numbers: Numbers) -> str:
    if until is None:
        return ""
    over = until <= numbers.today
    return f"{'Back since' if over else 'Snoozed until'} {day(until, numbers.today)}, {away(until, numbers.today)}"


def _attempts(number: int) -> str:
    return f"{number} attempt{'s' if number > 1 else ''}" if number else ""


def _amount(amount: Decimal | None, currency: str | None) -> str:
    """Whole dollars, or the currency before the number."""
    return money(amount) if amount is None or currency == "USD" else f"{currency} {amount:,.0f}"
