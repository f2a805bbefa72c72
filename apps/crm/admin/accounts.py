"""Accounts: their facts are mended here, their stage is moved."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from apps.crm.admin.base import OfAccount, OneLine, Records
from apps.crm.models import Account, AccountLabel, Bill, Contact, Label, Notice, StageTransition, User
from apps.crm.models.moving import Conflict, MoveError
from apps.crm.options import options
from apps.crm.pipeline import Stage


class AccountForm(forms.ModelForm):
    """Facts of an account, and which edit of it they started from."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["seen"].initial = self.instance.changed_at.isoformat()

    def clean_seen(self) -> datetime | None:
        if not self.instance.pk:
            return None
        if self.cleaned_data["seen"] != self.instance.changed_at.isoformat():
            raise ValidationError(
                "Somebody else has edited this account meanwhile: reload the page, then enter your changes again."
            )
        return self.instance.changed_at


class MoveForm(forms.Form):
    to = forms.ChoiceField(choices=Stage.choices, required=False)
    reason = forms.CharField(max_length=2000, required=False, strip=False)
    version = forms.IntegerField(min_value=0)

    def clean_to(self) -> Stage:
        if "to" not in self.data:
            raise ValidationError("Choose a stage.")
        return Stage(self.cleaned_data["to"])


class ContactInline(OneLine, admin.TabularInline):
    model = Contact
    extra = 0


class LabelInline(admin.TabularInline):
    model = AccountLabel
    extra = 0
    autocomplete_fields = ["label"]


class HistoryInline(admin.TabularInline):
    model = StageTransition
    verbose_name_plural = "history"
    fields: ClassVar[Any] = ["version", "from_stage", "to_stage", "at", "by", "cause", "reason"]
    readonly_fields = fields
    extra = 0
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[StageTransition]:
        return super().get_queryset(request).select_related("by")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# What only a move, a playbook or the account's own rows write.
_KEPT_BY_OTHERS: list[Any] = [
    *(
        "stage",
        "stage_since",
        "version",
        "entered_at",
        "engaged_at",
        "engaged_via",
        "intro_call_completed_at",
    ),
    *("stage_before_paid_call", "scope", "route", "held_by", "quarantine", "renewal_on", "renewal_anchor_on"),
    *("bills_paid", "notes_count", "next_task_on", "open_alerts"),
    *("payment_risk", "payment_risk_at", "payment_risk_by", "payment_risk_reason", "owner_reported"),
    *("reported_by", "reported_at", "created_at", "changed_at"),
]


@admin.register(Account)
class AccountAdmin(Records):
    form = AccountForm
    list_display = ["name", "external_id", "stage", "renewal_on", "forecast", "plan", "owner", "changed_at"]
    list_filter: ClassVar[Any] = [
        *("stage", "plan", "payment_risk", "scope"),
        ("held_by", admin.EmptyFieldListFilter),
        ("quarantine", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["owner"]
    search_fields = ["name"]
    search_help_text = "A part of the name, the domain or the external id"
    autocomplete_fields = ["owner"]
    readonly_fields = _KEPT_BY_OTHERS
    inlines = [ContactInline, LabelInline, HistoryInline]
    actions = None
    fieldsets: ClassVar[Any] = [
        (None, {"fields": ["external_id", "name", "domain", "stripe_customer_id", "owner", "seen"]}),
        ("Pipeline", {"fields": _KEPT_BY_OTHERS[:14]}),
        (
            "Money and plan",
            {
                "fields": [
                    *("plan", "mrr", "forecast", "forecast_at", "credit_use", "bills_reported", "bills_paid"),
                    *("next_renewal_on", "contract_renewal_on", "plan_ends_on"),
                ]
            },
        ),
        (
            "Sales",
            {
                "fields": [
                    *("contacted_sales", "sales_contact_kind", "sales_contact_name", "sales_contact_email"),
                    "hand_picked",
                ]
            },
        ),
        (
            "Work",
            {
                "fields": [
                    *(
                        "users_count",
                        "last_outreach_at",
                        "last_reply_at",
                        "extended_until",
                        "extended_reason",
                    ),
                ]
            },
        ),
        ("Kept by others", {"fields": _KEPT_BY_OTHERS[15:], "classes": ["collapse"]}),
    ]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return (queryset.matching(search_term.replace("\0", "")) if search_term else queryset), False

    def view_on_site(self, obj: Account) -> str:
        return obj.get_absolute_url()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*self.readonly_fields, *(["external_id"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and cast(User, request.user).may("erase")

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """The accounts alone are named: what hangs on them goes with them, in the database, however much it is."""
        return [str(account) for account in objs], {}, set(), []

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        by, now = cast(User, request.user), timezone.now()
        if not change:
            obj.save()
            Notice.objects.tell([Notice(user=obj.owner, account=obj, by=by, at=now)])
            return
        facts = {name: form.cleaned_data[name] for name in form.changed_data if name != "seen"}
        obj.edit(now=now, by=by, seen=form.cleaned_data["seen"], **facts)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Conflict as lost:
            self.message_user(request, lost.sentence, messages.ERROR)
            return redirect(request.path)

    def get_urls(self) -> list[URLPattern]:
        move = self.admin_site.admin_view(self.move_view)
        return [path("<int:pk>/move/", move, name="crm_account_move"), *super().get_urls()]

    def move_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The stages an account can be moved to, and why not to the others; a POST moves it."""
        account, user = get_object_or_404(Account, pk=pk), cast(User, request.user)
        if not user.may("move"):
            raise PermissionDenied
        form = MoveForm(request.POST or None)
        if request.method == "POST" and self._move(request, account, form):
            return redirect("admin:crm_account_change", account.pk)
        account.refresh_from_db()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": account,
            "title": f"Move {account.name}",
            "options": options(account),
            "form": form,
        }
        return TemplateResponse(
            request, "admin/crm/account/move.html", context, status=409 if form.errors else 200
        )

    def _move(self, request: HttpRequest, account: Account, form: MoveForm) -> bool:
        """Make the move that a form asks for; where it cannot be, the form says why."""
        if not form.is_valid():
            return False
        try:
            account.move(**form.cleaned_data, by=request.user, now=timezone.now(), cause="admin")  # type: ignore[arg-type]
        except MoveError as error:
            form.add_error(None, error.sentence)
            return False
        self.message_user(request, f"{account.name} is in “{account.stage_label}”.", messages.SUCCESS)
        return True


@admin.register(Label)
class LabelAdmin(Records):
    search_fields = ["name"]


@admin.register(Bill)
class BillAdmin(OfAccount):
    list_display = [
        "external_id",
        "account",
        "period_start",
        "amount",
        "currency",
        "status",
        "attempts",
        "due_on",
    ]
    list_filter = ["status", "currency"]
    search_fields = ["external_id", "account__external_id"]
    date_hierarchy = "period_start"
