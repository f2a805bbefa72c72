"""The short way to the doors."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve


class HooksMiddleware:
    """Answers programs at ``/hooks/``, who sign what they send, without session, person and forms.

    What the settings name before it holds for them, too: the log, https, the host and the security headers.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith("/hooks/"):
            return self.get_response(request)
        try:
            found = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        request.resolver_match = found
        answer: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
        return answer
