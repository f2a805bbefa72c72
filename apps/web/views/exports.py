"""Taking data out: every table as a CSV file, and everything about one account as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_safe

from apps.crm.models import Account, Policy
from apps.crm.policy import Numbers
from apps.web.everything import everything
from apps.web.exports import EXPORTS
from apps.web.rights import SignedIn, needs


@require_safe
def exports(request: SignedIn) -> HttpResponse:
    """The tables that the reader may take out."""
    mine = [export for export in EXPORTS.values() if request.user.may(export.right)]
    return render(request, "web/exports.html", {"exports": mine})


@require_GET
def export(request: SignedIn, name: str) -> StreamingHttpResponse:
    """A table as a file, for the query string of its page."""
    table = EXPORTS.get(name)
    if table is None:
        raise Http404("There is no table of this name.")
    if not request.user.may(table.right):
        raise PermissionDenied
    numbers = Policy.at(timezone.now())
    return as_csv(table.lines(request.GET, numbers=numbers, user=request.user), name, numbers)


@require_GET
@needs("export people")
def account(request: SignedIn, pk: int) -> JsonResponse:
    """Everything we hold about one account."""
    found = get_object_or_404(Account, pk=pk)
    name = f"onramp-account-{pk}-{Policy.at(timezone.now()).today}.json"
    return JsonResponse(everything(found), json_dumps_params={"indent": 1}, headers=_as_file(name))


def as_csv(pieces: Iterable[str], name: str, numbers: Numbers) -> StreamingHttpResponse:
    """A CSV file of today, sent as it is written."""
    return StreamingHttpResponse(
        pieces,
        content_type="text/csv; charset=utf-8",
        headers=_as_file(f"onramp-{name}-{numbers.today}.csv"),
    )


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
