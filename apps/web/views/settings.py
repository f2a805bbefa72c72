"""The settings' front page, and those of one's own."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from apps.crm.models import User
from apps.web.forms.base import sentence
from apps.web.forms.settings import MeForm
from apps.web.keys import KEYS
from apps.web.rights import SignedIn


@require_safe
def settings(request: SignedIn) -> HttpResponse:
    """Every page of the settings; everybody may read them."""
    return render(request, "web/settings.html")


@require_http_methods(["GET", "HEAD", "POST"])
def me(request: SignedIn) -> HttpResponse:
    """One's own time zone, hours and keys."""
    # A row of its own: what was refused must not show in the bar.
    mine = User.objects.get(pk=request.user.pk)
    form = MeForm(request.POST or None, instance=mine)
    if form.is_valid():
        mine.save(update_fields=[*form.cleaned_data])
        messages.info(request, "Your settings are saved.")
        return redirect("web:settings_me")
    wrong = f"Nothing was changed: {sentence(form)}" if form.errors else ""
    return render(
        request, "web/settings_me.html", {"form": form, "wrong": wrong}, status=422 if wrong else 200
    )


@require_safe
def keys(request: SignedIn) -> HttpResponse:
    """Every key, but those of what this person may not do."""
    may = {where: [key for key in keys if request.user.may(key.right)] for where, keys in KEYS.items()}
    return render(request, "web/keys.html", {"keys": may})
