"""What people do about alerts, one or many at once: a table of changes, with an address each.

A change is sent with the page's own query string, and answered with what it touched, as that page would show it, and
the counts. Whoever comes second is told, and sees what is true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

from django import forms
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from apps.crm.days import away, day
from apps.crm.models import Alert, Policy, User
from apps.crm.models.alert import AlertQuerySet
from apps.web.forms.many import GiveBackForm, PickedForm
from apps.web.forms.work import GiveForm, NoFacts, ResolveForm, SnoozeForm
from apps.web.rights import SignedIn, needs
from apps.web.views.account import Clash
from apps.web.views.alerts import list_parts, of_query, row_parts
from apps.web.views.editing import Both, choosing, clashing
from apps.web.views.moves import changed, invalid

AT_ONCE = 500

Given = dict[str, Any]


class Change(NamedTuple):
    """A change of one alert: how it is read and made, what it says, and what it says when somebody else was first.

    ``back`` gives the change that takes it back, with what to send.
    """

    form: type[forms.Form]
    make: Callable[[Alert, Given, User, datetime], bool]
    says: Callable[[Alert, date], str]
    otherwise: Callable[[Alert, date], str]
    back: Callable[[Given], tuple[str, dict[str, Any]]] | None = None


class ChangeOfMany(NamedTuple):
    """The same of many: ``says`` follows their number, ``back`` is told each one's assignee of before."""

    form: type[forms.Form]
    make: Callable[[AlertQuerySet, Given, User, datetime], list[int]]
    says: Callable[[Given, date], str]
    back: Callable[[Given, dict[int, int | None]], tuple[str, dict[str, Any]]] | None = None


def _until(until: date, today: date) -> str:
    return f"{day(until, today)}, {away(until, today)}"


def _put_off(until: date | None, today: date) -> str:
    return f"snoozed until {_until(until, today)}" if until else "not snoozed"


def _called(alert: Alert) -> str:
    return f"“{alert.kind_label}” of {alert.account.name[:60]}"


def _resolved(alert: Alert, today: date) -> str:
    said = f": {alert.resolution}" if alert.resolution else "."
    return (
        f"{alert.resolved_by} resolved it already{said}"
        if alert.resolved_by
        else f"It is closed already{said}"
    )


def _acknowledged(alert: Alert, today: date) -> str:
    return f"{alert.acknowledged_by} is on it already." if alert.acknowledged_by else "Nobody is on it."


def _snoozed(alert: Alert, today: date) -> str:
    if alert.snoozed_until is None:
        return "Somebody else woke it meanwhile; it is not snoozed."
    return f"Somebody else snoozed it meanwhile, until {day(alert.snoozed_until, today)}."


def _given(alert: Alert, today: date) -> str:
    return f"It was given to {alert.assignee or 'nobody'} meanwhile."


def _not_reopened(alert: Alert, today: date) -> str:
    if alert.resolved_at is None:
        return "It is open again already."
    return f"It stays closed: its cause is gone, or a newer alert stands for it. {alert.resolution}".strip()


def _whose(person: User | None) -> str:
    return f"{person}’s" if person else "nobody’s"


CHANGES: dict[str, Change] = {
    "acknowledge": Change(
        NoFacts,
        lambda alert, given, by, now: alert.acknowledge(by=by, now=now),
        lambda alert, today: f"You are on it: {_called(alert)}.",
        _acknowledged,
        lambda given: ("leave", {}),
    ),
    "leave": Change(
        NoFacts,
        lambda alert, given, by, now: alert.leave(by=by),
        lambda alert, today: f"You are not on {_called(alert)} any more.",
        _acknowledged,
    ),
    "snooze": Change(
        SnoozeForm,
        lambda alert, given, by, now: alert.snooze(given["until"], seen=given["seen"]),
        lambda alert, today: f"{_called(alert)} is snoozed until {_until(alert.snoozed_until, today)}.",  # type: ignore[arg-type]
        _snoozed,
        lambda given: ("wake", {}),
    ),
    "wake": Change(
        NoFacts,
        lambda alert, given, by, now: alert.wake(),
        lambda alert, today: f"{_called(alert)} is shown again.",
        _snoozed,
    ),
    "resolve": Change(
        ResolveForm,
        lambda alert, given, by, now: alert.resolve(by=by, now=now, resolution=given["resolution"]),
        lambda alert, today: f"{_called(alert)} is resolved.",
        _resolved,
        lambda given: ("reopen", {}),
    ),
    "reopen": Change(
        NoFacts,
        lambda alert, given, by, now: alert.reopen(),
        lambda alert, today: f"{_called(alert)} is open again.",
        _not_reopened,
    ),
    "assign": Change(
        GiveForm,
        lambda alert, given, by, now: alert.assign(given["assignee"], seen=given["seen"], by=by, now=now),
        lambda alert, today: f"{_called(alert)} is {_whose(alert.assignee)} now.",
        _given,
        lambda given: (
            "assign",
            {"assignee": given["seen"] or "", "seen": given["assignee"].pk if given["assignee"] else ""},
        ),
    ),
}

# The changes whose maker may keep their own value all the same.
BOTH: dict[str, Both[Alert]] = {
    "snooze": Both(
        lambda alert, today: _put_off(alert.snoozed_until, today),
        lambda given, today: _put_off(given["until"], today),
        lambda alert: alert.snoozed_until.isoformat() if alert.snoozed_until else "",
    ),
    "assign": Both(
        lambda alert, today: str(alert.assignee or "nobody"),
        lambda given, today: str(given["assignee"] or "nobody"),
        lambda alert: str(alert.assignee_id or ""),
    ),
}

MANY: dict[str, ChangeOfMany] = {
    "acknowledge": ChangeOfMany(
        NoFacts,
        lambda alerts, given, by, now: alerts.acknowledge(by=by, now=now),
        lambda given, today: "acknowledged",
        lambda given, was: ("leave", {}),
    ),
    "leave": ChangeOfMany(
        NoFacts,
        lambda alerts, given, by, now: alerts.leave(by=by),
        lambda given, today: "anybody’s to take on",
    ),
    "snooze": ChangeOfMany(
        SnoozeForm,
        lambda alerts, given, by, now: alerts.snooze(given["until"]),
        lambda given, today: f"snoozed until {_until(given['until'], today)}",
        lambda given, was: ("wake", {}),
    ),
    "wake": ChangeOfMany(
        NoFacts, lambda alerts, given, by, now: alerts.wake(), lambda given, today: "shown again"
    ),
    "resolve": ChangeOfMany(
        ResolveForm,
        lambda alerts, given, by, now: alerts.resolve(by=by, now=now, resolution=given["resolution"]),
        lambda given, today: "resolved",
        lambda given, was: ("reopen", {}),
    ),
    "reopen": ChangeOfMany(
        NoFacts, lambda alerts, given, by, now: alerts.reopen(), lambda given, today: "open again"
    ),
    "assign": ChangeOfMany(
        GiveForm,
        lambda alerts, given, by, now: alerts.assign(given["assignee"], by=by, now=now),
        lambda given, today: f"{_whose(given['assignee'])} now",
        lambda given, was: (
            "give-back",
            {
                "was": ",".join(f"{pk}:{person or ''}" for pk, person in was.items()),
                "seen": given["assignee"].pk if given["assignee"] else "",
            },
        ),
    ),
    "give-back": ChangeOfMany(
        GiveBackForm,
        lambda alerts, given, by, now: alerts.give_back(given["was"], seen=given["seen"]),
        lambda given, today: "given back",
    ),
}


# What brings an alert back to the page that lists the open ones.
COME_BACK = {"reopen", "wake"}


@require_POST
@needs("alert")
def change(request: SignedIn, pk: int, name: str) -> HttpResponse:
    """Make a change of ``CHANGES``: 200 with the parts, 409 with who was first, 422 with the sentence."""
    how, alert, now = CHANGES[name], _alert(pk), timezone.now()
    today = Policy.at(now).today
    form = _read(how.form, request, today)
    if not form.is_valid():
        return invalid(form)
    if not how.make(alert, form.cleaned_data, request.user, now):
        alert = _alert(pk)
        closed = alert.resolved_at is not None and name != "reopen"
        words = (_resolved if closed else how.otherwise)(alert, today)
        if name in BOTH and not closed:
            return _both(request, alert, name, form.cleaned_data, now=now, words=words)
        return _answer(request, alert, name, now, words, status=409, code="conflict")
    undo: Given = {}
    if how.back:
        back, values = how.back(form.cleaned_data)
        values["from"] = request.POST.get("from", "")
        undo = {"undo": {"url": _here(request, reverse(f"web:alert_{back}", args=[pk])), "values": values}}
    return _answer(request, alert, name, now, how.says(alert, today), **undo)


def _both(
    request: SignedIn, alert: Alert, name: str, given: Given, *, now: datetime, words: str
) -> HttpResponse:
    how, today = BOTH[name], Policy.at(now).today
    clash = Clash(
        label=_called(alert),
        theirs=how.theirs(alert, today),
        mine=how.mine(given, today),
        address=_here(request, reverse(f"web:alert_{name}", args=[alert.pk])),
        values={field: request.POST.get(field, "") for field in CHANGES[name].form.base_fields}
        | {"seen": how.seen(alert)},
        draft=f"alert-{name}:{alert.pk}",
    )
    if request.POST.get("from") == "account":
        return clashing(request, alert.account, clash, now=now, text=words)
    parts = row_parts(request, alert.pk, now=now)
    return choosing(request, alert.account, clash, parts, page="alerts", text=words)


@require_POST
@needs("alert")
def change_many(request: SignedIn, name: str) -> HttpResponse:
    """Make a change of ``MANY``: of the alerts named, or of all that the query string asks for, 500 at most."""
    how, now = MANY[name], timezone.now()
    today = Policy.at(now).today
    picked, form = PickedForm(request.POST, most=AT_ONCE), _read(how.form, request, today)
    for given in (picked, form):
        if not given.is_valid():
            return invalid(given)
    ids, more = picked.cleaned_data["ids"], 0
    if picked.cleaned_data["all"]:
        ids, more = of_query(request, now, AT_ONCE, but=picked.cleaned_data["but"])
    was = dict(Alert.objects.filter(pk__in=ids).values_list("pk", "assignee"))
    done = how.make(Alert.objects.filter(pk__in=ids), form.cleaned_data, request.user, now)
    words = f"{_number(len(done))} {how.says(form.cleaned_data, today)}."
    if more:
        words += f" {more:,} more are like that."
    if left := set(ids) - set(done):
        words += f" {_left(left, request.user, name)}"
    toast: dict[str, Any] = {"text": words, "bad": not done}
    if done and how.back:
        back, values = how.back(form.cleaned_data, {pk: was[pk] for pk in done})
        url = reverse(f"web:alerts_{back}")
        toast["undo"] = {"url": _here(request, url), "values": {"ids": ",".join(map(str, done)), **values}}
    answer = HttpResponse(list_parts(request, now=now), status=200 if done else 409)
    return trigger_client_event(answer, "toast", toast)


def _read(form: type[forms.Form], request: SignedIn, today: date) -> forms.Form:
    return form(request.POST, today=today) if form is SnoozeForm else form(request.POST)


def _alert(pk: int) -> Alert:
    related = ("account", "assignee", "acknowledged_by", "resolved_by")
    alert: Alert = get_object_or_404(Alert.objects.select_related(*related), pk=pk)
    return alert


def _here(request: SignedIn, address: str) -> str:
    """An address with the query string of the page at hand."""
    query = request.META["QUERY_STRING"]
    return f"{address}?{query}" if query else address


def _answer(
    request: SignedIn, alert: Alert, name: str, now: datetime, text: str, *, status: int = 200, **toast: Any
) -> HttpResponse:
    """The parts of the sender's page, with a toast: the account's own, or the alert's row and the counts.

    One that comes back may have no place any more: then all rows are drawn.
    """
    if request.POST.get("from") == "account":
        answer = changed(request, alert.account, now=now, text=text, status=status, **toast)
        answer.write(render_to_string("web/_bar_counts.html", request=request))
        return answer
    parts = list_parts(request, now=now) if name in COME_BACK else row_parts(request, alert.pk, now=now)
    answer = HttpResponse(parts, status=status)
    return trigger_client_event(answer, "toast", {"text": text, "bad": status >= 400, **toast})


def _number(many: int) -> str:
    return "1 alert is" if many == 1 else f"{many or 'No'} alerts are"


def _left(ids: Iterable[int], me: User, name: str) -> str:
    """How many were left as they are, and who was first."""
    alerts = Alert.objects.filter(pk__in=ids).select_related("acknowledged_by", "resolved_by")
    why = Counter(_overtaken(alert, me, name) for alert in alerts)
    gone = len(set(ids)) - sum(why.values())
    told = [f"{many} {words}" for words, many in sorted(why.items(), key=lambda one: (-one[1], one[0]))]
    return f"Left as they are: {', '.join([*told, *([f'{gone} not here any more'] if gone else [])])}."


def _overtaken(alert: Alert, me: User, name: str) -> str:
    if alert.resolved_at is not None and name != "reopen":
        by = "you" if alert.resolved_by == me else alert.resolved_by
        return f"resolved by {by} already" if by else "closed by themselves"
    if name == "acknowledge" and alert.acknowledged_by:
        return f"taken on by {'you' if alert.acknowledged_by == me else alert.acknowledged_by} already"
    return "changed meanwhile, or like that already"
