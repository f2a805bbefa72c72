"""The playbooks: what each is for, whom it would act on now, what it did and why, and the switches."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.crm.models import Account, Policy
from apps.crm.policy import NUMBERS, Numbers
from apps.playbooks.engine import NotRun, due, lines, named, run, skip
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.registry import PLAYBOOKS, Playbook
from apps.web.rights import needs
from config.celery import app

TICK = timedelta(seconds=app.conf.beat_schedule["playbooks-tick"]["schedule"])
SCHEDULE = {60: "Every minute"}.get(TICK.seconds, f"Every {TICK.seconds} seconds")
SHOWN = 50
RUNS_SHOWN = 20
# A page does not wait longer than this; the clock does what is left.
SECONDS = 5


def _playbook(name: str) -> Playbook:
    try:
        return named(name)
    except NotRun as unknown:
        raise Http404(unknown.sentence) from None


def _moment(when: datetime | None, request: HttpRequest) -> str:
    """A moment in the reader's own time, such as "21 Nov, 09:00"."""
    if when is None:
        return ""
    local = when.astimezone(ZoneInfo(request.user.time_zone))  # type: ignore[union-attr]
    return f"{local.day} {local:%b, %H:%M}"


def _switched(request: HttpRequest, switch: Switch | None, now: datetime) -> dict[str, Any]:
    """When a playbook last ran, runs next, and who paused it, in words."""
    last = switch.last_run_at if switch else None
    paused = bool(switch and switch.paused)
    following = _moment(max(last + TICK, now), request) if last else "within a minute"
    return {
        "paused": paused,
        "paused_by": f"{switch.by}, {_moment(switch.at, request)}" if switch and paused else "",
        "last": _moment(last, request) or "not yet",
        "next": "when it is resumed" if paused else following,
    }


@require_safe
def playbooks(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    numbers = Policy.at(now)
    switches = {switch.playbook: switch for switch in Switch.objects.select_related("by")}
    table = [
        {
            "name": playbook.name,
            "says": playbook.says,
            "due": due(playbook, numbers).count(),
            **_switched(request, switches.get(playbook.name), now),
        }
        for playbook in PLAYBOOKS.values()
    ]
    return render(request, "web/playbooks.html", {"playbooks": table, "schedule": SCHEDULE})


@require_safe
def playbook(request: HttpRequest, name: str) -> HttpResponse:
    shown, now = _playbook(name), timezone.now()
    numbers = Policy.at(now)
    switch = Switch.objects.select_related("by").filter(playbook=name).first()
    rows = due(shown, numbers)
    count = rows.count()
    return render(
        request,
        "web/playbook.html",
        {
            "playbook": shown,
            "schedule": SCHEDULE,
            "switch": _switched(request, switch, now),
            "numbers": _numbers(shown, numbers),
            "count": count,
            "held": due(shown, numbers, held=True).count() - count,
            "due": list(lines(shown, numbers, rows[:SHOWN])),
            "runs": _runs(request, name),
            **_acts(request, name),
            "may_steer": request.user.may("playbooks"),  # type: ignore[union-attr]
        },
    )


def _numbers(playbook: Playbook, numbers: Numbers) -> list[dict[str, Any]]:
    return [
        {"says": NUMBERS[name].says, "value": getattr(numbers, name), "unit": NUMBERS[name].unit}
        for name in playbook.numbers
    ]


def _runs(request: HttpRequest, name: str) -> list[dict[str, Any]]:
    """The last runs that did something, each with its first failures."""
    runs = list(Run.objects.filter(playbook=name).select_related("by")[:RUNS_SHOWN])
    failed = {error["account"] for run in runs for error in run.errors}
    names = dict(Account.objects.filter(pk__in=failed - {None}).values_list("pk", "name"))
    return [
        {
            "pk": run.pk,
            "at": _moment(run.started_at, request),
            "until": _moment(run.finished_at, request),
            "on": run.on,
            "by": str(run.by or "The clock"),
            "acted": run.acted,
            "failed": run.failed,
            "tries": run.tries,
            "errors": [{**error, "name": names.get(error["account"])} for error in run.errors],
        }
        for run in runs
    ]


def _acts(request: HttpRequest, name: str) -> dict[str, Any]:
    """A page of what it did, newest first: of one run (``run``), on from an act (``before``)."""
    acts = Act.objects.filter(playbook=name).select_related("account", "by")
    chosen = {"run": _id(request, "run"), "before": _id(request, "before")}
    if chosen["run"]:
        acts = acts.filter(run=chosen["run"])
    if chosen["before"]:
        acts = acts.filter(pk__lt=chosen["before"])
    page = list(acts[: SHOWN + 1])
    return {
        "acts": [
            {
                "at": _moment(act.at, request),
                "account": act.account,
                "because": f"Left alone until the next renewal, says {act.by}"
                if act.skipped
                else act.because,
            }
            for act in page[:SHOWN]
        ],
        "of_run": chosen["run"],
        "older": page[SHOWN - 1].pk if len(page) > SHOWN else None,
    }


def _id(request: HttpRequest, key: str) -> int | None:
    """An id from the query string; what cannot be one is left out."""
    text = request.GET.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@require_POST
@needs("playbooks")
def pause(request: HttpRequest, name: str) -> HttpResponse:
    return _turn(request, name, paused=True)


@require_POST
@needs("playbooks")
def resume(request: HttpRequest, name: str) -> HttpResponse:
    return _turn(request, name, paused=False)


def _turn(request: HttpRequest, name: str, *, paused: bool) -> HttpResponse:
    turned = _playbook(name)
    Switch.objects.turn(turned.name, paused=paused, by=request.user, now=timezone.now())  # type: ignore[arg-type]
    messages.info(request, f"{name} is {'paused' if paused else 'on again'}.")
    return redirect("web:playbook", name)


@require_POST
@needs("playbooks")
def run_now(request: HttpRequest, name: str) -> HttpResponse:
    until = monotonic() + SECONDS
    [result] = run(
        [_playbook(name).name],
        now=timezone.now(),
        by=request.user,  # type: ignore[arg-type]
        enough=lambda: monotonic() > until,
    )
    failed = f", and failed on {result.failed}" if result.failed else ""
    done = "It is paused, so nothing was done." if result.paused else f"Acted on {result.acted}{failed}."
    messages.info(request, done)
    return redirect("web:playbook", name)


@require_POST
@needs("playbooks")
def skip_account(request: HttpRequest, name: str) -> HttpResponse:
    text = request.POST.get("account", "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404("No such account.")
    account = get_object_or_404(Account, pk=text)
    new = skip(_playbook(name), account, by=request.user, now=timezone.now())  # type: ignore[arg-type]
    said = "is left alone until its next renewal" if new else "is settled for this renewal already"
    messages.info(request, f"{account.name[:60]} {said}.")
    return redirect("web:playbook", name)
