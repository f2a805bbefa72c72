"""Saved views: kept, shared, renamed, deleted, taken back. Each is a form that leads back to the page it came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.crm.models import SavedView, User
from apps.crm.models.view import NotKept
from apps.web.forms.base import sentence
from apps.web.forms.many import KeepViewForm, RenameViewForm, SeenViewForm, UpdateViewForm
from apps.web.rights import SignedIn
from apps.web.undo import undoable

# The pages that show views.
PAGES = {"list": "/", "board": "/board/"}

Given = dict[str, Any]


class Change(NamedTuple):
    """A change of a view: how it is read, what becomes of the view, and what is said then.

    ``back`` is the change that takes it back, with what the view was ``before``, as its form sends it.
    """

    form: type[forms.Form]
    values: Callable[[Given, User], Given]
    says: str
    back: str
    before: Callable[[SavedView], dict[str, str]]


def _named(view: SavedView) -> dict[str, str]:
    ticked = {name: "on" for name in ("shared", "protected") if getattr(view, name)}
    return {"name": view.name, **ticked}


def _renamed(given: Given, user: User) -> Given:
    values = {"name": given["name"], "shared": given["shared"] and user.may("edit")}
    return {**values, "protected": given["protected"]} if user.may("shared views") else values


CHANGES = {
    "update": Change(
        UpdateViewForm,
        lambda given, user: {"query": given["query"]},
        "“{}” shows this from now on.",
        "update",
        lambda view: {"query": view.query},
    ),
    "rename": Change(RenameViewForm, _renamed, "“{}” is kept.", "rename", _named),
    "delete": Change(
        SeenViewForm,
        lambda given, user: {"deleted_at": timezone.now()},
        "“{}” is deleted.",
        "restore",
        lambda view: {},
    ),
}


@require_POST
def keep(request: SignedIn) -> HttpResponse:
    """Save what is shown as a view of one's own."""
    form = KeepViewForm(request.POST)
    if not form.is_valid():
        return _back(request, wrong=sentence(form))
    given = form.cleaned_data
    shared = given.pop("shared") and request.user.may("edit")
    try:
        made = SavedView.keep(**given, by=request.user, now=timezone.now(), shared=shared)
    except NotKept as error:
        return _back(request, wrong=error.sentence)
    messages.success(request, f"“{made}” is kept.")
    return _to(request, made)


@require_POST
def change(request: SignedIn, pk: int, name: str) -> HttpResponse:
    """Make a change of ``CHANGES`` for everybody who has the view."""
    how, view = CHANGES[name], _view(request, pk)
    if not view.may_be_changed_by(request.user):
        raise PermissionDenied
    form = how.form(request.POST)
    if not form.is_valid():
        return _back(request, wrong=sentence(form))
    seen = form.cleaned_data.pop("seen")
    before = how.before(view)
    try:
        view.change(seen=seen, now=timezone.now(), **how.values(form.cleaned_data, request.user))
    except NotKept as error:
        return _back(request, wrong=error.sentence)
    undoable(
        request,
        how.says.format(view),
        reverse(f"web:view_{how.back}", args=[pk]),
        **{"from": request.POST.get("from", ""), "seen": view.changed_at.isoformat(), **before},
    )
    return redirect(f"{_page(request)}?view=none") if view.deleted_at else _to(request, view)


@require_POST
def restore(request: SignedIn, pk: int) -> HttpResponse:
    """Take a deletion back."""
    view = get_object_or_404(SavedView, pk=pk, deleted_at__isnull=False)
    if not view.may_be_changed_by(request.user):
        raise PermissionDenied
    try:
        view.restore(now=timezone.now())
    except NotKept as error:
        messages.warning(request, error.sentence)
    else:
        messages.success(request, f"“{view}” is back.")
    return _to(request, view)


@require_POST
def opens_with(request: SignedIn, pk: int) -> HttpResponse:
    """Have one's daily list open with a view, or where it does so already, with all again."""
    view, me = _view(request, pk), request.user
    me.opens_with = None if me.opens_with_id == view.pk else view
    me.save(update_fields=["opens_with"])
    shown = f"“{view}”" if me.opens_with_id else "all open accounts"
    messages.success(request, f"Your daily list opens with {shown}.")
    return _to(request, view)


def _view(request: SignedIn, pk: int) -> SavedView:
    view: SavedView = get_object_or_404(SavedView.objects.of(request.user.pk), pk=pk)
    return view


def _page(request: SignedIn) -> str:
    return PAGES.get(request.POST.get("from", ""), PAGES["list"])


def _to(request: SignedIn, view: SavedView) -> HttpResponse:
    return redirect(f"{_page(request)}?view={view.pk}")


def _back(request: SignedIn, *, wrong: str) -> HttpResponse:
    """To the page as it was asked for; nothing has changed."""
    messages.warning(request, wrong)
    here = request.POST.get("here", "")[:4000]
    return redirect(f"{_page(request)}?{here}")
