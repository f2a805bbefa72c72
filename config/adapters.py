"""Who may come in: colleagues an admin entered, and those the company's single sign-on vouches for."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import redirect


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up by themselves."""
        return False


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """A colleague new to us comes in with the least right; `pre_social_login` has looked at the address."""
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Sends back whoever has no verified address in OIDC_ALLOWED_DOMAINS."""
        if not any(
            address.verified and address.email.lower().rpartition("@")[2] in settings.OIDC_ALLOWED_DOMAINS
            for address in sociallogin.email_addresses
        ):
            messages.error(request, "This address may not sign in here: ask an admin.")
            raise ImmediateHttpResponse(redirect("account_login"))

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return settings.LOGIN_REDIRECT_URL
