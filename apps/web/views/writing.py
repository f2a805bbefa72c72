"""What people add to an account from list, board and its own page: a note or a task."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.crm.days import away, day
from apps.crm.models import Account, AuditPoint, Label, Note, Policy, User
from apps.crm.models.audit import REMINDED
from apps.crm.models.notice import mentioned
from apps.crm.options import likeliest_first
from apps.web.display import on_it
from apps.web.forms.account import NoteForm, TaskForm
from apps.web.markdown import rendered
from apps.web.rights import SignedIn, needs
from apps.web.views.moves import changed, invalid

# The small forms of an account, and the right each asks for.
FORMS = {
    "move": "move",
    "note": "note",
    "task": "task",
    "assign": "edit",
    "labels": "edit",
    "risk": "payment risk",
    "renewal": "edit",
    "next": "task",
    "snooze": "write",
    "take-over": "write",
}
LABELS_OFFERED = 500


@require_safe
def form(request: SignedIn, pk: int, name: str) -> HttpResponse:
    """One small form of an account, to be shown in a dialog; ``?from=`` is the page that asks."""
    if name not in FORMS:
        raise Http404
    account = get_object_or_404(Account, pk=pk)
    needed = needs(FORMS[name])
    return needed(_form)(request, account, name)


def _form(request: SignedIn, account: Account, name: str) -> HttpResponse:
    numbers = Policy.at(timezone.now())
    return render(
        request,
        "web/_form.html",
        {
            "account": account,
            "form": name,
            "origin": request.GET.get("from", "account"),
            "options": likeliest_first(account) if name == "move" else [],
            "reminded": REMINDED,
            "reminder": AuditPoint.objects.audit(account).reminder if name == "move" else "",
            "people": User.objects.assignable() if name in ("task", "next", "assign") else [],
            "next": account.tasks.filter(done_at=None).first() if name == "next" else None,
            "labels": Label.objects.all()[:LABELS_OFFERED] if name == "labels" else [],
            "worn": set(account.labels.all()) if name == "labels" else set(),
            "kinds": Note.Kind.choices,
            "today": numbers.today,
            "my_today": request.user.today(numbers.now),
            "holder": account.holder(numbers),
            "on_it": on_it(str(account.claimed_by), account.claimed_at, numbers),
        },
    )


@require_POST
@needs("note")
def note(request: SignedIn, pk: int) -> HttpResponse:
    """Write down a note."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), NoteForm(request.POST)
    if not given.is_valid():
        return invalid(given)
    kind = given.cleaned_data["kind"] or Note.Kind.NOTE
    product = given.cleaned_data["product"] if kind == Note.Kind.FEEDBACK else ""
    account.add_note(given.cleaned_data["text"], by=request.user, now=now, kind=kind, product=product)
    account.refresh_from_db()
    return changed(request, account, now=now, text=f"Noted on {account.name[:60]}.")


@require_POST
@needs("note")
def preview(request: SignedIn) -> HttpResponse:
    """A note as it would be shown, and whom it would tell; nothing is kept."""
    text = request.POST.get("text", "")[:20_000]
    people = [
        str(person) for person in User.objects.filter(pk__in=mentioned(text)).exclude(pk=request.user.pk)
    ]
    return render(request, "web/_note_preview.html", {"text": rendered(text), "people": people})


@require_POST
@needs("task")
def task(request: SignedIn, pk: int) -> HttpResponse:
    """Add something to do by a day."""
    account, now, given = get_object_or_404(Account, pk=pk), timezone.now(), TaskForm(request.POST)
    if not given.is_valid():
        return invalid(given)
    made = account.add_task(by=request.user, now=now, **given.cleaned_data)
    account.refresh_from_db()
    today = request.user.today(now)
    words = f"Task for {account.name[:60]} due {day(made.due_on, today)}, {away(made.due_on, today)}."
    return changed(request, account, now=now, text=words)
