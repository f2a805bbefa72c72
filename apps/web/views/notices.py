"""What a person is told of their own work: mentions, and what was given to them; and which mail they want of it."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import DateTimeField, F
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from apps.crm.days import away, day
from apps.crm.keyset import Column, Order, page
from apps.crm.models import Notice, Policy, User
from apps.web.forms.base import sentence
from apps.web.forms.settings import LookedForm, MailForm
from apps.web.rights import SignedIn

NEWEST = Order("-told", Column(F("at"), DateTimeField()))


@require_safe
def notices(request: SignedIn) -> HttpResponse:
    """What still holds of it, newest first."""
    now, me = timezone.now(), request.user
    mine = Notice.objects.standing().filter(user=me)
    found = page(
        mine.select_related("account", "by", "note", "task", "alert"),
        NEWEST,
        cursor=request.GET.get("cursor", ""),
    )
    today = me.today(now)
    days = [one.at.astimezone(me.zone).date() for one in found.rows]
    context = {
        "rows": [(one, day(at, today), away(at, today)) for one, at in zip(found.rows, days, strict=True)],
        "next": found.next,
        "notice": found.notice,
        "unseen": mine.unseen().exists(),
        "now": now,
        "today": today,
        "numbers": Policy.at(now),
    }
    return render(request, "web/notices.html", context)


@require_POST
def seen(request: SignedIn) -> HttpResponse:
    """Say that one has looked at what was told until the page was drawn: what came later is still new."""
    form = LookedForm(request.POST)
    if form.is_valid():
        now = timezone.now()
        Notice.objects.filter(user=request.user).see(until=min(form.cleaned_data["until"], now), now=now)
    return redirect("web:notices")


@require_POST
def mail(request: SignedIn) -> HttpResponse:
    """Choose which mail one wants."""
    form = MailForm(request.POST)
    if form.is_valid():
        request.user.want(**form.cleaned_data, now=timezone.now())
        messages.info(request, "Your mail is set.")
    else:
        messages.info(request, f"Nothing was changed: {sentence(form)}")
    return redirect("web:notices")


@require_safe
@cache_control(private=True, max_age=3600)
def colleagues(request: SignedIn) -> HttpResponse:
    """Whom a note may mention, for the list behind an @."""
    others = [person for person in User.objects.to_mention() if person["login"] != request.user.username]
    return JsonResponse({"colleagues": others})
