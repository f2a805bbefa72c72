"""What colleagues, playbooks and other systems have changed since a page was drawn."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from django.db import DataError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.crm.models import Account
from apps.crm.models.touched import mark_of_now
from apps.web.rights import SignedIn, View

# More than this at once is an import or a sweep: the page is told to draw itself anew.
MOST = 200


_MARK = re.compile(r"[0-9]{1,18}:[0-9]{1,18}:([0-9]{1,18}(,[0-9]{1,18})*)?")


@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    """The accounts changed since ``?since=``, or 204 where there are none; an unreadable mark starts anew."""
    since = request.GET.get("since", "")[:4000]
    try:
        rows = list(
            Account.objects.touched_since(since).values_list("pk", "stage", "version", "mark")[: MOST + 1]
            if _MARK.fullmatch(since)
            else []
        )
    except DataError:
        since, rows = "", []
    if rows:
        accounts = [{"id": pk, "stage": stage, "version": version} for pk, stage, version, _ in rows[:MOST]]
        return JsonResponse({"since": rows[0][3], "accounts": accounts, "all": len(rows) > MOST})
    if _MARK.fullmatch(since):
        return HttpResponse(status=204)
    return JsonResponse({"since": mark_of_now(), "accounts": [], "all": True})


def anew(parts: Callable[[SignedIn, datetime], str]) -> View:
    """The view that draws a page anew: its ``parts``, with what others have changed, and the counts of the bar."""

    @require_safe
    def changed(request: SignedIn) -> HttpResponse:
        counted = render_to_string("web/_bar_counts.html", request=request)
        return HttpResponse(parts(request, timezone.now()) + counted)

    return changed
