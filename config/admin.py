"""Who comes into Django's admin: whoever may, with allauth's login, throttling and second factor before it."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import reverse
from django.utils.decorators import method_decorator


class Site(AdminSite):
    site_header = site_title = "Onramp"
    index_title = "Records"

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_authenticated and request.user.may("admin")

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Send people to the one login; who is logged in and comes here lacks the right."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
