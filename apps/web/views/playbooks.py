"""The playbooks: what each is for, whom it would act on now and in the next days, what it did and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.enough import after
from apps.crm.models import Account, Policy
from apps.crm.policy import NUMBERS, Numbers
from apps.playbooks import simulate
from apps.playbooks.due import due
from apps.playbooks.engine import NotRun, lines, named, standing_skips
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.registry import PLAYBOOKS, Playbook
from apps.web.rights import SignedIn
from config.celery import app

TICK = timedelta(seconds=app.conf.beat_schedule["playbooks-tick"]["schedule"])
SCHEDULE = {60: "Every minute"}.get(TICK.seconds, f"Every {TICK.seconds} seconds")
SHOWN = 50
RUNS_SHOWN = 20
# A page does not wait longer than this for a run; the clock does what is left.
SECONDS = 5
# Nobody looks ahead for longer than this; the days that were reached are shown.
SECONDS_AHEAD = 8


def found(name: str) -> Playbook:
    """The playbook of an address; 404 where there is none."""
    try:
        return named(name)
    except NotRun as unknown:
        raise Http404(unknown.sentence) from None


def _moment(when: datetime | None, request: SignedIn) -> str:
    """A moment in the reader's own time."""
    return request.user.moment(when, timezone.now())


def _switched(request: SignedIn, switch: Switch | None, now: datetime) -> dict[str, Any]:
    """When a playbook last ran, runs next, and who last turned it, in words."""
    last = switch.last_run_at if switch else None
    paused = bool(switch and switch.paused)
    following = _moment(max(last + TICK, now), request) if last else "within a minute"
    return {
        "paused": paused,
        "turned_by": f"{switch.by}, {_moment(switch.at, request)}" if switch and switch.by else "",
        "last": _moment(last, request) or "not yet",
        "next": "when it is resumed" if paused else following,
    }


@require_safe
def playbooks(request: SignedIn) -> HttpResponse:
    """All of them, in the team's order."""
    now = timezone.now()
    numbers = Policy.at(now)
    switches = {switch.playbook: switch for switch in Switch.objects.select_related("by")}
    table = [
        {
            "name": playbook.name,
            "says": playbook.says,
            "does": playbook.then.says,
            "due": due(playbook, numbers).count(),
            **_switched(request, switches.get(playbook.name), now),
        }
        for playbook in PLAYBOOKS.values()
    ]
    return render(request, "web/playbooks.html", {"playbooks": table, "schedule": SCHEDULE})


@require_safe
def playbook(request: SignedIn, name: str) -> HttpResponse:
    """One of them: what it is for, whom it would act on, whom it failed on, what it did."""
    shown, now = found(name), timezone.now()
    numbers = Policy.at(now)
    switch = Switch.objects.select_related("by").filter(playbook=name).first()
    rows = due(shown, numbers)
    count = rows.count()
    runs = list(Run.objects.filter(playbook=name).select_related("by")[:RUNS_SHOWN])
    names = _names(runs)
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
            "failures": _failures(request, runs, names, rows),
            "skips": _skips(request, name),
            "runs": [_run(request, run, names) for run in runs],
            **_acts(request, name),
            **_left(shown, numbers, _id(request, "of")),
            "may_steer": request.user.may("playbooks"),
            "seconds_now": SECONDS,
            "today": numbers.today,
        },
    )


@require_safe
def ahead(request: SignedIn, name: str) -> HttpResponse:
    """The next days of a playbook, simulated: a part that its page asks for once it stands, or a page by itself."""
    shown, now, began = found(name), timezone.now(), monotonic()
    context: dict[str, Any] = {"playbook": shown, "busy": False}
    try:
        told = simulate.ahead(shown, now=now, enough=after(SECONDS_AHEAD))
    except simulate.Busy:
        context["busy"] = True
    else:
        context |= {
            "ahead": told,
            "all_days": simulate.DAYS,
            "today": Policy.at(now).today,
            "total": sum(day.count for day in told.days),
            "most": max((day.count for day in told.days), default=0),
            "seconds": f"{monotonic() - began:.1f}",
        }
    part = "HX-Request" in request.headers
    return render(request, "web/playbook_ahead.html" if part else "web/playbook_ahead_page.html", context)


@require_safe
def progress(request: SignedIn, name: str) -> HttpResponse:
    """How far a long run is (``of`` so many): polled; once nothing is left the page is asked for anew."""
    shown = found(name)
    left = _left(shown, Policy.at(timezone.now()), _id(request, "of"))
    if not left["left"]:
        return HttpResponse(headers={"HX-Redirect": reverse("web:playbook", args=[name])})
    return render(request, "web/playbook_progress.html", {"playbook": shown, **left})


def _left(playbook: Playbook, numbers: Numbers, of: int | None) -> dict[str, int]:
    """Of so many accounts of a run, on how many it has still to act; those it failed on wait for nobody."""
    if not of:
        return {"of": 0, "left": 0}
    last = Run.objects.filter(playbook=playbook.name).first()
    left = due(playbook, numbers).count() - (last.failed if last else 0)
    return {"of": of, "left": min(max(left, 0), of)}


def _numbers(playbook: Playbook, numbers: Numbers) -> list[dict[str, Any]]:
    return [
        {"says": NUMBERS[name].says, "value": getattr(numbers, name), "unit": NUMBERS[name].unit}
        for name in playbook.numbers
    ]


def _names(runs: Sequence[Run]) -> dict[int, str]:
    """The names of the accounts on which runs failed."""
    failed = {error["account"] for run in runs for error in run.errors}
    return dict(Account.objects.filter(pk__in=failed - {None}).values_list("pk", "name")) if failed else {}


def _failures(
    request: SignedIn, runs: Sequence[Run], names: dict[int, str], rows: Any
) -> list[dict[str, Any]]:
    """Accounts it failed on and is still for: the last error, since when, and how often it has tried."""
    told: dict[int, dict[str, Any]] = {}
    for run in runs:
        for error in run.errors:
            one = told.setdefault(error["account"], {**error, "tries": 0})
            one |= {"tries": one["tries"] + run.tries, "since": _moment(run.started_at, request)}
    standing = set(rows.filter(pk__in=names).values_list("pk", flat=True)) if names else set()
    return [{**one, "name": names[pk]} for pk, one in told.items() if pk in standing]


def _run(request: SignedIn, run: Run, names: dict[int, str]) -> dict[str, Any]:
    """A run that did something, with its first failures."""
    return {
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


def _skips(request: SignedIn, name: str) -> list[dict[str, Any]]:
    """Accounts that it leaves alone until their next renewal, the last said first."""
    skips = standing_skips().filter(playbook=name).select_related("account", "by")
    return [
        {"account": act.account, "by": str(act.by), "at": _moment(act.at, request)} for act in skips[:SHOWN]
    ]


def _acts(request: SignedIn, name: str) -> dict[str, Any]:
    """A page of what it did, newest first: of one run (``run``), on from an act (``before``)."""
    acts = Act.objects.filter(playbook=name, skipped=False).select_related("account")
    chosen = {"run": _id(request, "run"), "before": _id(request, "before")}
    if chosen["run"]:
        acts = acts.filter(run=chosen["run"])
    if chosen["before"]:
        acts = acts.filter(pk__lt=chosen["before"])
    page = list(acts[: SHOWN + 1])
    return {
        "acts": [
            {"at": _moment(act.at, request), "account": act.account, "because": act.because}
            for act in page[:SHOWN]
        ],
        "of_run": chosen["run"],
        "older": page[SHOWN - 1].pk if len(page) > SHOWN else None,
    }


def _id(request: SignedIn, key: str) -> int | None:
    """A number from the query string; what cannot be an id is left out."""
    text = request.GET.get(key, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
