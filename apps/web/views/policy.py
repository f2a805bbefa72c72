"""The policy: each number as it holds and will hold, chosen from a day on, with whom another value would touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.crm.days import day
from apps.crm.models import Account, Policy, User
from apps.crm.policy import NUMBERS, Numbers
from apps.playbooks.due import due
from apps.playbooks.registry import PLAYBOOKS
from apps.web.forms.base import sentence
from apps.web.forms.settings import NumberForm
from apps.web.rights import SignedIn, needs
from apps.web.undo import undoable

HISTORY_SHOWN = 50
NAMES_SHOWN = 10


class Touched(NamedTuple):
    """What a changed number would change at once: on what page, and the accounts that come to it or leave it."""

    label: str
    comes: list[str]
    more: int
    goes: int


# What depends on the policy besides the playbooks: its words, the numbers, the accounts.
ALSO: tuple[tuple[str, tuple[str, ...], Callable[[Numbers], Any]], ...] = (
    (
        "“Write now” on the daily list",
        ("outreach_after_entry_days", "outreach_before_renewal_days", "time_zone"),
        lambda numbers: Account.objects.awaiting_outreach(numbers),
    ),
)


@require_safe
def policy(request: SignedIn) -> HttpResponse:
    """All numbers, and who chose which lately."""
    now = timezone.now()
    numbers = Policy.at(now)
    rows = list(Policy.objects.select_related("set_by").order_by("starts_on"))
    coming = {row.name: row for row in reversed(rows) if row.starts_on > numbers.today}
    context = {
        "numbers": [
            (name, number, getattr(numbers, name), coming.get(name)) for name, number in NUMBERS.items()
        ],
        "history": sorted(rows, key=lambda row: row.set_at, reverse=True)[:HISTORY_SHOWN],
        "today": numbers.today,
        "zone": request.user.zone,
        "may": request.user.may("policy"),
    }
    return render(request, "web/settings_policy.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def number(request: SignedIn, name: str) -> HttpResponse:
    """One number: what it decides, its values, and a form for the next; GET with a value says whom it would touch."""
    if name not in NUMBERS:
        raise Http404
    if request.method == "POST":
        return needs("policy")(_choose)(request, name)
    return _number(request, name)


def _choose(request: SignedIn, name: str) -> HttpResponse:
    form = NumberForm(request.POST)
    if not form.is_valid():
        return _number(request, name, wrong=sentence(form))
    value, starts_on = form.cleaned_data["value"], form.cleaned_data["starts_on"]
    now = timezone.now()
    try:
        Policy.choose(name, value, starts_on=starts_on, by=request.user, now=now)
    except ValidationError as refused:
        return _number(request, name, wrong=refused.messages[0])
    messages.info(request, f"{_said(name, value)} from {day(starts_on, Policy.at(now).today)} on.")
    return redirect("web:policy_number", name)


def _number(request: SignedIn, name: str, wrong: str = "") -> HttpResponse:
    now, given = timezone.now(), request.POST or request.GET
    numbers = Policy.at(now)
    context = {
        "name": name,
        "number": NUMBERS[name],
        "holds": getattr(numbers, name),
        "value": given.get("value", getattr(numbers, name)),
        "starts_on": given.get("starts_on", numbers.today.isoformat()),
        "rows": Policy.objects.filter(name=name)
        .select_related("set_by")
        .order_by("-starts_on")[:HISTORY_SHOWN],
        "today": numbers.today,
        "people": User.objects.assignable() if name == "alert_owner" else [],
        "may": request.user.may("policy"),
        "touched": None,
        "wrong": f"Nothing was changed: {wrong}" if wrong else "",
    }
    if not wrong and "value" in request.GET:
        try:
            tried = Policy.trying(name, request.GET["value"].strip(), now)
            context["touched"] = list(_touched(name, numbers, tried))
        except ValidationError as refused:
            context["wrong"] = refused.messages[0]
    return render(request, "web/settings_number.html", context, status=422 if context["wrong"] else 200)


def _touched(name: str, numbers: Numbers, tried: Numbers) -> Iterator[Touched]:
    for playbook in PLAYBOOKS.values():
        if name in playbook.numbers:
            yield _compared(playbook.name, due(playbook, numbers), due(playbook, tried))
    for label, names, accounts in ALSO:
        if name in names:
            yield _compared(label, accounts(numbers), accounts(tried))


def _compared(label: str, before: Any, after: Any) -> Touched:
    new = Account.objects.filter(pk__in=after.values("pk")).exclude(pk__in=before.values("pk"))
    gone = Account.objects.filter(pk__in=before.values("pk")).exclude(pk__in=after.values("pk"))
    comes = new.count()
    names = list(new.order_by("name").values_list("name", flat=True)[:NAMES_SHOWN])
    return Touched(label, names, comes - len(names), gone.count())


def _said(name: str, value: str) -> str:
    return f"{NUMBERS[name].says} {value or '(empty)'} {NUMBERS[name].unit if value else ''}".strip()


@require_POST
@needs("policy")
def take_back(request: SignedIn, name: str, pk: int) -> HttpResponse:
    """Drop a value whose day has not come."""
    row = get_object_or_404(Policy, pk=pk, name=name)
    back = reverse("web:policy_number", args=[name])
    if row.take_back(now=timezone.now()):
        undoable(request, "The value is taken back.", back, value=row.value, starts_on=str(row.starts_on))
    else:
        messages.info(request, "It holds already and stays: choose another from a day on.")
    return redirect("web:policy_number", name)
