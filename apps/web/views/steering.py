"""Steering the playbooks, which is for leads: pause, run now, try again, and leave an account alone."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.crm.days import spoken
from apps.crm.enough import after
from apps.crm.models import Account, Policy
from apps.playbooks.due import due
from apps.playbooks.engine import Line, run, skip, unskip
from apps.playbooks.models import Switch
from apps.playbooks.registry import PLAYBOOKS, Playbook
from apps.web.forms.work import SkipForm
from apps.web.rights import SignedIn, needs
from apps.web.views.moves import changed, invalid, origin
from apps.web.views.playbooks import SECONDS, found


@require_POST
@needs("playbooks")
def pause(request: SignedIn, name: str) -> HttpResponse:
    return _turn(request, found(name), paused=True)


@require_POST
@needs("playbooks")
def resume(request: SignedIn, name: str) -> HttpResponse:
    return _turn(request, found(name), paused=False)


def _turn(request: SignedIn, playbook: Playbook, *, paused: bool) -> HttpResponse:
    Switch.objects.turn(playbook.name, paused=paused, by=request.user, now=timezone.now())
    return _back(request, playbook, f"{playbook.name} is {'paused' if paused else 'on again'}.")


def _back(request: SignedIn, playbook: Playbook, words: str, query: str = "") -> HttpResponse:
    """The playbook's page again, with a word on what was done."""
    messages.info(request, words)
    return redirect(reverse("web:playbook", args=[playbook.name]) + query)


@require_POST
@needs("playbooks")
def run_now(request: SignedIn, name: str) -> HttpResponse:
    """Do at once what the clock would do; what takes longer is left to it, and the page shows how far it is."""
    playbook, now, enough = found(name), timezone.now(), after(SECONDS)
    [result] = run([playbook.name], now=now, by=request.user, enough=enough)
    if result.paused:
        return _back(request, playbook, "It is paused, so nothing was done.")
    words = f"Acted on {result.acted:,}" + (f", and failed on {result.failed:,}." if result.failed else ".")
    left = due(playbook, Policy.at(now)).count() - result.failed if enough() else 0
    if left <= 0:
        return _back(request, playbook, words)
    words += f" The clock goes on with the {left:,} that are left."
    return _back(request, playbook, words, f"?of={result.acted + left}")


@require_POST
@needs("playbooks")
def retry(request: SignedIn, name: str) -> HttpResponse:
    """Try an account again that it failed on."""
    playbook, account = found(name), _account(request)
    told: list[Line] = []
    now = timezone.now()
    [result] = run([playbook.name], now=now, by=request.user, of=[account.pk], tell=told.append)
    called = account.name[:60]
    words = f"{called} is not due any more."
    if result.paused:
        words = "It is paused, so nothing was done."
    elif result.failed:
        words = f"It failed again on {called}. Nothing was changed."
    elif told:
        words = f"Acted on {called}: {spoken(told[0].because, Policy.at(now).today)}."
    return _back(request, playbook, words)


@require_POST
@needs("playbooks")
def skip_account(request: SignedIn, name: str) -> HttpResponse:
    """Have it leave an account alone, on the playbook's page."""
    playbook, account = found(name), _account(request)
    new = skip(playbook, account, by=request.user, now=timezone.now())
    return _back(request, playbook, _skipped(account, new=new))


@require_POST
@needs("playbooks")
def unskip_account(request: SignedIn, name: str) -> HttpResponse:
    """Take that back, on the playbook's page."""
    playbook, account = found(name), _account(request)
    return _back(request, playbook, _unskipped(playbook, account, was=unskip(playbook, account)))


def _account(request: SignedIn) -> Account:
    text = request.POST.get("account", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404("No such account.")
    return get_object_or_404(Account, pk=text)


def _skipped(account: Account, *, new: bool) -> str:
    said = "is left alone until its next renewal" if new else "is settled for this renewal already"
    return f"{account.name[:60]} {said}."


def _unskipped(playbook: Playbook, account: Account, *, was: bool) -> str:
    said = "is no longer left alone by" if was else "was not left alone by"
    return f"{account.name[:60]} {said} {playbook.name}."


@require_POST
@needs("playbooks")
def leave_alone(request: SignedIn, pk: int) -> HttpResponse:
    """Have a playbook leave an account alone, on the account's page."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), SkipForm(request.POST)
    if not given.is_valid():
        return invalid(given)
    name = given.cleaned_data["playbook"]
    new = skip(PLAYBOOKS[name], account, by=request.user, now=now)
    undo = {
        "url": reverse("web:unskip", args=[account.pk]),
        "values": {"playbook": name, "from": origin(request)},
    }
    text = _skipped(account, new=new)
    return changed(request, account, now=now, text=text, undo=undo if new else None)


@require_POST
@needs("playbooks")
def take_back(request: SignedIn, pk: int) -> HttpResponse:
    """Let a playbook act on an account again, on the account's page."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), SkipForm(request.POST)
    if not given.is_valid():
        return invalid(given)
    name = given.cleaned_data["playbook"]
    was = unskip(PLAYBOOKS[name], account)
    undo = {
        "url": reverse("web:skip", args=[account.pk]),
        "values": {"playbook": name, "from": origin(request)},
    }
    text = _unskipped(PLAYBOOKS[name], account, was=was)
    return changed(request, account, now=now, text=text, undo=undo if was else None)
