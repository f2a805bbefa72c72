"""The team: who works here and what each may do. People are let go, never deleted."""

from __future__ import annotations

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.crm.models import User
from apps.crm.models.user import ROLES_SAID, SPECIALIST
from apps.web.forms.base import sentence
from apps.web.forms.settings import PersonForm
from apps.web.rights import SignedIn, needs


@require_safe
def team(request: SignedIn) -> HttpResponse:
    """Everybody, those who left last."""
    factor = Authenticator.objects.filter(user=OuterRef("pk")).exclude(type=Authenticator.Type.RECOVERY_CODES)
    people = User.objects.with_roles().annotate(two_factor=Exists(factor))
    context = {
        "people": people.order_by("-is_active", "first_name", "last_name", "username"),
        "roles": ROLES_SAID,
        "now": timezone.now(),
        "may": request.user.may("users"),
        "sso": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
        "sso_domains": settings.OIDC_ALLOWED_DOMAINS,
    }
    return render(request, "web/settings_team.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@needs("users")
def new(request: SignedIn) -> HttpResponse:
    """Enter a colleague; without single sign-on they choose their password by a link."""
    return _person(request, User())


@require_http_methods(["GET", "HEAD", "POST"])
@needs("users")
def person(request: SignedIn, pk: int) -> HttpResponse:
    """A colleague's name, roles, time zone and hours, and whether they may come in."""
    return _person(request, get_object_or_404(User, pk=pk))


def _person(request: SignedIn, shown: User) -> HttpResponse:
    called, is_new = str(shown), shown.pk is None
    form = PersonForm(request.POST or None, instance=shown, initial={"roles": [] if is_new else shown.roles})
    wrong = sentence(form) if form.errors else ""
    if form.is_valid():
        try:
            _employ(form)
            messages.info(request, f"{form.instance} is {'entered' if is_new else 'changed'}.")
            return redirect("web:person", form.instance.pk) if is_new else redirect("web:settings_team")
        except ValidationError as refused:
            wrong = refused.messages[0]
    context = {
        "form": form,
        "pk": shown.pk,
        "called": called,
        "roles": ROLES_SAID,
        "wrong": f"Nothing was changed: {wrong}" if wrong else "",
    }
    return render(request, "web/settings_person.html", context, status=422 if wrong else 200)


def _employ(form: PersonForm) -> None:
    if form.instance.pk is None:
        form.instance.set_unusable_password()
    form.instance.employ(form.cleaned_data["roles"], active=form.cleaned_data["is_active"])


@require_POST
@needs("users")
def link(request: SignedIn, pk: int) -> HttpResponse:
    """A link by which a colleague chooses a password, shown once; it works for three days, and once."""
    shown = get_object_or_404(User, pk=pk, is_active=True)
    key = {"uidb36": user_pk_to_url_str(shown), "key": default_token_generator.make_token(shown)}
    path = reverse("account_reset_password_from_key", kwargs=key)
    context = {
        "person": shown,
        "link": f"{settings.BASE_URL}{path}",
        "days": settings.PASSWORD_RESET_TIMEOUT // 86400,
    }
    return render(request, "web/settings_link.html", context)


@require_safe
def senders(request: SignedIn) -> HttpResponse:
    """Whose mail counts as an outreach: everybody with the role of a specialist."""
    context = {
        "people": User.objects.sender_group().order_by("first_name", "username"),
        "role": SPECIALIST,
        "log_address": settings.MAIL_LOG_ADDRESS,
        "may": request.user.may("users"),
    }
    return render(request, "web/settings_senders.html", context)
