"""The one way a page asks for a right."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from apps.crm.models import User


class SignedIn(HttpRequest):
    """A request behind the login."""

    user: User


View = Callable[..., HttpResponse]


def needs(right: str) -> Callable[[View], View]:
    """Answer 403 to whoever may not do what ``right`` names."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: SignedIn, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.may(right):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return checked

    return decorate
