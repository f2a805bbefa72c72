"""Find: accounts and commands by a few letters; a page of its own, and the part the palette shows."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm import finding
from apps.crm.days import away, day
from apps.crm.models import Policy
from apps.crm.pipeline import Stage
from apps.web.display import GROUPS
from apps.web.palette import commands
from apps.web.rights import SignedIn

RECENT = 8
LONGEST_ID = 18


@require_safe
def find(request: SignedIn) -> HttpResponse:
    """The page, which needs no script."""
    return render(request, "web/find.html", _context(request))


@require_safe
def found(request: SignedIn) -> HttpResponse:
    """The part; ``recent`` names the accounts to show where nothing is typed, ``account`` says that one is at hand."""
    return render(request, "web/_found.html", _context(request))


def _context(request: SignedIn) -> dict[str, Any]:
    text = request.GET.get("q", "").replace("\0", "").strip()[: finding.LONGEST]
    recent = [
        int(given)
        for given in request.GET.get("recent", "").split(",")[:RECENT]
        if given.isascii() and given.isdigit() and len(given) <= LONGEST_ID
    ]
    rows = finding.find(text) if text else finding.by_ids(recent)
    today = Policy.at(timezone.now()).today
    return {
        "q": text,
        "accounts": [_shown(row, today) for row in rows],
        "commands": commands(text, request.user, of_account="account" in request.GET),
    }


def _shown(row: dict[str, Any], today: Any) -> dict[str, Any]:
    stage = Stage(row["stage"])
    renewal = (
        f"{day(row['renewal_on'], today)}, {away(row['renewal_on'], today)}" if row["renewal_on"] else ""
    )
    return {**row, "label": stage.label, "group": GROUPS[stage], "renewal": renewal}
