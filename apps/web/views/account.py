"""An account's own page: where it stands, what can be done, what happened."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.models import (
    Account,
    AuditPoint,
    Credit,
    Label,
    Note,
    OutLink,
    Policy,
    StageTransition,
    User,
)
from apps.crm.models.audit import REMINDED
from apps.crm.models.credit import sums
from apps.crm.models.outlink import REFUND_POLICY
from apps.crm.options import likeliest_first
from apps.crm.pipeline import CLOSED, OPEN, STAGES, Stage
from apps.crm.policy import Numbers
from apps.crm.scope import Outcome, segments
from apps.crm.track import reached_since_entry, track
from apps.playbooks.engine import standing_skips
from apps.playbooks.registry import PLAYBOOKS
from apps.web import tables
from apps.web.billplot import plot
from apps.web.display import GROUPS, runway_at
from apps.web.markdown import rendered
from apps.web.standing import standing
from apps.web.timeline import KINDS, timeline
from apps.web.trackplot import drawn
from apps.web.views.calls import marks_for, there

BILLS, FEW, MANY = 12, 5, 50


class Step(NamedTuple):
    """A dot of the stepper: the stages it stands for, and whether the account is or has been there."""

    label: str
    group: str
    now: bool
    been: bool


class Clash(NamedTuple):
    """Two values of one thing: theirs, which stands, and mine, with what to send to keep it."""

    label: str
    theirs: str
    mine: str
    address: str
    values: dict[str, str]
    draft: str


@require_safe
def account(request: HttpRequest, pk: int) -> HttpResponse:
    """The page of one account; ``kind`` and ``after`` narrow what happened."""
    return _page(request, pk, "web/account.html")


@require_safe
def over(request: HttpRequest, pk: int) -> HttpResponse:
    """The same without the bar: what slides over the list and the board."""
    return _page(request, pk, "web/_account.html")


def account_parts(
    request: HttpRequest,
    account: Account,
    *,
    now: datetime,
    moved: StageTransition | None,
    clash: Clash | None = None,
) -> str:
    """The whole of an account's page below the bar, drawn anew."""
    context = _context(request, account, Policy.at(now)) | {"clash": clash}
    return render_to_string("web/_account_parts.html", context, request)


def _page(request: HttpRequest, pk: int, template: str) -> HttpResponse:
    shown = get_object_or_404(Account.objects.select_related("owner", "payment_risk_by", "claimed_by"), pk=pk)
    return render(request, template, _context(request, shown, Policy.at(timezone.now())))


def _context(request: HttpRequest, account: Account, numbers: Numbers) -> dict[str, Any]:
    stage = Stage(account.stage)
    kind = request.GET.get("kind", "")
    reached = reached_since_entry(account)
    credits = list(Credit.objects.of(account))
    links = OutLink.objects.of(account)
    bills = list(account.bills.order_by("-period_start", "-pk")[:BILLS])
    return {
        "account": account,
        "numbers": numbers,
        "today": numbers.today,
        "my_today": request.user.today(numbers.now),  # type: ignore[union-attr]
        "stage": stage,
        "stay": tables.stay(stage, account.stage_since, numbers.now),
        "steps": _steps(reached, stage),
        "planned": drawn(track(account, reached, numbers), numbers.today),
        "options": likeliest_first(account),
        "reminded": REMINDED,
        "audit": AuditPoint.objects.audit(account),
        "credits": credits,
        "given": sums(credits),
        "risk_until": account.renewal_on if (account.renewal_on or numbers.today) > numbers.today else None,
        "links": links,
        "refund_policy": next((link.url for link in links if link.label == REFUND_POLICY), ""),
        "pinned": [
            (note, rendered(note.text)) for note in account.notes.pinned().select_related("author")[:FEW]
        ],
        "segments": segments(stage, account.forecast, numbers),
        "no_longer_ours": stage in OPEN and account.scope not in (Outcome.UNDECIDED, Outcome.OURS),
        "timeline": timeline(account, numbers, kind=kind, after=request.GET.get("after", "")),
        "after": request.GET.get("after", ""),
        "kind": kind if kind in KINDS else "",
        "timeline_kinds": KINDS,
        "tasks": list(account.tasks.open().select_related("assignee")[:MANY]),
        "alerts": list(account.alerts.open().select_related("assignee", "acknowledged_by")[:MANY]),
        "contacts": list(account.contacts.ranked().judged()[:MANY]),
        "bills": bills[:FEW],
        "plot": plot(bills, numbers.today),
        "calls": [
            (
                call,
                marks_for(call.status, call.starts_at, numbers.now),
                there(call.starts_at, call.contact_time_zone, numbers.zone),
            )
            for call in account.calls.prefetch_related("hosts")[:FEW]
        ],
        "surveys": list(account.surveys.select_related("contact")[:FEW]),
        "skips": list(standing_skips().filter(account=account).select_related("by")),
        "playbooks": PLAYBOOKS,
        "kinds": Note.Kind.choices,
        "labels": list(account.labels.all()),
        "all_labels": list(Label.objects.values_list("name", flat=True)[:500]),
        "people": list(User.objects.assignable()),
        "write_by": account.outreach_due_on(numbers),
        "runway": account.renewal_on and runway_at((account.renewal_on - numbers.today).days),
        "standing": standing(account, request.user, numbers),  # type: ignore[arg-type]
        "holder": account.holder(numbers),
        "clash": None,
    }


def _steps(been: Collection[Stage], stage: Stage) -> list[Step]:
    """The stages as dots in the board's order, the closed ones as one."""
    dots: list[tuple[Stage, ...]] = [(one,) for one in STAGES if one not in CLOSED]
    dots.insert(len(dots) - 1, CLOSED)
    return [
        Step(
            label=stage.label if stage in dot else (dot[0].label if len(dot) == 1 else "6. Closed"),
            group=GROUPS[stage if stage in dot else dot[0]],
            now=stage in dot,
            been=any(one in been for one in dot),
        )
        for dot in dots
    ]
