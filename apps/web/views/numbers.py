"""The reports and the page for Revenue: tables and plots of the numbers the team is run by."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_safe

from apps.crm.metrics import METRICS
from apps.crm.models import Policy
from apps.web import numbers as shown
from apps.web.csvfile import BOM, written
from apps.web.rights import SignedIn
from apps.web.views.exports import as_csv


@require_safe
def reports(request: HttpRequest, name: str = "retention") -> HttpResponse:
    """One page of reports."""
    if name not in shown.PAGES:
        raise Http404("There is no report of this name.")
    numbers = Policy.at(timezone.now())
    context = {
        "sections": shown.page(name, numbers),
        "name": name,
        "pages_of": shown.PAGES,
        "numbers": numbers,
    }
    return render(request, "web/numbers.html", context)


@require_safe
def revenue(request: HttpRequest) -> HttpResponse:
    """What Revenue plans with."""
    numbers = Policy.at(timezone.now())
    context = {
        "sections": shown.page("revenue", numbers),
        "name": "revenue",
        "pages_of": {},
        "numbers": numbers,
    }
    return render(request, "web/numbers.html", context)


@require_GET
def metric(request: SignedIn, name: str) -> StreamingHttpResponse:
    """One table as a CSV file."""
    found = METRICS.get(name)
    if found is None:
        raise Http404("There is no number of this name.")
    if not request.user.may(found.right):
        raise PermissionDenied
    numbers = Policy.at(timezone.now())
    header, *rows = shown.lines_of(found, numbers)
    return as_csv((BOM, *written(header, rows)), name, numbers)
