"""Moving an account from the list, the board or its own page: one address each, answered with the changed parts.

A form says in ``from`` where it stands. That chooses the cause written into the ledger, and what is drawn anew;
an account slid over the list or the board says in ``behind`` which of them is drawn anew with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from django import forms
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from apps.crm.models import Account, AuditPoint, StageTransition
from apps.crm.models.audit import REMINDED
from apps.crm.models.moving import MoveError, ReasonRequired
from apps.web.forms.account import LeavePaidCallForm, MoveForm, UndoForm
from apps.web.forms.base import sentence
from apps.web.rights import SignedIn, needs
from apps.web.views.account import account_parts
from apps.web.views.board import board_parts
from apps.web.views.calls import calls_parts
from apps.web.views.daily import list_parts
from apps.web.views.hygiene import hygiene_parts
from apps.web.views.tasks import tasks_parts
from apps.web.views.theirs import quarantine_parts


class Parts(Protocol):
    """Draws what a change of an account touches on one page, as ``<hx-partial>`` elements.

    ``moved`` is the ledger row of a move just made; without it the parts are drawn as they truly are.
    """

    def __call__(
        self, request: SignedIn, account: Account, *, now: datetime, moved: StageTransition | None
    ) -> str: ...


PARTS: dict[str, Parts] = {
    "account": account_parts,
    "board": board_parts,
    "calls": calls_parts,
    "hygiene": hygiene_parts,
    "list": list_parts,
    "quarantine": quarantine_parts,
    "tasks": tasks_parts,
}
# The pages that an account slides over.
BEHIND = {"board", "calls", "hygiene", "list", "tasks"}
# The ledger calls every list a list.
CAUSES = {"calls": "list", "hygiene": "list", "quarantine": "list", "tasks": "list"}


def origin(request: SignedIn) -> str:
    """The page a form was sent from; the account's own where it does not say."""
    given = request.POST.get("from", "")
    return given if given in PARTS else "account"


def cause(request: SignedIn) -> str:
    """What the ledger says of a move made on the sender's page."""
    return CAUSES.get(origin(request), origin(request))


def changed(
    request: SignedIn,
    account: Account,
    *,
    now: datetime,
    text: str,
    moved: StageTransition | None = None,
    status: int = 200,
    **toast: Any,
) -> HttpResponse:
    """The parts of the sender's page drawn from the database, with a toast."""
    behind = BEHIND & {request.POST.get("behind", "")} - {origin(request)}
    # What is behind comes first: an account that shows the change may be slid away at once, and the rest with it.
    parts = "".join(
        PARTS[page](request, account, now=now, moved=moved) for page in (*behind, origin(request))
    )
    answer = HttpResponse(parts, status=status)
    return trigger_client_event(answer, "toast", {"text": text, "bad": status >= 400, **toast})


def refused(text: str, code: str = "invalid") -> HttpResponse:
    """422: the form cannot be used as it is. Nothing changed, and the form stays open."""
    answer = HttpResponse(f'<p class="error" role="alert">{escape(text)}</p>', status=422)
    return trigger_client_event(answer, "toast", {"text": text, "bad": True, "code": code})


def invalid(form: forms.BaseForm) -> HttpResponse:
    return refused(sentence(form))


def not_made(request: SignedIn, account: Account, error: MoveError, *, now: datetime) -> HttpResponse:
    """A change the account refused: the sentence, and what is true."""
    if isinstance(error, ReasonRequired):
        return refused(error.sentence, error.code)
    account.refresh_from_db()
    return changed(request, account, now=now, text=error.sentence, status=409, code=error.code)


def reminded(account: Account, row: StageTransition | None) -> tuple[str, dict[str, Any]]:
    """What a toast adds after a move to 6a or 6b, with a link: the points of the audit that are open still."""
    said = AuditPoint.objects.audit(account).still_open if row and row.to_stage in REMINDED else ""
    link = {"url": f"{account.get_absolute_url()}#audit", "text": "Look at them"}
    return (f" {said}", {"link": link}) if said else ("", {})


def _made(request: SignedIn, account: Account, row: StageTransition, *, now: datetime) -> HttpResponse:
    reminder, link = reminded(account, row)
    return changed(
        request,
        account,
        now=now,
        moved=row,
        text=f"{account.name[:60]} moved to “{account.stage_label}”.{reminder}",
        **link,
        undo={
            "url": reverse("web:undo", args=[account.pk]),
            "values": {"transition": row.pk, "version": row.version, "from": origin(request)},
        },
    )


@require_POST
@needs("move")
def move(request: SignedIn, pk: int) -> HttpResponse:
    """Move an account: 200 with the parts, 204 where it stands there already, 409 and 422 with the sentence."""
    account, now, form = get_object_or_404(Account, pk=pk), timezone.now(), MoveForm(request.POST)
    if len(request.POST.getlist("to")) > 1:
        return refused("Say one stage to move it to.")
    if not form.is_valid():
        return invalid(form)
    try:
        row = account.move(by=request.user, now=now, cause=cause(request), **form.cleaned_data)
    except MoveError as error:
        return not_made(request, account, error, now=now)
    return _made(request, account, row, now=now) if row else HttpResponse(status=204)


@require_POST
@needs("move")
def leave_paid_call(request: SignedIn, pk: int) -> HttpResponse:
    """Take an account back to where it stood before it bought a call."""
    account, now, form = get_object_or_404(Account, pk=pk), timezone.now(), LeavePaidCallForm(request.POST)
    if not form.is_valid():
        return invalid(form)
    try:
        row = account.leave_paid_call(by=request.user, now=now, cause=cause(request), **form.cleaned_data)
    except MoveError as error:
        return not_made(request, account, error, now=now)
    return _made(request, account, row, now=now)


@require_POST
@needs("move")
def undo(request: SignedIn, pk: int) -> HttpResponse:
    """Take back the last move, if it is still the one that was seen."""
    account, now, form = get_object_or_404(Account, pk=pk), timezone.now(), UndoForm(request.POST)
    if not form.is_valid():
        return invalid(form)
    given = form.cleaned_data
    try:
        row = account.undo(
            by=request.user, now=now, transition_id=given["transition"], version=given["version"]
        )
    except MoveError as error:
        return not_made(request, account, error, now=now)
    return changed(
        request, account, now=now, moved=row, text=f"{account.name[:60]} is back in “{account.stage_label}”."
    )
