"""What every answer of the pages carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.views.csrf import csrf_failure
from django_htmx.http import trigger_client_event

TOKEN = "csrfmiddlewaretoken"  # nosec B105 - the name of a field


def signed_out() -> HttpResponse:
    """401 for a part that was asked for after the login ran out."""
    return trigger_client_event(HttpResponse(status=401, headers={"HX-Reswap": "none"}), "signed-out", {})


def send_again(request: HttpRequest, status: int) -> HttpResponse | None:
    """All that was typed into a page of ours, to be sent again by one press; None where that cannot be."""
    kept = [(name, text) for name, texts in request.POST.lists() for text in texts if name != TOKEN]
    if request.headers.get("Sec-Fetch-Site") != "same-origin" or any("password" in name for name, _ in kept):
        return None
    if not kept and not request.user.is_authenticated:
        return None
    return render(request, "web/again.html", {"kept": kept, "files": [*request.FILES]}, status=status)


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form whose token is not of this login: mostly a page left open while signing in again elsewhere.

    Our script is told the token of today and whose login it is, and sends the form again where it is the same
    person's.
    """
    user = request.user
    if "HX-Request" not in request.headers:
        return send_again(request, 403) or csrf_failure(request, reason)
    if not user.is_authenticated:
        return signed_out()
    headers = {"HX-Reswap": "none", "X-CSRFToken": get_token(request), "X-Signed-In": str(user.pk)}
    text = (
        f"{user} is signed in here now. Reload to go on as {user}; what was typed in a note or a task stays."
    )
    toast = {"text": text, "bad": True, "link": {"url": "", "text": "Reload"}, "seconds": 60}
    return trigger_client_event(HttpResponse(status=403, headers=headers), "toast", toast)


class SignedInMiddleware(LoginRequiredMiddleware):
    """Closed by default; what is asked after the login ran out says so, and what was typed is kept."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        answer = super().process_view(request, view_func, view_args, view_kwargs)
        if answer is not None and "HX-Request" in request.headers:
            return signed_out()
        if answer is not None and request.method == "POST":
            return send_again(request, 401) or answer
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
