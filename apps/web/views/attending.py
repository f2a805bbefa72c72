"""Who is on an account, and when it comes back: claims and snoozes, from list, board and the account's page."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.crm.days import away, day
from apps.crm.models import Account, Policy
from apps.web.display import on_it
from apps.web.forms.writing import ClaimForm, PutOffForm
from apps.web.rights import SignedIn, needs
from apps.web.views.moves import changed, invalid, origin


@require_POST
@needs("write")
def claim(request: SignedIn, pk: int) -> HttpResponse:
    """Say that one is on it, or no more: 200 with the parts, 409 where somebody else is, 204 where it is quiet."""
    account, given = get_object_or_404(Account, pk=pk), ClaimForm(request.POST)
    if not given.is_valid():
        return invalid(given)
    numbers = Policy.at(timezone.now())
    if given.cleaned_data["off"]:
        let_go = account.let_go(by=request.user)
        again = {"url": reverse("web:claim", args=[pk]), "values": {"from": origin(request)}}
        return changed(
            request,
            account,
            now=numbers.now,
            text=f"You are not on {account.name[:60]} any more.",
            undo=again if let_go else None,
        )
    taken = account.claim(by=request.user, numbers=numbers, over=given.cleaned_data["over"])
    if given.cleaned_data["quiet"]:
        return HttpResponse(status=204)
    if not taken:
        words = on_it(str(account.claimed_by), account.claimed_at, numbers)
        return changed(request, account, now=numbers.now, text=f"{words}.", status=409, code="held")
    return changed(
        request,
        account,
        now=numbers.now,
        text=f"You are on {account.name[:60]} for {numbers.claim_minutes} minutes.",
        undo={"url": reverse("web:claim", args=[pk]), "values": {"off": "1", "from": origin(request)}},
    )


@require_POST
@needs("write")
def snooze(request: SignedIn, pk: int) -> HttpResponse:
    """Put an account off to a day, or have it back."""
    account, numbers = get_object_or_404(Account, pk=pk), Policy.at(timezone.now())
    given = PutOffForm(request.POST, today=numbers.today)
    if not given.is_valid():
        return invalid(given)
    until, seen = given.cleaned_data["until"], given.cleaned_data["seen"]
    if not account.snooze(until, seen=seen):
        text = "Somebody else has snoozed it or taken it back meanwhile. Nothing was changed."
        return changed(request, account, now=numbers.now, text=text, status=409, code="conflict")
    today = numbers.today
    words = (
        f"is snoozed to {day(until, today)}, {away(until, today)}." if until else "is back in the day’s work."
    )
    back = {"until": seen or "", "seen": until or "", "from": origin(request)}
    return changed(
        request,
        account,
        now=numbers.now,
        text=f"{account.name[:60]} {words}",
        undo={
            "url": reverse("web:snooze", args=[pk]),
            "values": {key: str(value) for key, value in back.items()},
        },
    )


@require_safe
def emails(request: SignedIn, pk: int) -> HttpResponse:
    """The addresses of the people at an account who may be written to, the most important first."""
    contacts: Any = get_object_or_404(Account, pk=pk).contacts.ranked().judged()
    found = ", ".join(contact.email for contact in contacts if not contact.blocked)
    return HttpResponse(found, content_type="text/plain; charset=utf-8")
