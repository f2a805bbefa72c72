"""The team's labels: renamed, merged, deleted, with how many accounts wear each."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.crm.models import Label
from apps.web.forms.base import sentence
from apps.web.forms.settings import LabelNameForm, MergeForm
from apps.web.rights import SignedIn, needs
from apps.web.undo import undoable


@require_safe
def labels(request: SignedIn) -> HttpResponse:
    """All of them."""
    return _labels(request)


def _labels(request: SignedIn, wrong: str = "") -> HttpResponse:
    context = {
        "labels": Label.objects.with_uses(),
        "may": request.user.may("labels"),
        "wrong": f"Nothing was changed: {wrong}" if wrong else "",
    }
    return render(request, "web/settings_labels.html", context, status=422 if wrong else 200)


@require_POST
@needs("labels")
def rename(request: SignedIn, pk: int) -> HttpResponse:
    """Give a label another name; one that another label has is refused: they are to be merged."""
    found = get_object_or_404(Label, pk=pk)
    before, form = found.name, LabelNameForm(request.POST, instance=found)
    if not form.is_valid():
        return _labels(request, wrong=sentence(form))
    form.save()
    back = reverse("web:label_rename", args=[pk])
    undoable(request, f"“{before}” is called “{found}” now.", back, name=before)
    return redirect("web:settings_labels")


@require_POST
@needs("labels")
def merge(request: SignedIn, pk: int) -> HttpResponse:
    """Ask first; then have the accounts of a label wear another instead."""
    found, form = get_object_or_404(Label, pk=pk), MergeForm(request.POST)
    if not form.is_valid():
        return _labels(request, wrong=sentence(form))
    into = form.cleaned_data["into"]
    if into == found:
        return _labels(request, wrong="These are the same label.")
    if not request.POST.get("sure"):
        asked = {
            "title": f"Merge “{found}” into “{into}”",
            "says": f"Its accounts are labelled “{into}” instead, and “{found}” is gone.",
            "values": {"into": into.pk},
            "words": "Merge",
            "back": reverse("web:settings_labels"),
        }
        return render(request, "web/settings_sure.html", asked)
    worn = found.merge(into, now=timezone.now())
    messages.info(request, f"{_accounts(worn)} labelled “{into}” instead of “{found}” now.")
    return redirect("web:settings_labels")


@require_http_methods(["GET", "HEAD", "POST"])
@needs("labels")
def delete(request: SignedIn, pk: int) -> HttpResponse:
    """Ask first, with the count; then take a label off its accounts for good."""
    found = get_object_or_404(Label.objects.with_uses(), pk=pk)
    if request.method == "POST":
        worn = found.remove(now=timezone.now())
        messages.info(request, f"The label “{found}” is gone; {worn:,} wore it.")
        return redirect("web:settings_labels")
    return render(request, "web/settings_label_delete.html", {"label": found})


def _accounts(number: int) -> str:
    return f"{number:,} account{' is' if number == 1 else 's are'}"
