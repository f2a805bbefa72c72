"""An account's own page: where it stands, what can be done, what happened."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.models import Account, Note, Policy, StageTransition, Task, User
from apps.crm.pipeline import Stage, likeliest_first
from apps.crm.policy import Numbers
from apps.web import tables
from apps.web.display import runway_at

SHOWN = 50


@require_safe
def account(request: HttpRequest, pk: int) -> HttpResponse:
    """The page of one account."""
    shown = get_object_or_404(Account.objects.select_related("owner", "payment_risk_by"), pk=pk)
    return render(request, "web/account.html", _context(request, shown, Policy.at(timezone.now())))


def account_parts(
    request: HttpRequest, account: Account, *, now: datetime, moved: StageTransition | None
) -> str:
    """The whole of an account's page below the bar, drawn anew."""
    context = _context(request, account, Policy.at(now))
    return render_to_string("web/_account_parts.html", context, request)


def _context(request: HttpRequest, account: Account, numbers: Numbers) -> dict[str, Any]:
    moves = account.transitions.select_related("by")[:SHOWN]
    tasks = Task.objects.filter(account=account).select_related("assignee")
    return {
        "account": account,
        "numbers": numbers,
        "today": numbers.today,
        "stage": Stage(account.stage),
        "stay": tables.stay(Stage(account.stage), account.stage_since, numbers.now),
        "options": likeliest_first(account),
        "moves": list(moves),
        "notes": list(account.notes.select_related("author")[:SHOWN]),
        "tasks": list(tasks.open()),
        "done": list(tasks.filter(done_at__isnull=False).order_by("-done_at")[:10]),
        "alerts": list(account.alerts.open()),
        "contacts": list(account.contacts.all()[:SHOWN]),
        "kinds": Note.Kind.choices,
        "labels": list(account.labels.values_list("name", flat=True)),
        "people": list(User.objects.assignable()),
        "write_by": account.outreach_due_on(numbers),
        "runway": account.renewal_on and runway_at((account.renewal_on - numbers.today).days),
    }
