"""Colleagues and their roles."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from apps.crm.admin.base import Kept, ReadOnly, Records
from apps.crm.models import Contact, SavedView, User
from apps.crm.models.user import ADMIN, LAST_ADMIN


class ColleagueForm(UserChangeForm):
    def clean(self) -> dict[str, Any]:
        """Refuse what would leave nobody who may change the team."""
        given: dict[str, Any] = super().clean() or {}
        is_admin = self.instance.is_superuser or ADMIN in {group.name for group in given.get("groups", [])}
        if not (given.get("is_active") and is_admin) and self.instance.is_last_admin():
            raise ValidationError(LAST_ADMIN)
        return given


@admin.register(User)
class ColleagueAdmin(UserAdmin, Kept):
    """Somebody who leaves is deactivated, never deleted: the history names them."""

    form = ColleagueForm
    list_display = ["username", "first_name", "last_name", "email", "held_roles", "is_active", "last_login"]
    list_filter = ["groups", "is_active"]
    filter_horizontal = ["groups"]
    fieldsets = [
        (None, {"fields": ["username", "password", "is_active"]}),
        ("Person", {"fields": ["first_name", "last_name", "email", "time_zone", "hours"]}),
        ("Mail", {"fields": ["digest", "digest_hour", "mention_mail"]}),
        ("Roles", {"fields": ["groups"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    actions = None

    def get_queryset(self, request: HttpRequest) -> Any:
        return User.objects.with_roles()

    @admin.display(description="Roles")
    def held_roles(self, person: User) -> str:
        return ", ".join(sorted(person.roles))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        Records.save_model(self, request, obj, form, change)


admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(ReadOnly):
    """What each role may do stands in the code."""

    fields = ["name"]
    search_fields = ["name"]


@admin.register(Contact)
class ContactAdmin(Records):
    list_display = ["email", "name", "account", "role", "do_not_contact"]
    list_filter = ["do_not_contact"]
    list_select_related = ["account"]
    search_fields = ["email", "name", "account__external_id"]
    autocomplete_fields = ["account"]


@admin.register(SavedView)
class SavedViewAdmin(Kept):
    """A view is deleted on its own page, where that can be undone."""

    list_display = ["name", "owner", "shared", "protected", "query", "deleted_at"]
    list_filter = ["shared", "protected"]
    list_select_related = ["owner"]
    search_fields = ["name", "owner__username"]
    fields = ["name", "owner", "query", "shared", "protected", "created_at", "changed_at", "deleted_at"]
    readonly_fields = ["owner", "created_at", "changed_at", "deleted_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
