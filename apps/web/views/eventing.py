"""What people do about events: have them tried again, put them aside with a word, say whose they are.

A change is sent with the page's own query string, and answered with what it touched, as that page would show it, and
the counts. Whoever comes second is told, and sees what is true.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from apps.crm.keyset import count_text
from apps.crm.models import Account
from apps.intake.jobs import drain
from apps.intake.linking import candidates, link, why_not_remembered
from apps.intake.models import Event
from apps.web.forms.base import sentence
from apps.web.forms.work import IgnoreForm, LinkForm
from apps.web.rights import SignedIn, needs
from apps.web.views.events import list_parts, of_query, one_parts, row_parts
from apps.web.views.moves import invalid
from config.celery import ring

AT_ONCE = 1000


@require_POST
@needs("event")
def retry(request: SignedIn, pk: int) -> HttpResponse:
    """Have one event tried again: 200 with the parts, 409 where there is nothing to try."""
    event = get_object_or_404(Event, pk=pk)
    if not _retried([pk], request):
        event.refresh_from_db()
        return _answer(request, pk, _not_retried(event), status=409)
    return _answer(request, pk, f"{_called(event)} is tried again.")


@require_POST
@needs("event")
def retry_many(request: SignedIn) -> HttpResponse:
    """Have all events tried again that the query string asks for and that wait for a person, 1,000 at most."""
    now = timezone.now()
    ids, more = of_query(request, now, AT_ONCE)
    done = _retried(ids, request)
    words = (
        f"{'1 event is' if done == 1 else f'{count_text(done) if done else "No"} events are'} tried again."
    )
    text = f"{words} There are more like that." if more else words
    answer = HttpResponse(list_parts(request, now=now), status=200 if done else 409)
    return trigger_client_event(answer, "toast", {"text": text, "bad": not done})


@require_POST
@needs("event")
def ignore(request: SignedIn, pk: int) -> HttpResponse:
    """Put one event aside with a word: 200 with the parts, 409 with what it is by now, 422 without a word."""
    event, form = get_object_or_404(Event, pk=pk), IgnoreForm(request.POST)
    if not form.is_valid():
        return invalid(form)
    mine = Event.objects.filter(pk=pk)
    if not mine.ignore(form.cleaned_data["word"], by=request.user, now=timezone.now()):
        event.refresh_from_db()
        return _answer(request, pk, f"{_called(event)} is {event.get_state_display().lower()}.", status=409)
    here = {"from": request.POST.get("from", "")}
    undo = {"url": _here(request, reverse("web:event_retry", args=[pk])), "values": here}
    return _answer(request, pk, f"{_called(event)} is ignored.", undo=undo)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("event")
def choose(request: SignedIn, pk: int) -> HttpResponse:
    """The accounts that an event might be about, and the choice of one of them."""
    event = get_object_or_404(Event.objects.sized(), pk=pk)
    if not (event.can_be_linked and event.size):
        messages.warning(
            request, f"{_called(event)} is {event.get_state_display().lower()}, not to be linked."
        )
        return redirect("web:event", pk)
    form = LinkForm(request.POST or None)
    if form.is_valid():
        return _linked(request, event, form.cleaned_data["account"])
    text = request.GET.get("q", "")[:200].replace("\x00", "")
    context = {
        "event": event,
        "q": text,
        "found": candidates(event, text),
        "looked_for": event.subject.partition(":")[2],
        "not_remembered": why_not_remembered(event.subject),
        "error": sentence(form) if form.is_bound else "",
    }
    return render(request, "web/event_link.html", context, status=422 if form.is_bound else 200)


def _linked(request: SignedIn, event: Event, account: Account) -> HttpResponse:
    with transaction.atomic():
        done = link(event, account, by=request.user, now=timezone.now())
        transaction.on_commit(partial(ring, drain.name), robust=True)
    others = f", and {count_text(done - 1)} more like it" if done > 1 else ""
    words = f"It is applied to {account.name[:60]} now{others}." if done else "Somebody else was first."
    messages.info(request, words)
    return redirect("web:event", event.pk)


def _retried(ids: list[int], request: SignedIn) -> int:
    with transaction.atomic():
        done: int = Event.objects.filter(pk__in=ids).retry(by=request.user, now=timezone.now())
        transaction.on_commit(partial(ring, drain.name), robust=True)
    return done


def _called(event: Event) -> str:
    return f"“{event.type[:60] or 'An event'}” of {event.door}"


def _not_retried(event: Event) -> str:
    if event.state in (Event.State.DONE, Event.State.WAITING):
        return f"{_called(event)} is {event.get_state_display().lower()} by now."
    return f"What {_called(event)} said was blanked, so it cannot be tried again."


def _here(request: SignedIn, address: str) -> str:
    """An address with the query string of the page at hand."""
    query = request.META["QUERY_STRING"]
    return f"{address}?{query}" if query else address


def _answer(request: SignedIn, pk: int, text: str, *, status: int = 200, **toast: Any) -> HttpResponse:
    """The parts of the sender's page, with a toast: the event's own page, or its row and the counts."""
    draw = one_parts if request.POST.get("from") == "event" else row_parts
    answer = HttpResponse(draw(request, pk, now=timezone.now()), status=status)
    return trigger_client_event(answer, "toast", {"text": text, "bad": status >= 400, **toast})
