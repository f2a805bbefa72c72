"""What customers said of the products, and sending it on to where the products are made."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.crm.feedback import NO_PRODUCT, FeedbackFilter, products
from apps.crm.keyset import page
from apps.crm.models import Note, Policy
from apps.outbox.models import Message
from apps.web.links import query
from apps.web.markdown import rendered
from apps.web.rights import SignedIn, needs


class Pile(NamedTuple):
    """A product as a link that narrows the page to it."""

    words: str
    number: int
    query: str
    on: bool


@require_safe
def feedback(request: SignedIn) -> HttpResponse:
    """The newest first; ``product`` narrows it."""
    numbers = Policy.at(timezone.now())
    asked = FeedbackFilter(request.GET, numbers=numbers, user=request.user, also=("cursor",))
    found = page(
        asked.qs.select_related("account", "author"), asked.order, cursor=request.GET.get("cursor", "")
    )
    context = {
        "rows": [(note, rendered(note.text)) for note in found.rows],
        "next": query(asked, cursor=found.next) if found.next else "",
        "notices": [*asked.notices, *([found.notice] if found.notice else [])],
        "piles": _piles(asked),
        "export": query(asked),
        "numbers": numbers,
    }
    return render(request, "web/feedback.html", context)


def _piles(asked: FeedbackFilter) -> list[Pile]:
    counted, on = products(), asked.form.cleaned_data.get("product") or ""
    every = Pile("All", sum(number for _, number in counted), query(asked, product=None), not on)
    named = (
        Pile(
            name or "No product", number, query(asked, product=name or NO_PRODUCT), on == (name or NO_PRODUCT)
        )
        for name, number in counted
    )
    return [every, *named]


@require_POST
@needs("note")
def tell(request: SignedIn, pk: int) -> HttpResponse:
    """Send one to the Slack channel, once as it is written now."""
    note = get_object_or_404(Note.objects.feedback().select_related("account"), pk=pk)
    written = (note.edited_at or note.created_at).isoformat()
    message = Message.slack(
        f"feedback:{note.pk}:{written}",
        kind="feedback",
        subject=f"{note.product or 'Product feedback'}, {note.account.name}",
        text=note.text,
        account_id=note.account_id,
        now=timezone.now(),
    )
    with transaction.atomic():
        new = Message.objects.write([message])
    messages.info(request, "It is on its way to Slack." if new else "It was sent to Slack before.")
    return redirect("web:feedback")
