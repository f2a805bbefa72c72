"""Changing what an account's page shows: its facts, its labels, a note of one's own.

Whoever comes second is shown both values and chooses; nothing is overwritten unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

from apps.crm.days import day
from apps.crm.models import Account, Note, Policy, User
from apps.crm.models.account import PaymentRisk
from apps.crm.models.moving import MoveError
from apps.web.forms.account import (
    AssignForm,
    ContractForm,
    ExtensionForm,
    HandPickForm,
    LabelForm,
    LabelsForm,
    NoteEditForm,
    RenewalForm,
    RiskForm,
    UnlabelForm,
)
from apps.web.rights import SignedIn, needs
from apps.web.views.account import Clash, account_parts
from apps.web.views.moves import PARTS, changed, invalid, origin

Facts = Mapping[str, Any]


class Edit(NamedTuple):
    """Some facts that are edited together: who may, how they are read, said and saved."""

    right: str
    label: str
    address: str
    form: type[forms.Form]
    says: Callable[[Facts, date], str]
    stamps: Callable[[User, datetime], dict[str, Any]] = lambda by, now: {}
    save: Callable[..., None] = Account.edit

    def sent(self, account: Account) -> dict[str, str]:
        """The facts as they are, in the way this form sends them."""
        return {
            name: _sent(field, getattr(account, name))
            for name, field in self.form.base_fields.items()
            if name != "seen"
        }


def _sent(field: forms.Field, value: Any) -> str:
    value = field.prepare_value(value.all() if hasattr(value, "all") else value)
    return ",".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _risk(facts: Facts, today: date) -> str:
    reason = facts["payment_risk_reason"]
    return f"{PaymentRisk(facts['payment_risk']).label}{': ' if reason else ''}{reason}"


def _extension(facts: Facts, today: date) -> str:
    until = day(facts["extended_until"], today)
    return f"until {until}: {facts['extended_reason']}" if until else "not extended"


def _labels(facts: Facts, today: date) -> str:
    return ", ".join(map(str, facts["labels"].all())) or "none"


EDITS = {
    "owner": Edit(
        "edit", "Owner", "assign", AssignForm, lambda facts, today: str(facts["owner"] or "nobody")
    ),
    "risk": Edit(
        "payment risk",
        "Payment risk",
        "risk",
        RiskForm,
        _risk,
        lambda by, now: {"payment_risk_by": by, "payment_risk_at": now},
    ),
    "extension": Edit("edit", "Extended", "extend", ExtensionForm, _extension),
    "renewal": Edit(
        "edit",
        "Renewal",
        "renewal",
        RenewalForm,
        lambda facts, today: f"on {day(facts['next_renewal_on'], today)}",
    ),
    "contract": Edit(
        "edit",
        "Contract renewal",
        "contract",
        ContractForm,
        lambda facts, today: f"on {day(facts['contract_renewal_on'], today)}",
    ),
    "hand-picked": Edit(
        "edit", "Hand-picked", "hand_pick", HandPickForm, lambda facts, today: facts["hand_picked"] or "no"
    ),
    "labels": Edit("edit", "Labels", "labels", LabelsForm, _labels, save=Account.relabel),
}


@require_POST
def edit(request: SignedIn, pk: int, name: str) -> HttpResponse:
    """Change the facts that ``EDITS`` names: 200 with the parts, 409 with both values, 422 with the sentence."""
    return needs(EDITS[name].right)(_edit)(request, get_object_or_404(Account, pk=pk), EDITS[name])


def _edit(request: SignedIn, account: Account, how: Edit) -> HttpResponse:
    now, form = timezone.now(), how.form(request.POST)
    if not form.is_valid():
        return invalid(form)
    facts, today = dict(form.cleaned_data), Policy.at(now).today
    seen, before = facts.pop("seen"), how.sent(account)
    try:
        how.save(account, now=now, by=request.user, seen=seen, **facts, **how.stamps(request.user, now))
    except MoveError:
        account.refresh_from_db()
        theirs = how.says({field: getattr(account, field) for field in facts}, today)
        return _both(request, account, how, theirs=theirs, mine=how.says(facts, today), now=now)
    return changed(
        request,
        account,
        now=now,
        text=f"{account.name[:60]}: {how.label.lower()} {how.says(facts, today)}."[:200],
        undo=undo_of(request, how.address, account, seen=account.changed_at.isoformat(), **before),
    )


def _both(
    request: SignedIn, account: Account, how: Edit, *, theirs: str, mine: str, now: datetime
) -> HttpResponse:
    kept = {field: ",".join(request.POST.getlist(field)) for field in how.form.base_fields if field != "seen"}
    return clashing(
        request,
        account,
        Clash(
            label=how.label,
            theirs=theirs,
            mine=mine,
            address=reverse(f"web:{how.address}", args=[account.pk]),
            values={**kept, "seen": account.changed_at.isoformat()},
            draft=f"{how.address}:{account.pk}",
        ),
        now=now,
    )


class Both[Of](NamedTuple):
    """How a change says both values, theirs and the form’s; ``seen`` is what its form sends of what stands."""

    theirs: Callable[[Of, date], str]
    mine: Callable[[Facts, date], str]
    seen: Callable[[Of], str]


OVERTAKEN = "Somebody else has changed this meanwhile. Nothing was overwritten; choose which to keep."


def clashing(
    request: SignedIn, account: Account, clash: Clash, *, now: datetime, text: str = OVERTAKEN
) -> HttpResponse:
    """409: what is true, with both values and the choice between them."""
    page = origin(request)
    if page == "account":
        return _conflict(account_parts(request, account, now=now, moved=None, clash=clash), text)
    return choosing(
        request, account, clash, PARTS[page](request, account, now=now, moved=None), page=page, text=text
    )


def choosing(
    request: SignedIn, account: Account, clash: Clash, parts: str, *, page: str, text: str
) -> HttpResponse:
    """409: ``parts`` of a page as they are now, and the choice between both values."""
    asked = {"account": account, "clash": clash, "origin": page}
    return _conflict(parts + render_to_string("web/_clash_parts.html", asked, request), text)


def _conflict(parts: str, text: str) -> HttpResponse:
    toast = {"text": text, "bad": True, "code": "conflict"}
    return trigger_client_event(HttpResponse(parts, status=409), "toast", toast)


@require_POST
@needs("note")
def note(request: SignedIn, pk: int, note: int) -> HttpResponse:
    """Write one's own note anew."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), NoteEditForm(request.POST)
    mine = get_object_or_404(Note, pk=note, account=account, author=request.user)
    if not given.is_valid():
        return invalid(given)
    text = given.cleaned_data["text"]
    if mine.edit(text, by=request.user, now=now, seen=given.cleaned_data["seen"]):
        return changed(request, account, now=now, text="The note is changed.")
    clash = Clash(
        label="Note",
        theirs=mine.text,
        mine=text,
        address=reverse("web:note_edit", args=[account.pk, mine.pk]),
        values={"text": text, "seen": mine.edited_at.isoformat() if mine.edited_at else ""},
        draft=f"note-{mine.pk}:{account.pk}",
    )
    return clashing(request, account, clash, now=now)


@require_POST
@needs("edit")
def label(request: SignedIn, pk: int) -> HttpResponse:
    """Put a label on an account."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), LabelForm(request.POST)
    if not given.is_valid():
        return invalid(given)
    put = account.add_label(given.cleaned_data["name"], now=now)
    return changed(
        request,
        account,
        now=now,
        text=f"{account.name[:60]} is labelled “{put}”.",
        undo=undo_of(request, "unlabel", account, label=put.pk),
    )


@require_POST
@needs("edit")
def unlabel(request: SignedIn, pk: int) -> HttpResponse:
    """Take a label off an account."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), UnlabelForm(request.POST)
    if not given.is_valid():
        return invalid(given)
    taken = given.cleaned_data["label"]
    account.remove_label(taken, now=now)
    return changed(
        request,
        account,
        now=now,
        text=f"The label “{taken}” is off {account.name[:60]}.",
        undo=undo_of(request, "label", account, name=taken.name),
    )


def undo_of(request: SignedIn, view: str, account: Account, /, **values: Any) -> dict[str, Any]:
    """What a toast needs to offer Undo: the view of this account that takes the change back, and what it is sent."""
    return {"url": reverse(f"web:{view}", args=[account.pk]), "values": {**values, "from": origin(request)}}
