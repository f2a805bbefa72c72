"""What happens with accounts: notes, tasks, alerts, calls, purchases, and what other systems said."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.crm.admin.base import Kept, OfAccount, ReadOnly, Records
from apps.crm.models import (
    Alert,
    AuditPoint,
    Call,
    CallHost,
    Note,
    Notice,
    Outreach,
    Purchase,
    Signal,
    Survey,
    Task,
    Template,
)


@admin.register(Note)
class NoteAdmin(OfAccount, Kept):
    """The words of a note can be mended; who wrote it, and when, cannot."""

    list_display = ["__str__", "account", "kind", "author", "created_at"]
    list_filter = ["kind", "created_at"]
    list_select_related = ["account", "author"]
    search_fields = ["text", "account__external_id"]
    fields = ["account", "kind", "text", "author", "created_at", "edited_at"]
    readonly_fields = ["author", "created_at", "edited_at"]

    def save_model(self, request: HttpRequest, obj: Note, form: Any, change: bool) -> None:
        if change:
            obj.edited_at = timezone.now()
            form.changed_data.append("edited_at")
        else:
            obj.author, obj.created_at = request.user, timezone.now()  # type: ignore[assignment]
        super().save_model(request, obj, form, change)
        obj.mention(by=request.user, now=timezone.now())  # type: ignore[arg-type]


@admin.register(Task)
class TaskAdmin(OfAccount, Kept):
    list_display = ["title", "account", "due_on", "assignee", "done_at", "cause"]
    list_filter = ["due_on", "done_at", "dropped"]
    list_select_related = ["account", "assignee"]
    search_fields = ["title", "account__external_id"]
    autocomplete_fields = ["account", "assignee"]
    fields = [
        "account",
        "title",
        "due_on",
        "assignee",
        "created_by",
        "created_at",
        "cause",
        "done_at",
        "done_by",
    ]
    readonly_fields = ["created_by", "created_at", "cause", "done_at", "done_by"]
    actions = ["finish"]

    def save_model(self, request: HttpRequest, obj: Task, form: Any, change: bool) -> None:
        if not change:
            obj.created_by, obj.created_at = request.user, timezone.now()  # type: ignore[assignment]
        super().save_model(request, obj, form, change)
        if "assignee" in form.changed_data:
            Notice.objects.tell_of_tasks([obj], by=request.user, now=timezone.now())  # type: ignore[arg-type]

    @admin.action(description="Tick off", permissions=["change"])
    def finish(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        now = timezone.now()
        done = sum(task.finish(by=request.user, now=now) for task in queryset.select_related("account"))  # type: ignore[arg-type]
        self.message_user(request, f"{done} ticked off.", messages.SUCCESS)


@admin.register(Alert)
class AlertAdmin(OfAccount, Kept):
    """An alert is raised by a playbook alone; a person gives it to somebody, puts it off or resolves it."""

    list_display = ["__str__", "account", "kind", "assignee", "raised_at", "resolved_at"]
    list_filter = ["kind", "raised_at", "resolved_at"]
    list_select_related = ["account", "assignee"]
    search_fields = ["text", "subject", "account__external_id"]
    autocomplete_fields = ["assignee"]
    fields = [
        *("account", "kind", "subject", "text", "attempts", "raised_at", "assignee", "snoozed_until"),
        *("acknowledged_at", "acknowledged_by", "resolved_at", "resolved_by", "resolution"),
    ]
    readonly_fields: ClassVar[Any] = [name for name in fields if name not in ("assignee", "snoozed_until")]
    actions = ["resolve"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Alert, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "assignee" in form.changed_data:
            this = Alert.objects.filter(pk=obj.pk)
            Notice.objects.tell_of_alerts(this, by=request.user, now=timezone.now())  # type: ignore[arg-type]

    @admin.action(description="Resolve", permissions=["change"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        now = timezone.now()
        done = sum(alert.resolve(by=request.user, now=now) for alert in queryset.select_related("account"))  # type: ignore[arg-type]
        self.message_user(request, f"{done} resolved.", messages.SUCCESS)


class HostInline(admin.TabularInline):
    model = CallHost
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Call)
class CallAdmin(OfAccount, Kept):
    list_display = ["__str__", "account", "kind", "status", "starts_at", "contact_email"]
    list_filter = ["kind", "status", "starts_at"]
    search_fields = ["external_id", "contact_email", "account__external_id"]
    inlines = [HostInline]
    # How a call went moves its account, which an edited row would not.
    readonly_fields: ClassVar[Any] = ["status", "marked_at", "marked_by", "transition"]


@admin.register(AuditPoint)
class AuditPointAdmin(ReadOnly):
    list_display = ["account", "what", "state", "saving", "by", "at"]
    list_filter = ["state", "at"]
    list_select_related = ["account", "by"]
    search_fields = ["account__external_id", "what"]


@admin.register(Purchase)
class PurchaseAdmin(OfAccount, Kept):
    list_display = ["external_id", "account", "amount", "currency", "bought_at", "refunded_at"]
    list_filter = ["bought_at", "refunded_at"]
    search_fields = ["external_id", "email", "account__external_id"]


@admin.register(Signal)
class SignalAdmin(ReadOnly):
    list_display = ["account", "kind", "at", "by", "reason"]
    list_filter = ["kind", "at"]
    list_select_related = ["account"]
    search_fields = ["account__external_id", "external_id"]


@admin.register(Survey)
class SurveyAdmin(ReadOnly):
    """What a customer said is theirs: nobody here answers for them."""

    list_display = ["account", "contact", "asked_at", "score", "word", "changed_at"]
    list_filter = ["score", "asked_at"]
    list_select_related = ["account", "contact"]
    search_fields = ["account__external_id", "word"]


@admin.register(Notice)
class NoticeAdmin(ReadOnly):
    list_display = ["user", "account", "kind", "by", "at", "seen_at", "told_at"]
    list_filter = ["at", "seen_at", "told_at"]
    list_select_related = ["user", "account", "by"]
    search_fields = ["user__username", "account__external_id"]


@admin.register(Outreach)
class OutreachAdmin(ReadOnly):
    list_display = ["subject", "account", "by", "to", "way", "at"]
    list_filter = ["template", "way", "at"]
    list_select_related = ["account", "by"]
    search_fields = ["subject", "to", "account__external_id"]


@admin.register(Template)
class TemplateAdmin(Records):
    """Deleting one brings back the words it came with."""

    list_display = ["kind", "subject", "changed_at", "changed_by"]
    list_select_related = ["changed_by"]
    search_fields = ["subject", "body"]
    readonly_fields = ["changed_at", "changed_by"]

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        obj.changed_at, obj.changed_by = timezone.now(), request.user  # type: ignore[assignment]
        form.changed_data += ["changed_at", "changed_by"]
        super().save_model(request, obj, form, change)
