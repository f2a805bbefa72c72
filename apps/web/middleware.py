"""What every answer of the pages carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers
from django.views.csrf import csrf_failure
from django_htmx.http import trigger_client_event


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is not of this login: mostly a page left open while signing in again elsewhere."""
    if "HX-Request" not in request.headers:
        return csrf_failure(request, reason)
    answer = HttpResponse(status=403, headers={"HX-Reswap": "none"})
    text = "This page is from an older login. Reload it; what you typed in a note or a task stays."
    return trigger_client_event(answer, "toast", {"text": text, "bad": True})


class SignedInMiddleware(LoginRequiredMiddleware):
    """Closed by default; a part asked for after the login ran out says so instead of showing the login in a table."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        answer = super().process_view(request, view_func, view_args, view_kwargs)
        if answer is not None and "HX-Request" in request.headers:
            return trigger_client_event(
                HttpResponse(status=401, headers={"HX-Reswap": "none"}), "signed-out", {}
            )
        return answer


class NoStoreMiddleware:
    """Keeps pages behind the login out of every cache, the browser's own included."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        if request.user.is_authenticated and "Cache-Control" not in answer.headers:
            add_never_cache_headers(answer)
        return answer
