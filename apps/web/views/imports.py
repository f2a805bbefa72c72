"""Importing a file of accounts: upload, columns, preview, confirm, progress, release."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.crm.pipeline import Stage
from apps.intake.columns import COLUMNS
from apps.intake.files import MOST_BYTES, Unusable
from apps.intake.imports import LISTS
from apps.intake.jobs import run_import
from apps.intake.models import Import
from apps.web.rights import needs
from config.celery import ring

LISTED = 50
TOLD_BEFORE = "Somebody has changed or confirmed this import meanwhile: here it is as it stands."


@require_http_methods(["GET", "HEAD", "POST"])
def imports(request: HttpRequest) -> HttpResponse:
    """The form for a file, and what was imported before; a POST is an upload."""
    return upload(request) if request.method == "POST" else _page(request)


@needs("preview import")
def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES.get("file")
    if file is None:
        return _page(request, "Choose a file first.")
    if (file.size or 0) > MOST_BYTES:
        return _page(request, f"The file is larger than {MOST_BYTES // 1024**2} MB: import it in parts.")
    try:
        made = Import.upload(file.name or "", file.read(), by=request.user, now=timezone.now())  # type: ignore[arg-type]
    except Unusable as error:
        return _page(request, f"Line {error.line}: {error.sentence}" if error.line else error.sentence)
    return redirect("web:import", made.pk)


@require_GET
def one_import(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "web/import.html", _shown(request, _found(pk)))


@require_POST
@needs("preview import")
def columns(request: HttpRequest, pk: int) -> HttpResponse:
    """Preview it with other columns."""
    found = _found(pk)
    chosen = {name: request.POST.get(f"column-{place}", "") for place, name in enumerate(found.header)}
    if not found.remap(chosen, now=timezone.now()):
        messages.warning(request, TOLD_BEFORE)
    return redirect("web:import", pk)


@require_POST
@needs("import")
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the worker import it as it was previewed; the table is the queue, and the bell may fail."""
    revision = request.POST.get("revision", "")
    seen = int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 10 else 0
    if _found(pk).confirm(seen, by=request.user, now=timezone.now()):  # type: ignore[arg-type]
        ring(run_import.name)
    else:
        messages.warning(request, TOLD_BEFORE)
    return redirect("web:import", pk)


@require_GET
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is: polled while it runs; once it is over the page is asked for anew."""
    found = _found(pk)
    if found.over:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "web/import_progress.html", {"found": found})


@require_POST
@needs("import")
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the playbooks act on what it created."""
    released = _found(pk).release(by=request.user, now=timezone.now())  # type: ignore[arg-type]
    messages.success(request, f"Released {released} accounts: the playbooks may act on them from now on.")
    return redirect("web:import", pk)


def _all() -> QuerySet[Import]:
    return Import.objects.light().select_related("by", "confirmed_by", "released_by")


def _found(pk: int) -> Import:
    return get_object_or_404(_all(), pk=pk)


def _page(request: HttpRequest, error: str = "") -> HttpResponse:
    context = {
        "error": error,
        "imports": _all().defer("file", "outcome", "mapping", "header")[:LISTED],
        "may_preview": request.user.may("preview import"),  # type: ignore[union-attr]
    }
    return render(request, "web/imports.html", context, status=422 if error else 200)


def _shown(request: HttpRequest, found: Import) -> dict[str, Any]:
    outcome = found.outcome
    for listing in ("errors", *LISTS):
        outcome[listing] = outcome[listing][:LISTED]
    return {
        "found": found,
        "outcome": outcome,
        "differing": [(*row[:4], Stage(row[4]).label) for row in outcome["differing"]],
        "columns": COLUMNS.values(),
        "ignored": [name for name, column in found.mapping.items() if not column],
        "may_preview": request.user.may("preview import"),  # type: ignore[union-attr]
        "may_import": request.user.may("import"),  # type: ignore[union-attr]
    }
