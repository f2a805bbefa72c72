"""The links out of every account's page, as a lead sets them."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.crm.models import OutLink
from apps.crm.models.outlink import FIELDS
from apps.web.forms.base import sentence
from apps.web.forms.panels import OutLinkForm
from apps.web.rights import SignedIn, needs
from apps.web.undo import undoable


@require_safe
def links_out(request: SignedIn) -> HttpResponse:
    """The links; for whoever may, each to be changed or taken away, with what may stand in them."""
    return _page(request)


@require_POST
@needs("templates")
def save(request: SignedIn, pk: int = 0) -> HttpResponse:
    """Change a link, or add one; whoever comes second is shown both and chooses."""
    with transaction.atomic():
        link = get_object_or_404(OutLink.objects.select_for_update(), pk=pk) if pk else OutLink()
        theirs = link.mark
        form = OutLinkForm(request.POST, instance=link)
        if not form.is_valid():
            return _page(request, wrong=sentence(form), given=form, status=422)
        if pk and form.cleaned_data["seen"] != theirs:
            return _page(request, given=form, clash=True, status=409)
        link = form.save()
    messages.info(request, f"The link “{link}” is saved.")
    return redirect("web:links_out")


@require_POST
@needs("templates")
def remove(request: SignedIn, pk: int) -> HttpResponse:
    """Take a link away."""
    link = get_object_or_404(OutLink, pk=pk)
    link.delete()
    text = f"The link “{link.label}” is gone."
    undoable(request, text, reverse("web:link_add"), label=link.label, url=link.url)
    return redirect("web:links_out")


@require_POST
@needs("templates")
def usual(request: SignedIn) -> HttpResponse:
    """Add what most teams want."""
    added = OutLink.objects.add_usual()
    messages.info(request, f"{added} added." if added else "All of them are there already.")
    return redirect("web:links_out")


def _page(
    request: SignedIn,
    *,
    wrong: str = "",
    given: OutLinkForm | None = None,
    clash: bool = False,
    status: int = 200,
) -> HttpResponse:
    """``given`` is what could not be saved, shown again where it was typed; at a ``clash`` beside what stands there."""
    context = {
        "links": list(OutLink.objects.all()),
        "may": request.user.may("templates"),
        "fields": FIELDS,
        "wrong": wrong,
        "clash": clash,
        "given_pk": given.instance.pk if given else None,
        "given": {name: given.data.get(name, "") for name in given.fields} if given else {},
    }
    return render(request, "web/links_out.html", context, status=status)
