"""Tokens: the keys other programs come in with. Each is shown once, when it is made; we keep its hash."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from apps.crm.models import User
from apps.intake.models import ApiToken
from apps.web.forms.base import sentence
from apps.web.forms.settings import TokenForm
from apps.web.rights import SignedIn, needs


@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: SignedIn) -> HttpResponse:
    """All tokens, those taken back last; POST makes one and shows it, this once."""
    if request.method == "POST":
        return needs("tokens")(_issue)(request)
    return _tokens(request)


def _issue(request: SignedIn) -> HttpResponse:
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _tokens(request, wrong=sentence(form))
    holder = form.cleaned_data["user"] or request.user
    # A token acts as its holder: nobody lends themselves another's name, but who enters people anyway.
    if holder != request.user and not request.user.may("users"):
        return _tokens(request, wrong="A token of somebody else is made by an admin.")
    made = ApiToken.objects.issue(
        holder, now=timezone.now(), name=form.cleaned_data["name"], read_only=form.cleaned_data["read_only"]
    )
    return _tokens(request, made=made)


def _tokens(request: SignedIn, *, made: str = "", wrong: str = "") -> HttpResponse:
    may = request.user.may("tokens")
    context = {
        "tokens": ApiToken.objects.select_related("user").order_by("revoked_at", "-created_at", "-pk"),
        "made": made,
        "wrong": f"Nothing was changed: {wrong}" if wrong else "",
        "may": may,
        "people": User.objects.filter(is_active=True).names() if request.user.may("users") else {},
        "now": timezone.now(),
    }
    return render(request, "web/settings_tokens.html", context, status=422 if wrong else 200)


@require_POST
@needs("tokens")
def revoke(request: SignedIn, pk: int) -> HttpResponse:
    """Ask first; then take a token back for good."""
    found = get_object_or_404(ApiToken, pk=pk)
    if not request.POST.get("sure"):
        asked = {
            "title": f"Revoke “{found}”",
            "says": "The program that uses it is let in no more.",
            "values": {},
            "words": "Revoke",
            "back": reverse("web:settings_tokens"),
        }
        return render(request, "web/settings_sure.html", asked)
    ApiToken.objects.filter(pk=pk).revoke(now=timezone.now())
    messages.info(request, f"“{found}” opens nothing any more.")
    return redirect("web:settings_tokens")
