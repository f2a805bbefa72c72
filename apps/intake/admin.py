from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.crm.admin.base import Kept, ReadOnly
from apps.intake.models import ApiToken, IdempotentAnswer, Import


@admin.register(Import)
class ImportAdmin(ReadOnly):
    list_display = ["file_name", "state", "rows", "held", "by", "created_at", "finished_at"]
    list_filter = ["state", "held", "created_at"]
    list_select_related = ["by"]
    search_fields = ["file_name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Import]:
        return super().get_queryset(request).defer("file")


@admin.register(ApiToken)
class ApiTokenAdmin(Kept):
    """Tokens are made by `manage.py create_token`, which shows them once; here they are named and revoked."""

    list_display = ["__str__", "user", "read_only", "created_at", "last_used_at", "revoked_at"]
    list_filter = ["read_only", "revoked_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username"]
    fields = ["name", "user", "read_only", "created_at", "last_used_at", "revoked_at"]
    readonly_fields = ["user", "read_only", "created_at", "last_used_at", "revoked_at"]
    actions = ["revoke"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Revoke for good", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        revoked = ApiToken.objects.filter(pk__in=queryset.values("pk")).revoke(now=timezone.now())
        self.message_user(request, f"{revoked} revoked.", messages.SUCCESS)


@admin.register(IdempotentAnswer)
class IdempotentAnswerAdmin(ReadOnly):
    list_display = ["key", "token", "status", "created_at"]
    list_filter = ["status", "created_at"]
    list_select_related = ["token__user"]
    search_fields = ["key"]
