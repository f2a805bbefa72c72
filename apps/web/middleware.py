"""What every answer of the pages carries."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django_htmx.http import trigger_client_event


class SignedInMiddleware(LoginRequiredMiddleware):
    """Closed by default; a part asked for after the login ran out says so instead of showing the login in a table."""

    redirect_field_name = REDIRECT_FIELD_NAME

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., HttpResponse]
    ) -> HttpResponse:
        if "HX-Request" in request.headers:
            answer = HttpResponse(status=401, headers={"HX-Reswap": "none"})
            return trigger_client_event(answer, "signed-out", {})
        return super().handle_no_permission(request, view_func)


class NoStoreMiddleware:
    """Keeps pages behind the login out of every cache, the browser's own included."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        if request.user.is_authenticated and "Cache-Control" not in answer.headers:
            add_never_cache_headers(answer)
        return answer
