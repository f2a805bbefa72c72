"""The templates' pages: what each says, and for leads the words, with a preview on a real account."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.crm.letters import FIELDS, LETTERS, Writing, filled_in, gaps_in, wrong_with
from apps.crm.models import Account, Policy, Template
from apps.web.forms.settings import TemplateForm
from apps.web.rights import SignedIn, needs
from apps.web.undo import undoable

OFFERED = 30


@require_safe
def templates(request: SignedIn) -> HttpResponse:
    """All templates, each with its subject and who last changed it."""
    return render(
        request,
        "web/templates.html",
        {"templates": Template.objects.every(), "numbers": Policy.at(timezone.now())},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def template(request: SignedIn, kind: str) -> HttpResponse:
    """One template: its words, and for leads the form that changes them."""
    shown = _of(kind)
    if request.method == "POST":
        return needs("templates")(_save)(request, shown)
    return _page(request, shown)


def _save(request: SignedIn, shown: Template) -> HttpResponse:
    form = TemplateForm(request.POST)
    if not form.is_valid():
        return _page(request, shown, form, status=422)
    if not shown.reword(by=request.user, now=timezone.now(), **form.cleaned_data):
        return _page(request, shown, form, clash=Template.objects.of(shown.kind), status=409)
    return redirect("web:templates")


@require_POST
@needs("templates")
def restore(request: SignedIn, kind: str) -> HttpResponse:
    """Go back to the words the house brings."""
    shown = _of(kind)
    if shown.changed_at:
        if not shown.restore(seen=shown.changed_at):
            return _page(request, _of(kind), status=409)
        words = {"subject": shown.subject, "body": shown.body, "seen": ""}
        undoable(request, "It says what it came with again.", reverse("web:template", args=[kind]), **words)
    return redirect("web:template", kind)


@require_POST
@needs("templates")
def preview(request: SignedIn, kind: str) -> HttpResponse:
    """What half-written words come to for an account."""
    _of(kind)
    subject, body = request.POST.get("subject", "")[:300], request.POST.get("body", "")[:20_000]
    return render(request, "web/_template_preview.html", _previewed(request, subject, body, request.POST))


def _of(kind: str) -> Template:
    if kind not in LETTERS:
        raise Http404
    found: Template = Template.objects.of(kind)
    return found


def _page(
    request: SignedIn, shown: Template, form: TemplateForm | None = None, *, status: int = 200, **more: Any
) -> HttpResponse:
    said = {"subject": shown.subject, "body": shown.body}
    if form is not None:
        said = {name: request.POST.get(name, "") for name in said}
    return render(
        request,
        "web/template.html",
        {
            "template": shown,
            "said": said,
            "errors": form.errors if form is not None else {},
            "clash": None,
            "fields": FIELDS,
            "accounts": list(Account.objects.in_open_stages().order_by("renewal_on", "pk")[:OFFERED]),
            **_previewed(request, said["subject"], said["body"], request.GET),
            **more,
        },
        status=status,
    )


def _previewed(request: SignedIn, subject: str, body: str, asked: Any) -> dict[str, Any]:
    """A template's words on a real account: the one that is asked for, or else the next that renews."""
    pk = asked.get("account", "")
    known = Account.objects.filter(pk=pk) if pk.isascii() and pk.isdigit() and len(pk) < 19 else None
    account = (known and known.first()) or Account.objects.in_open_stages().order_by(
        "renewal_on", "pk"
    ).first()
    wrong = wrong_with(subject) or wrong_with(body)
    if account is None or wrong:
        return {"previewed": None, "wrong": wrong, "subject": "", "text": "", "gaps": []}
    writing = Writing(account, account.contacts.ranked()[:1], request.user, Policy.at(timezone.now()))
    subject, body = filled_in(subject, writing), filled_in(body, writing)
    return {
        "previewed": account,
        "wrong": "",
        "subject": subject,
        "text": body,
        "gaps": gaps_in(f"{subject}\n{body}"),
    }
