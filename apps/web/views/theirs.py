"""What imports say of stages against what stands here: accounts in quarantine, and those that differ."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.models import Account, Policy, StageTransition, TheirStage
from apps.crm.options import likeliest_first
from apps.web.rights import SignedIn

SHOWN = 50


@require_safe
def quarantine(request: HttpRequest) -> HttpResponse:
    """The accounts whose stage of old a person must place, each with the moves that place it."""
    page = _page(request, Account.objects.quarantined().select_related("owner"))
    context = _rows(cast(SignedIn, request), page, page.paginator.count, now=timezone.now())
    return render(request, "web/quarantine.html", context | {"page": page})


def quarantine_parts(
    request: SignedIn, account: Account, *, now: datetime, moved: StageTransition | None
) -> str:
    """The row of one account drawn anew, and how many are left.

    A row that was placed stays: were it gone, a second click would place the next.
    """
    context = _rows(request, [account], Account.objects.quarantined().count(), now=now)
    return render_to_string("web/_quarantine_parts.html", context, request)


@require_safe
def drift(request: HttpRequest) -> HttpResponse:
    """The accounts that an import, when it last spoke of them, put elsewhere than they stand here."""
    context = {
        "page": _page(request, Account.objects.drifted().select_related("their_stage", "owner")),
        "heard": TheirStage.objects.exists(),
        "numbers": Policy.at(timezone.now()),
    }
    return render(request, "web/drift.html", context)


def _rows(request: SignedIn, accounts: Iterable[Account], count: int, *, now: datetime) -> dict[str, Any]:
    return {
        "rows": [
            (account, [one for one in likeliest_first(account) if one.permitted]) for account in accounts
        ],
        "count": count,
        "today": Policy.at(now).today,
        "may_move": request.user.may("move"),
    }


def _page(request: HttpRequest, accounts: QuerySet[Account]) -> Page[Account]:
    return Paginator(accounts, SHOWN).get_page(request.GET.get("page"))
