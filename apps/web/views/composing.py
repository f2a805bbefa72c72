"""Writing to a customer: a form with the likeliest template filled in, and two ways to send what it says."""

from __future__ import annotations

from secrets import token_urlsafe

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from apps.crm.letters import LETTERS, Writing, filled_in, likeliest, names_of
from apps.crm.models import Account, Outreach, Policy, StageTransition, Template
from apps.crm.models.moving import MoveError
from apps.crm.models.outreach import Overtaken
from apps.crm.pipeline import Stage
from apps.outbox.letters import send_outreach, take_back
from apps.web.forms.writing import WriteForm
from apps.web.rights import SignedIn, needs
from apps.web.standing import standing
from apps.web.views.moves import cause, changed, invalid, not_made, origin, refused, reminded

MOST_CONTACTS = 30


@require_safe
@needs("write")
def form(request: SignedIn, pk: int) -> HttpResponse:
    """The form, to be shown in a dialog: the template and the person one most likely wants, filled in."""
    account = get_object_or_404(Account.objects.select_related("claimed_by"), pk=pk)
    numbers = Policy.at(timezone.now())
    contacts = list(account.contacts.ranked().judged()[:MOST_CONTACTS])
    to = [contact for contact in contacts if not contact.blocked and not contact.came_back][:1]
    kind = likeliest(account)
    closes = Stage.ONBOARDED_ENGAGED if account.engaged_at else Stage.ONBOARDED_NO_ENGAGEMENT
    return render(
        request,
        "web/_write.html",
        {
            **_written(kind, Writing(account, to, request.user, numbers)),
            **_standing(request, account),
            "origin": request.GET.get("from", "account"),
            "letters": LETTERS,
            "kind": kind,
            "contacts": contacts,
            "to": to,
            "bcc": settings.MAIL_LOG_ADDRESS,
            "can_send": bool(settings.EMAIL_URL) or settings.DEBUG,
            "closes": closes.label if account.stage == Stage.AWAITING_FINAL_OUTREACH else "",
            "key": token_urlsafe(12),
        },
    )


@require_safe
@needs("write")
def text(request: SignedIn, pk: int) -> HttpResponse:
    """The words of ``?template=`` for the people of ``?to=``, as JSON."""
    account = get_object_or_404(Account, pk=pk)
    ids = [one for one in request.GET.getlist("to") if one.isascii() and one.isdigit() and len(one) < 19]
    to = list(account.contacts.ranked().filter(pk__in=ids))
    kind = request.GET.get("template", "")
    return JsonResponse(
        _written(
            kind if kind in LETTERS else "", Writing(account, to, request.user, Policy.at(timezone.now()))
        )
    )


@require_POST
@needs("write")
def write(request: SignedIn, pk: int) -> HttpResponse:
    """Send it, or note that it was sent: 200 with the parts, 409 and 422 with the sentence. Twice is once."""
    account, now = get_object_or_404(Account, pk=pk), timezone.now()
    form = WriteForm(request.POST, account=account, by=request.user)
    if not form.is_valid():
        return invalid(form)
    given = form.cleaned_data
    outreach = Outreach(
        key=f"{account.pk}:{request.user.pk}:{given['key']}",
        account=account,
        by=request.user,
        at=now,
        to=", ".join(contact.email for contact in given["to"]),
        **{name: given[name] for name in ("template", "way", "subject", "text")},
    )
    sends = given["way"] == Outreach.By.ONRAMP
    try:
        new, moved = send_outreach(
            account,
            outreach,
            cause=cause(request),
            closes=given["closes"],
            version=given["version"],
            after=given["after"] if sends else None,
        )
    except Overtaken as error:
        return _overtaken(request, account, error)
    except MoveError as error:
        return not_made(request, account, error, now=now)
    reminder, link = reminded(account, moved)
    return changed(
        request,
        account,
        now=now,
        moved=moved,
        text=_said(account, outreach, moved) + reminder
        if new
        else "That mail went out already; nothing was done twice.",
        undo=_undo(request, account, outreach, moved) if new else None,
        **link,
    )


@require_POST
@needs("write")
def undo(request: SignedIn, pk: int, outreach: int) -> HttpResponse:
    """Take back one's own mail while it is still here; its words are a draft again."""
    account, now = get_object_or_404(Account, pk=pk), timezone.now()
    mine = get_object_or_404(Outreach, pk=outreach, account=account, by=request.user, withdrawn_at=None)
    stands = take_back(account, mine, by=request.user, now=now)
    if stands is None:
        return refused("It has left already, so it cannot be taken back.", "conflict")
    text = f"Taken back: nothing was sent to {mine.to[:120]}. What you wrote is kept as a draft."
    if stands:
        text += f" The stage stays: {stands}"
    words = {name: getattr(mine, name) for name in ("template", "subject", "text")}
    answer = changed(request, account, now=now, text=text)
    return trigger_client_event(answer, "draft", {"name": f"write:{account.pk}", "values": words})


def _said(account: Account, outreach: Outreach, moved: StageTransition | None) -> str:
    said = "On its way to" if outreach.way == Outreach.By.ONRAMP else "Noted: you wrote to"
    there = f" {account.name[:60]} moved to “{account.stage_label}”." if moved else ""
    return f"{said} {outreach.to[:120]}.{there}"


def _undo(
    request: SignedIn, account: Account, outreach: Outreach, row: StageTransition | None
) -> dict[str, object] | None:
    """What takes it back: a mail that is here still, or else the move that was made of it."""
    if outreach.way == Outreach.By.ONRAMP:
        url = reverse("web:outreach_undo", args=[account.pk, outreach.pk])
        return {"url": url, "values": {"from": origin(request)}}
    if row is None:
        return None
    values = {"transition": row.pk, "version": row.version, "from": origin(request)}
    return {"url": reverse("web:undo", args=[account.pk]), "values": values}


def _overtaken(request: SignedIn, account: Account, error: MoveError) -> HttpResponse:
    """422: the form stays, and says now who wrote; to send it all the same is another click."""
    asked = _standing(request, account)
    answer = HttpResponse(render_to_string("web/_write_parts.html", asked, request), status=422)
    return trigger_client_event(answer, "toast", {"text": error.sentence, "bad": True, "code": error.code})


def _standing(request: SignedIn, account: Account) -> dict[str, object]:
    numbers = Policy.at(timezone.now())
    account.refresh_from_db()
    last = account.outreaches.order_by("-pk").first()
    return {
        "account": account,
        "standing": standing(account, request.user, numbers),
        "holder": account.holder(numbers),
        "after": last.pk if last else 0,
    }


def _written(kind: str, it: Writing) -> dict[str, str]:
    """A template's subject and text for these people, and what they are called in it."""
    template = Template.objects.of(kind) if kind else Template(subject="", body="")
    return {
        "subject": " ".join(filled_in(template.subject, it).split()),
        "text": filled_in(template.body, it),
        "names": names_of(it.to),
    }
