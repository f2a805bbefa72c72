"""Saying how a call went, and who takes it, from the desk or the account's page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.crm.models import Call
from apps.crm.models.call import Marked
from apps.crm.models.moving import MoveError
from apps.web.forms.work import HostForm, MarkForm
from apps.web.rights import SignedIn, needs
from apps.web.views.moves import cause, changed, invalid, not_made, origin

SAID = {
    Call.Status.HELD: "was held",
    Call.Status.NO_SHOW: "is a no-show",
    Call.Status.CANCELED: "is cancelled; a task says to rebook it",
    Call.Status.BOOKED: "is booked again, and not marked",
}


def _call(pk: int) -> Call:
    return get_object_or_404(Call.objects.select_related("account"), pk=pk)


@require_POST
@needs("call")
def mark(request: SignedIn, pk: int) -> HttpResponse:
    """Say how a call went: 200 with the parts, 204 where nothing is new, 409 and 422 with the sentence."""
    call, now = _call(pk), timezone.now()
    form = MarkForm(request.POST, now=now)
    if not form.is_valid():
        return invalid(form)
    status, seen, at = (form.cleaned_data[name] for name in ("status", "seen", "at"))
    was, was_at = call.status, call.marked_at
    try:
        made = call.mark(status, by=request.user, now=now, cause=cause(request), at=at, seen=seen or None)
    except MoveError as error:
        return not_made(request, call.account, error, now=now)
    if not made.changed:
        return HttpResponse(status=204)
    back = {"status": was, "seen": call.status, "at": was_at.isoformat() if was_at else ""}
    return changed(
        request,
        call.account,
        now=now,
        moved=made.moved,
        text=_said(call, made),
        undo={"url": reverse("web:call_mark", args=[pk]), "values": {**back, "from": origin(request)}},
    )


def _said(call: Call, made: Marked) -> str:
    words = f"The call with {call.account.name[:60]} {SAID[Call.Status(call.status)]}."
    moved = f" It moved to “{call.account.stage_label}”." if made.moved else ""
    return f"{words}{moved} {made.stayed}".strip()


@require_POST
@needs("call")
def host(request: SignedIn, pk: int) -> HttpResponse:
    """Put a colleague on a call, or take one off."""
    call, now, form = _call(pk), timezone.now(), HostForm(request.POST)
    if not form.is_valid():
        return invalid(form)
    user, off = form.cleaned_data["user"], form.cleaned_data["off"]
    if not (call.remove_host(user) if off else call.add_host(user)):
        return changed(
            request,
            call.account,
            now=now,
            status=409,
            code="conflict",
            text=f"{user} {'does not take' if off else 'takes'} the call already.",
        )
    return changed(
        request,
        call.account,
        now=now,
        text=f"{user} {'is off' if off else 'takes'} the call with {call.account.name[:60]}.",
        undo={
            "url": reverse("web:call_host", args=[pk]),
            "values": {"user": user.pk, "off": "" if off else "1", "from": origin(request)},
        },
    )
