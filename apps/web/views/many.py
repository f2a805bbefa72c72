"""Many accounts of the list at once: those that are ticked, or all that the filters show, however many are loaded.

The form that asks holds the ids of whom it counted: just these are changed, whatever the filters show a minute later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from django import forms
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event
from kombu.exceptions import OperationalError

from apps.crm.filters import DailyFilter
from apps.crm.jobs import run_bulk
from apps.crm.keyset import in_order
from apps.crm.models import Account, Bulk, Contact, Label, Policy, User
from apps.crm.models.bulk import AT_ONCE, KINDS, MOST, Preview
from apps.crm.pipeline import MOVES
from apps.crm.policy import Numbers
from apps.web.exports import EXPORTS
from apps.web.forms.account import LabelForm, MoveForm, TaskForm
from apps.web.forms.base import sentence
from apps.web.forms.many import ChosenForm, ManyAssignForm
from apps.web.rights import SignedIn, needs
from apps.web.views.exports import as_csv
from apps.web.views.moves import invalid, refused
from apps.web.views.writing import LABELS_OFFERED

NAMES_SHOWN = 50
TOO_MANY = f"More than {MOST:,} accounts are like that: filter further first."

Given = dict[str, Any]


class How(NamedTuple):
    """How a change of many is asked for: its form, and what the form says as it is kept with the change."""

    form: type[forms.Form]
    what: Callable[[Given], Given]


HOWS: dict[str, How] = {
    "move": How(MoveForm, lambda given: {"to": str(given["to"]), "reason": given["reason"].strip()}),
    "assign": How(
        ManyAssignForm,
        lambda given: {
            "owner": given["owner"] and given["owner"].pk,
            "called": str(given["owner"] or "nobody"),
        },
    ),
    "label": How(LabelForm, lambda given: {"name": given["name"]}),
    "unlabel": How(LabelForm, lambda given: {"name": given["name"]}),
    "task": How(
        TaskForm,
        lambda given: {
            "title": given["title"],
            "due_on": given["due_on"].isoformat(),
            "assignee": given["assignee"] and given["assignee"].pk,
        },
    ),
}


@dataclass(frozen=True)
class Left:
    """Some accounts that stay as they are: why, and who."""

    sentence: str
    count: int
    names: list[tuple[int, str]]

    @property
    def more(self) -> int:
        return self.count - len(self.names)


@require_POST
def ask(request: SignedIn, name: str) -> HttpResponse:
    """The form for a change of the chosen accounts; for a move, where they may go."""
    return needs(_right(name))(_ask)(request, name)


def _ask(request: SignedIn, name: str) -> HttpResponse:
    numbers = Policy.at(timezone.now())
    ids = _chosen(request, numbers)
    if isinstance(ids, HttpResponse):
        return ids
    return render(
        request,
        "web/_many.html",
        {
            "name": name,
            "ids": ids,
            "choices": Preview(ids).choices() if name == "move" else [],
            "people": User.objects.assignable() if name in ("assign", "task") else [],
            "labels": Label.objects.all()[:LABELS_OFFERED] if "label" in name else [],
            "today": request.user.today(numbers.now),
        },
    )


@require_POST
@needs("move")
def preview(request: SignedIn) -> HttpResponse:
    """Who of the chosen would move to a stage, and who would be refused and why."""
    ids = _chosen(request, Policy.at(timezone.now()))
    if isinstance(ids, HttpResponse):
        return ids
    form = MoveForm(request.POST)
    if not form.is_valid():
        return invalid(form)
    to, found = form.cleaned_data["to"], Preview(ids)
    asked = {MOVES[source, to].needs for source in found.sources(to)} - {""}
    context = {
        "ids": ids,
        "to": to,
        "going": found.going(to),
        "left": _left(found.staying(to)),
        "asked": " or ".join(sorted(asked)),
        "long": len(ids) > AT_ONCE,
    }
    return render(request, "web/_many_move.html", context)


@require_POST
def change(request: SignedIn, name: str) -> HttpResponse:
    """Make a change of ``HOWS``: at once, or from 200 on by the worker, whose page is shown then."""
    return needs(_right(name))(_change)(request, name)


def _change(request: SignedIn, name: str) -> HttpResponse:
    how, now = HOWS[name], timezone.now()
    ids = _chosen(request, Policy.at(now))
    if isinstance(ids, HttpResponse):
        return ids
    form = how.form(request.POST)
    if not form.is_valid():
        return invalid(form)
    return _begun(Bulk.begin(name, ids, by=request.user, now=now, **how.what(form.cleaned_data)))


@require_POST
def undo(request: SignedIn, pk: int) -> HttpResponse:
    """Take a change of many back, where nobody has changed it since."""
    bulk, now = get_object_or_404(Bulk, pk=pk, by=request.user), timezone.now()
    if said := bulk.undo_refusal(request.user, Policy.at(now)):
        return refused(said, "refused")
    back = bulk.undo(by=request.user, now=now)
    return _begun(back) if back else refused("It was undone already.", "conflict")


def _begun(bulk: Bulk) -> HttpResponse:
    """What came of it in a toast, or where it is at work."""
    if bulk.finished_at is None:
        with suppress(OperationalError):
            run_bulk.delay()
        return HttpResponse(headers={"HX-Redirect": bulk.get_absolute_url()})
    toast: dict[str, Any] = {"text": said(bulk), "bad": not bulk.made}
    if bulk.left:
        toast["link"] = {"url": bulk.get_absolute_url(), "text": "See who"}
    if bulk.made and bulk.kind != "undo":
        toast["undo"] = {"url": reverse("web:many_undo", args=[bulk.pk]), "values": {}}
    answer = trigger_client_event(HttpResponse(), "toast", toast)
    return trigger_client_event(answer, "changes", {"accounts": [], "all": True})


def said(bulk: Bulk) -> str:
    """What came of a change of many, in a sentence or two."""
    done = len(bulk.made)
    words = f"{_accounts(done)} {bulk.says}." if done else "Nothing was changed."
    if stayed := sum(map(len, bulk.left.values())):
        words += f" {stayed:,} stayed as {'it was' if stayed == 1 else 'they were'}"
        first, *others = bulk.stayed
        words += f": {first}" if not others else f", for {1 + len(others)} reasons."
    return words


def _accounts(many: int) -> str:
    return "1 account is" if many == 1 else f"{many:,} accounts are"


@require_safe
def one(request: SignedIn, pk: int) -> HttpResponse:
    """How far a change of many is; once it is over, what came of it and who was left."""
    bulk = get_object_or_404(Bulk.objects.select_related("by"), pk=pk)
    if bulk.finished_at and bulk.by_id == request.user.pk and not bulk.seen:
        Bulk.objects.filter(pk=pk).update(seen=True)
    context = {
        "bulk": bulk,
        "said": said(bulk) if bulk.finished_at else "",
        "left": _left(bulk.stayed),
        "undoes": not bulk.undo_refusal(request.user, Policy.at(timezone.now())),
    }
    return render(request, "web/many.html", context)


@require_safe
def progress(request: SignedIn, pk: int) -> HttpResponse:
    """How far it is, polled while it runs; once it is over the page is asked for anew."""
    bulk = get_object_or_404(Bulk, pk=pk)
    if bulk.finished_at:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "web/_many_progress.html", {"bulk": bulk})


@require_POST
@needs("edit")
def emails(request: SignedIn) -> HttpResponse:
    """The addresses of the chosen accounts' people who want mail, to be copied."""
    ids = _chosen(request, Policy.at(timezone.now()))
    if isinstance(ids, HttpResponse):
        return ids
    people = Contact.objects.filter(account__in=ids).order_by("account", "pk")
    wants = people.filter(do_not_contact=False, bounced_at=None, unsubscribed_at=None)
    found = list(dict.fromkeys(wants.values_list("email", flat=True)))
    return JsonResponse(
        {"emails": ", ".join(found), "count": len(found), "left": people.count() - wants.count()}
    )


@require_POST
def export(request: SignedIn) -> HttpResponse | StreamingHttpResponse:
    """The chosen accounts as a file, in the order and the columns of the list."""
    numbers = Policy.at(timezone.now())
    ids = _chosen(request, numbers)
    if isinstance(ids, HttpResponse):
        return ids
    pieces = EXPORTS["daily"].lines(request.GET, numbers=numbers, user=request.user, only=ids)
    return as_csv(pieces, "chosen", numbers)


def _right(name: str) -> str:
    if name not in HOWS:
        raise Http404
    return KINDS[name].right


def _chosen(request: SignedIn, numbers: Numbers) -> list[int] | HttpResponse:
    """The ids of the accounts that are meant, or a sentence: those named, or all that the filters show but some."""
    form = ChosenForm(request.POST)
    if not form.is_valid():
        return refused(sentence(form))
    ids: list[int] = form.cleaned_data["ids"]
    if form.cleaned_data["all"]:
        asked = DailyFilter(request.GET, numbers=numbers, user=request.user, also=("cursor",))
        meant = asked.qs.exclude(pk__in=form.cleaned_data["but"])
        ids = list(in_order(meant, asked.order).values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        return refused(TOO_MANY)
    return ids or refused("No account is like that any more.")


def _left(why: Mapping[str, list[int]]) -> list[Left]:
    """Those that stay, by the reason, with the first names of each. One query."""
    shown = {pk for ids in why.values() for pk in ids[:NAMES_SHOWN]}
    names = dict(Account.objects.filter(pk__in=shown).values_list("pk", "name"))
    return [
        Left(text, len(ids), [(pk, names.get(pk, "An account that was erased")) for pk in ids[:NAMES_SHOWN]])
        for text, ids in why.items()
    ]
