"""The alerts page: what wants somebody now, and what people do about it.

A change is sent to the address of the alert with the page's own query string, and answered with the alert's row as
that page would show it, or taken out where it no longer belongs, and the counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from apps.crm.alerts import STATES, AlertFilter
from apps.crm.keyset import count_text, counts, page
from apps.crm.models import Alert, Policy, User
from apps.crm.models.alert import ALERT_KINDS, alert_kind
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers
from apps.web.display import GROUPS, away, away_short, day, money
from apps.web.forms import AlertAssignForm, ResolveForm, SnoozeForm
from apps.web.rights import needs
from apps.web.tables import Word
from apps.web.views.daily import NOTICES_SHOWN
from apps.web.views.moves import invalid


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


class Link(NamedTuple):
    """A filter of the head: its words, how many alerts it shows, the query string that asks for it."""

    key: str
    words: str
    shown: str
    query: str
    on: bool


class Head(NamedTuple):
    """A column of the page, and the sort it offers."""

    label: str
    sort: str = ""
    number: bool = False


HEADS = (
    Head("Alert"),
    Head("Account"),
    Head("Renewal", "renewal"),
    Head("What"),
    Head("Raised", "raised"),
    Head("Amount", "-amount", number=True),
    Head("Assignee"),
)

# How urgent a kind looks; the words say it too.
MEANINGS = {"missed-outreach": "wait", "failed-payment": "bad", "large-invoice": "info"}

# The actions a row offers, by the state it is shown in.
ACTIONS = {
    "open": ("acknowledge", "snooze", "resolve"),
    "snoozed": ("wake", "resolve"),
    "resolved": ("reopen",),
}


@require_safe
def alerts(request: HttpRequest) -> HttpResponse:
    """The alerts a query string asks for, one page of them, with the counts by kind and state."""
    asked = _asked(request, Policy.at(timezone.now()))
    found = page(asked.facts(), asked.order, cursor=request.GET.get("cursor", ""))
    return render(
        request,
        "web/alerts.html",
        {
            **_context(request, asked),
            "rows": _rows(found.rows, asked),
            "next": _query(asked, cursor=found.next) if found.next else "",
            "notices": [*asked.notices[:NOTICES_SHOWN], *filter(None, [found.notice])],
            "heads": _heads(asked),
            "people": User.objects.assignable() if request.user.may("alert") else [],  # type: ignore[union-attr]
            "today": asked.numbers.today,
        },
    )


@require_POST
@needs("alert")
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that one is on it."""
    alert, now = _alert(pk), timezone.now()
    done = alert.acknowledge(by=request.user, now=now)  # type: ignore[arg-type]
    return _answer(request, alert, now, done, f"You are on it: {_called(alert)}.", _acknowledged)


@require_POST
@needs("alert")
def snooze(request: HttpRequest, pk: int) -> HttpResponse:
    """Put an alert off to a day."""
    alert, now = _alert(pk), timezone.now()
    today = Policy.at(now).today
    form = SnoozeForm(request.POST, today=today)
    if not form.is_valid():
        return invalid(form)
    until = form.cleaned_data["until"]
    done = alert.snooze(until, seen=form.cleaned_data["seen"])
    words = f"{_called(alert)} is snoozed until {day(until, today)}, {away(until, today)}."
    return _answer(request, alert, now, done, words, _snoozed, undo=_undo("alert_wake", alert))


@require_POST
@needs("alert")
def wake(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a snoozed alert again before its day."""
    alert, now = _alert(pk), timezone.now()
    return _answer(request, alert, now, alert.wake(), f"{_called(alert)} is shown again.", _snoozed)


@require_POST
@needs("alert")
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Close an alert with a word on what was done."""
    alert, now, form = _alert(pk), timezone.now(), ResolveForm(request.POST)
    if not form.is_valid():
        return invalid(form)
    done = alert.resolve(by=request.user, now=now, **form.cleaned_data)  # type: ignore[arg-type]
    words = f"{_called(alert)} is resolved."
    return _answer(request, alert, now, done, words, _resolved, undo=_undo("alert_reopen", alert))


@require_POST
@needs("alert")
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back what a person resolved."""
    alert, now = _alert(pk), timezone.now()
    return _answer(request, alert, now, alert.reopen(), f"{_called(alert)} is open again.", _not_reopened)


@require_POST
@needs("alert")
def assign(request: HttpRequest, pk: int) -> HttpResponse:
    """Give an alert to a colleague, or to nobody."""
    alert, now, form = _alert(pk), timezone.now(), AlertAssignForm(request.POST)
    if not form.is_valid():
        return invalid(form)
    to, seen = form.cleaned_data["assignee"], form.cleaned_data["seen"]
    done = alert.assign(to, seen=seen)
    words = f"{_called(alert)} is {to}’s now." if to else f"{_called(alert)} is nobody’s now."
    back = {"assignee": seen or "", "seen": to.pk if to else ""}
    return _answer(request, alert, now, done, words, _given, undo=_undo("alert_assign", alert, **back))


def _alert(pk: int) -> Alert:
    alert: Alert = get_object_or_404(Alert.objects.select_related("account"), pk=pk)
    return alert


def _asked(request: HttpRequest, numbers: Numbers) -> AlertFilter:
    return AlertFilter(request.GET, numbers=numbers, user=request.user, also=("cursor",))  # type: ignore[arg-type]


def _called(alert: Alert) -> str:
    return f"“{alert.kind_label}” of {alert.account.name[:60]}"


def _undo(name: str, alert: Alert, **values: Any) -> dict[str, Any]:
    return {"url": reverse(f"web:{name}", args=[alert.pk]), "values": values}


Sentence = Callable[[Alert, Numbers], str]


def _answer(
    request: HttpRequest,
    alert: Alert,
    now: datetime,
    done: bool,
    words: str,
    otherwise: Sentence,
    **toast: Any,
) -> HttpResponse:
    """The row and the counts as they are now, with a toast; 409 and what is true where nothing was changed."""
    asked = _asked(request, Policy.at(now))
    if not done:
        alert, toast = _alert(alert.pk), {"bad": True, "code": "conflict"}
        closed = alert.resolved_at is not None and otherwise is not _not_reopened
        words = (_resolved if closed else otherwise)(alert, asked.numbers)
    elif "undo" in toast:
        toast["undo"]["url"] += f"?{_query(asked)}"
    drawn = {**_context(request, asked), "pk": alert.pk}
    drawn["rows"] = _rows(asked.facts().filter(pk=alert.pk), asked)
    answer = render(request, "web/_alert_parts.html", drawn, status=200 if done else 409)
    return trigger_client_event(answer, "toast", {"text": words, "bad": False, **toast})


def _resolved(alert: Alert, numbers: Numbers) -> str:
    said = f": {alert.resolution}" if alert.resolution else "."
    return (
        f"{alert.resolved_by} resolved it already{said}"
        if alert.resolved_by
        else f"It is closed already{said}"
    )


def _acknowledged(alert: Alert, numbers: Numbers) -> str:
    return f"{alert.acknowledged_by} is on it already."


def _snoozed(alert: Alert, numbers: Numbers) -> str:
    if alert.snoozed_until is None:
        return "Somebody else woke it meanwhile; it is not snoozed."
    return f"Somebody else snoozed it meanwhile, until {day(alert.snoozed_until, numbers.today)}."


def _given(alert: Alert, numbers: Numbers) -> str:
    return f"It was given to {alert.assignee or 'nobody'} meanwhile."


def _not_reopened(alert: Alert, numbers: Numbers) -> str:
    if alert.resolved_at is None:
        return "It is open again already."
    return f"It stays closed: its cause is gone, or a newer alert stands for it. {alert.resolution}".strip()


def _query(asked: AlertFilter, **changes: str | None) -> str:
    """The query string of this page with some parameters changed; None takes one out, and so is the cursor."""
    query = asked.data.copy()
    for name, value in {"cursor": None, **changes}.items():
        query.pop(name, None)
        if value:
            query[name] = value
    for name in [name for name, values in query.lists() if not any(values)]:
        del query[name]
    return query.urlencode()


def _context(request: HttpRequest, asked: AlertFilter) -> dict[str, Any]:
    """What the page and its parts share."""
    links = _links(asked)
    return {
        "asked": asked,
        "query": _query(asked),
        "kinds": [link for link in links if link.key.startswith("kind")],
        "states": [link for link in links if link.key.startswith("state")],
        "may": request.user.may("alert"),  # type: ignore[union-attr]
    }


def _links(asked: AlertFilter) -> list[Link]:
    """The kinds in the state at hand, and the states of the kind at hand, each with its count. One query."""
    kind, state = asked.form.cleaned_data.get("kind", ""), asked.state_asked
    kinds = [("", "All"), *((name, kind.label) for name, kind in ALERT_KINDS.items())]
    choices = [
        *((f"kind-{key}", words, {"kind": key}, key == kind) for key, words in kinds),
        *(
            (f"state-{key}", words, {"state": "" if key == "open" else key}, key == state)
            for key, (words, _) in STATES.items()
        ),
    ]
    querysets = {key: asked.like(**changes) for key, _, changes, _ in choices}
    found = counts(querysets)
    return [
        Link(key, words, count_text(found[key]), _query(asked, **changes), on)
        for key, words, changes, on in choices
    ]


def _heads(asked: AlertFilter) -> list[tuple[Head, str, str]]:
    """The columns, each with the query string a click on its head leads to and how it is sorted now."""
    heads = []
    for head in HEADS:
        other = head.sort.removeprefix("-") if head.sort.startswith("-") else f"-{head.sort}"
        to = other if asked.order.name == head.sort else head.sort
        sorted_now = head.sort.lstrip("-") == asked.order.name.lstrip("-") and head.sort
        now = ("descending" if asked.order.descending else "ascending") if sorted_now else ""
        heads.append((head, _query(asked, sort=to) if head.sort else "", now))
    return heads


def _rows(facts: Any, asked: AlertFilter) -> list[Row]:
    return [_row(fact, asked) for fact in facts]


def _row(fact: dict[str, Any], asked: AlertFilter) -> Row:
    numbers, people = asked.numbers, asked.people
    stage, renewal = Stage(fact["account__stage"]), fact["account__renewal_on"]
    late = renewal is not None and renewal < numbers.today
    actions = ACTIONS[asked.state_asked]
    return Row(
        pk=fact["pk"],
        kind=Word(alert_kind(fact["kind"]).label, MEANINGS.get(fact["kind"], "")),
        account=fact["account_id"],
        name=fact["account__name"],
        group=GROUPS[stage],
        stage=stage.label,
        renewal=day(renewal, numbers.today),
        away=Word(away_short(renewal, numbers.today), "bad" if late else ""),
        text=fact["text"],
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
