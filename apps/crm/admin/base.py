from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.validators import MaxLengthValidator
from django.db import transaction
from django.db.models import QuerySet, TextField
from django.http import HttpRequest

from apps.crm.models import Account

A_LINE = 300


class OneLine(admin.options.BaseModelAdmin):
    """Gives a text of a few words one line to be typed into."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        limits = [rule.limit_value for rule in db_field.validators if isinstance(rule, MaxLengthValidator)]
        if isinstance(db_field, TextField) and min(limits, default=A_LINE + 1) <= A_LINE:
            kwargs["widget"] = AdminTextInputWidget()
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class Records(OneLine, admin.ModelAdmin):
    """Every list of the admin: short pages, and no count of a whole table."""

    list_per_page = 50
    show_full_result_count = False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        columns = {field.name for field in obj._meta.concrete_fields}
        obj.save(update_fields=[name for name in form.changed_data if name in columns] if change else None)


class Kept(Records):
    """Rows that are never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(Kept):
    """History: nobody adds to it, changes it or deletes from it by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OfAccount(Records):
    """Rows that hang on an account, whose counts follow. Once written, a row stays with its account."""

    autocomplete_fields: ClassVar[Any] = ["account"]
    list_select_related: ClassVar[Any] = ["account"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *(["account"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with transaction.atomic():
            obj.account.lock()
            super().save_model(request, obj, form, change)
            obj.account.recount()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_queryset(request, type(obj).objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            accounts = Account.objects.filter(pk__in=list(queryset.values_list("account", flat=True)))
            list(accounts.order_by("pk").select_for_update(no_key=True).values_list("pk"))
            queryset.delete()
            accounts.recount()
