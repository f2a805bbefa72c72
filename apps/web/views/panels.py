"""What is done in the panels of an account's page: its audit, its credits, its pinned notes, the brief for Sales."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.crm.brief import brief as brief_of
from apps.crm.models import Account, AuditPoint, Credit, Note, Policy
from apps.web.display import amount
from apps.web.forms.panels import AuditForm, CorrectForm, CreditForm, PinForm
from apps.web.rights import SignedIn, needs
from apps.web.views.account import Clash
from apps.web.views.editing import clashing, undo_of
from apps.web.views.moves import changed, invalid, refused


@require_POST
@needs("edit")
def audit(request: SignedIn, pk: int) -> HttpResponse:
    """Say how a point of the audit stands: 200 with the parts, 409 with both values, 422 with the sentence."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), AuditForm(request.POST)
    if not given.is_valid():
        return invalid(given)
    facts = given.cleaned_data
    before = AuditPoint.objects.filter(account=account, what=facts["what"]).first()
    point = AuditPoint.objects.look_at(account, by=request.user, now=now, **facts)
    if point is None:
        return _both(request, account, AuditPoint(**_told(facts)), now=now)
    was = before or AuditPoint(what=point.what)
    return changed(
        request,
        account,
        now=now,
        text=f"{point.what}: {point.says.lower()}.",
        undo=undo_of(request, "audit", account, seen=point.at.isoformat(), **_sent(was)),
    )


def _both(request: SignedIn, account: Account, mine: AuditPoint, *, now: datetime) -> HttpResponse:
    standing = AuditPoint.objects.filter(account=account, what=mine.what).select_related("by").first()
    if standing is None:
        return refused("This point is not there any more.", "conflict")
    clash = Clash(
        label=mine.what,
        theirs=f"{standing.says}, says {standing.by}",
        mine=mine.says,
        address=reverse("web:audit", args=[account.pk]),
        values={**_sent(mine), "seen": standing.at.isoformat()},
        draft=f"audit-{mine.what}:{account.pk}",
    )
    return clashing(request, account, clash, now=now)


def _told(facts: dict[str, object]) -> dict[str, object]:
    return {name: facts[name] for name in ("what", "state", "saving")}


def _sent(point: AuditPoint) -> dict[str, str]:
    """A point in the way its form sends it."""
    saving: Decimal | None = point.saving
    return {"what": point.what, "state": str(point.state), "saving": "" if saving is None else str(saving)}


@require_POST
@needs("edit")
def credit(request: SignedIn, pk: int) -> HttpResponse:
    """Write down a credit or a refund that was given elsewhere."""
    account, now = get_object_or_404(Account, pk=pk), timezone.now()
    given = CreditForm(request.POST, today=Policy.at(now).today)
    if not given.is_valid():
        return invalid(given)
    made = Credit.objects.record(account, by=request.user, now=now, **given.cleaned_data)
    text = (
        f"{amount(made.amount, made.currency)} for {account.name[:60]} is written down. Nothing was issued."
    )
    return changed(request, account, now=now, text=text)


@require_POST
@needs("edit")
def correct(request: SignedIn, pk: int, credit: int) -> HttpResponse:
    """Take an entry back by one against it."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), CorrectForm(request.POST)
    entry = get_object_or_404(Credit, pk=credit, account=account)
    if not given.is_valid():
        return invalid(given)
    if entry.correct(why=given.cleaned_data["why"], by=request.user, now=now) is None:
        return refused("This entry was corrected already, or is a correction itself.", "conflict")
    text = f"{amount(entry.amount, entry.currency)} is taken back by an entry against it."
    return changed(request, account, now=now, text=text)


@require_POST
@needs("note")
def pin(request: SignedIn, pk: int, note: int) -> HttpResponse:
    """Have a note stand above the rest, or no more."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), PinForm(request.POST)
    pinned = get_object_or_404(Note, pk=note, account=account)
    if not given.is_valid():
        return invalid(given)
    on = given.cleaned_data["on"]
    pinned.pin(on, now=now)
    back = {
        "url": reverse("web:note_pin", args=[account.pk, pinned.pk]),
        "values": {"on": "" if on else "on", "from": request.POST.get("from", "account")},
    }
    return changed(request, account, now=now, text="The note is pinned." if on else "Unpinned.", undo=back)


@require_safe
def brief(request: SignedIn, pk: int) -> HttpResponse:
    """The brief for Sales, as text."""
    account = get_object_or_404(Account.objects.select_related("owner"), pk=pk)
    text = brief_of(account, numbers=Policy.at(timezone.now()))
    return HttpResponse(text, content_type="text/plain; charset=utf-8")
