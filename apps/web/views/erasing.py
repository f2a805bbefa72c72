"""Erasing a person or an account on request: first what will go and what stays, then, typed out, the deed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from apps.crm.models import Account, Contact
from apps.intake.erasure import Gone, NotErased, erase_account, erase_person, rehearse
from apps.web.rights import SignedIn, needs


@require_http_methods(["GET", "HEAD", "POST"])
@needs("erase")
def account(request: SignedIn, pk: int) -> HttpResponse:
    """An account with all that hangs on it."""
    found = get_object_or_404(Account, pk=pk)
    erase = lambda: erase_account(found, by=request.user, now=timezone.now())  # noqa: E731
    context = {
        "account": found,
        "what": "account",
        "typed": found.external_id,
        "contacts": found.contacts.ranked(),
    }
    return _answer(request, erase, context, back="web:daily")


@require_http_methods(["GET", "HEAD", "POST"])
@needs("erase")
def person(request: SignedIn, pk: int, contact: int) -> HttpResponse:
    """A person, at whatever accounts they are."""
    found = get_object_or_404(Contact.objects.select_related("account"), pk=contact, account=pk)
    erase = lambda: erase_person(found.email, by=request.user, now=timezone.now())  # noqa: E731
    context = {"account": found.account, "contact": found, "what": "person", "typed": found.email}
    return _answer(request, erase, context, back=found.account)


def _answer(request: SignedIn, erase: Callable[[], Gone], context: dict[str, Any], back: Any) -> HttpResponse:
    wrong = ""
    try:
        if request.method == "POST":
            if request.POST.get("typed", "").strip().lower() == context["typed"].lower():
                erase()
                messages.info(request, f"The {context['what']} is erased.")
                return redirect(back)
            wrong = f"Nothing was erased: this is not “{context['typed']}”."
        context |= {"gone": sorted(rehearse(erase).items()), "wrong": wrong}
    except NotErased as error:
        context |= {"gone": [], "refused": error.sentence}
    return render(
        request, "web/erase.html", context, status=409 if "refused" in context else 422 if wrong else 200
    )
