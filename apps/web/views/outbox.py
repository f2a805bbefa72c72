"""The outbox: what waits, what left, what was held back and why; and the gates it leaves by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core import signing
from django.db.models import BigAutoField, F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.csp import CSP
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csp import csp_override
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.crm.keyset import Column, Order, count_text, counts, page
from apps.crm.models import Contact, Policy
from apps.crm.policy import Numbers
from apps.outbox.guards import GUARDS, left_today
from apps.outbox.mail import address_of
from apps.outbox.models import AUTOMATIC, CHANNELS, GATES, Gate, Message
from apps.outbox.send import WAYS
from apps.web.rights import needs

STATES = {"waiting": "Waiting", "sent": "Sent", "held": "Held back", "failed": "Failed"}
NEWEST = Order("-written", Column(F("pk"), BigAutoField()))

# A mail is shown as it was written, but nothing in it runs, is fetched or leads out of its frame.
FRAMING: dict[str, Any] = settings.SECURE_CSP | {"frame-src": [CSP.SELF]}
FRAMED: dict[str, Any] = {
    "default-src": [CSP.NONE],
    "style-src": [CSP.UNSAFE_INLINE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.NONE],
    "frame-ancestors": [CSP.SELF],
    "sandbox": True,
}


class Pile(NamedTuple):
    """A state or a channel to look at: its words, how many it shows, where it leads, whether it is on."""

    words: str
    shown: str
    address: str
    on: bool


@dataclass(frozen=True)
class Door:
    """A gate as the page shows it: what it is called, how it stands, and what turning it does."""

    name: str
    label: str
    state: str
    meaning: str
    why: str
    shut: bool


@require_safe
def outbox(request: HttpRequest) -> HttpResponse:
    state, channel = _chosen(request, "state", STATES) or "waiting", _chosen(request, "channel", CHANNELS)
    found = page(
        _of(state, channel).select_related("account").defer("text", "html"),
        NEWEST,
        cursor=request.GET.get("cursor", ""),
    )
    numbers = Policy.at(timezone.now())
    context = {
        "doors": _doors(request, numbers),
        "states": _states(state, channel),
        "channels": _channels(state, channel),
        "state": state,
        "rows": [(message, _told(message, request)) for message in found.rows],
        "next": _address(state, channel, cursor=found.next) if found.next else "",
        "notice": found.notice,
        "guards": GUARDS,
        "cap": f"{left_today(numbers)} of at most {numbers.mail_daily_cap} automatic mails went out today",
        "may_steer": request.user.may("outbox"),  # type: ignore[union-attr]
    }
    return render(request, "web/outbox.html", context)


@require_safe
@csp_override(FRAMING)
def message(request: HttpRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(Message.objects.select_related("account"), pk=pk)
    context = {
        "message": shown,
        "told": _told(shown, request),
        "written": _moment(shown.created_at, request),
        "may_steer": request.user.may("outbox"),  # type: ignore[union-attr]
    }
    return render(request, "web/message.html", context)


@require_safe
@csp_override(FRAMED)
@xframe_options_sameorigin
def message_html(request: HttpRequest, pk: int) -> HttpResponse:
    """A mail's HTML alone, for the frame on its page."""
    return HttpResponse(get_object_or_404(Message, pk=pk).html)


@require_POST
@needs("outbox")
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    tried = get_object_or_404(Message, pk=pk)
    waits = tried.retry(now=timezone.now())
    messages.info(request, "It waits to be sent again." if waits else "It is neither held back nor failed.")
    return redirect("web:message", pk)


@require_POST
@needs("outbox")
def turn(request: HttpRequest, name: str) -> HttpResponse:
    """Shut a gate, or open it again."""
    if name not in GATES:
        raise Http404("No such gate.")
    shut = request.POST.get("shut") == "1"
    Gate.objects.turn(name, shut=shut, by=request.user, now=timezone.now())  # type: ignore[arg-type]
    done = "is stopped: its messages wait." if shut else "is on again: what waited leaves now."
    messages.info(request, f"{GATES[name]} {done}")
    return redirect("web:outbox")


@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required
@csrf_exempt
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ends automatic mail to one address. Mail programs post here by themselves; a look at it changes nothing."""
    try:
        address = address_of(token)
    except signing.BadSignature:
        return render(request, "web/unsubscribe.html", {"state": "broken"}, status=404)
    if request.method == "POST":
        Contact.objects.unsubscribe(address, now=timezone.now())
    over = not Contact.objects.filter(email=address, unsubscribed_at__isnull=True).exists()
    return render(request, "web/unsubscribe.html", {"state": "over" if over else "asked", "address": address})


def _chosen(request: HttpRequest, name: str, among: dict[str, str]) -> str:
    value = request.GET.get(name, "")
    return value if value in among else ""


def _of(state: str, channel: str) -> Any:
    found = getattr(Message.objects, state)()
    return found.filter(channel=channel) if channel else found


def _address(state: str, channel: str, **more: str) -> str:
    return "?" + urlencode({"state": state, **({"channel": channel} if channel else {}), **more})


def _states(state: str, channel: str) -> list[Pile]:
    """The states of the channel at hand, each with its count. One query."""
    found = counts({key: _of(key, channel) for key in STATES})
    return [
        Pile(words, count_text(found[key]), _address(key, channel), key == state)
        for key, words in STATES.items()
    ]


def _channels(state: str, channel: str) -> list[Pile]:
    choices = {"": "All channels", **CHANNELS}
    return [Pile(words, "", _address(state, key), key == channel) for key, words in choices.items()]


def _doors(request: HttpRequest, numbers: Numbers) -> list[Door]:
    gates = {gate.name: gate for gate in Gate.objects.select_related("by")}
    return [_door(name, gates.get(name) or Gate(name=name), request, numbers) for name in GATES]


def _door(name: str, gate: Gate, request: HttpRequest, numbers: Numbers) -> Door:
    way = WAYS.get(name)
    if gate.shut_at:
        since = _moment(gate.shut_at, request)
        why = f"Stopped by {gate.by} {since}." if gate.by else f"Off since {since}: {gate.because}"
        return Door(name, GATES[name], "stopped" if gate.by else "off", "bad", why, shut=True)
    if way and not way.is_set_up:
        kept = "Nothing leaves: messages are kept here." if settings.DEBUG else "Its messages are held back."
        return Door(name, GATES[name], "not set up", "wait", f"{way.setting} is empty. {kept}", shut=False)
    if gate.failures:
        waits = f"It does not answer; tried again {_moment(gate.not_before, request)}."
        return Door(name, GATES[name], "away", "wait", waits, shut=False)
    if name == AUTOMATIC and left_today(numbers) >= numbers.mail_daily_cap:
        return Door(name, GATES[name], "on", "wait", "The day’s cap is reached: the rest waits.", shut=False)
    return Door(name, GATES[name], "on", "good", "", shut=False)


def _told(message: Message, request: HttpRequest) -> str:
    """Where a message stands, in words and in the reader's own time."""
    tries = f" Tried {message.tries} {'time' if message.tries == 1 else 'times'}." if message.tries else ""
    if message.sent_at:
        return f"{'Kept here' if message.kept_here else 'Sent'} {_moment(message.sent_at, request)}."
    if message.held_at:
        return f"Held back {_moment(message.held_at, request)}: {message.because}"
    if message.failed_at:
        return f"Given up {_moment(message.failed_at, request)}: {message.because}{tries}"
    if message.tries or message.because:
        return f"Next try {_moment(message.due_at, request)}: {message.because}{tries}"
    return f"To leave {_moment(message.due_at, request)}."


def _moment(when: datetime | None, request: HttpRequest) -> str:
    """A moment in the reader's own time."""
    return request.user.moment(when, timezone.now())  # type: ignore[union-attr]
