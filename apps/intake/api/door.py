"""What all addresses of the API share: tokens, rights, throttling, JSON in and out."""

from __future__ import annotations

import time
from typing import Any

from django.core.cache import cache
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from apps.crm.models import Account, User
from apps.intake.api import errors
from apps.intake.api.errors import Problem
from apps.intake.api.strict import StrictJSON
from apps.intake.tokens import ApiToken

A_MINUTE = 600
SAFE = ("GET", "HEAD")


class Asked(Request):
    """A request that was let in, as the views see it."""

    user: User
    auth: ApiToken


class Bearer(BaseAuthentication):
    """`Authorization: Bearer <token>`."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        token = ApiToken.objects.find(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise AuthenticationFailed("This token is unknown or was revoked.")
        token.seen(now=timezone.now())
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="Onramp"'


class PerToken(BaseThrottle):
    """So many requests a token in each minute of the clock. Without Redis it does not hold."""

    left = 60.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        minute, second = divmod(time.time(), 60)
        self.left = 60 - second
        key = f"api:{request.auth.pk}:{minute:.0f}" if request.auth else ""
        return not key or self._count(key) <= A_MINUTE

    def wait(self) -> float:
        return self.left

    def _count(self, key: str) -> int:
        try:
            return cache.incr(key)
        except ValueError:
            return 1 if cache.add(key, 1, 120) else cache.incr(key)


class AlwaysJSON(DefaultContentNegotiation):
    """Answers are JSON, whatever was asked for."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class Door(APIView):
    """An address of the API. ``rights`` names what a user must be allowed to, by method."""

    rights: dict[str, str] = {"GET": "read"}

    authentication_classes = [Bearer]
    permission_classes = []
    throttle_classes = [PerToken]
    parser_classes = [StrictJSON]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = AlwaysJSON
    http_method_names = ["get", "head", "post", "put"]

    def get_exception_handler(self) -> Any:
        return errors.answer

    def check_permissions(self, request: Any) -> None:
        if not request.user.is_authenticated:
            raise NotAuthenticated("Send a token: “Authorization: Bearer …”.")
        right = self.rights.get("GET" if request.method in SAFE else str(request.method))
        if right is None:
            return  # The method is answered with 405, for everybody.
        if request.method not in SAFE and request.auth.read_only:
            raise Problem(403, "read_only", "This token may only read.")
        if not request.user.may(right):
            raise Problem(403, "forbidden", f"Your role may not do this; it takes the right “{right}”.")


def account_or_404(external_id: str) -> Account:
    """The account of an address."""
    found = Account.objects.filter(external_id=external_id).first() if "\0" not in external_id else None
    if found is None:
        raise Problem(404, "not_found", "There is no account with this external id.")
    return found


class NotFound(Door):
    """Every address that is none."""

    schema = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self.http_method_names = []
        return super().dispatch(request, *args, **kwargs)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        raise Problem(404, "not_found", "There is nothing at this address.")
