"""All that we hold about one account, as it is asked for by the people it is about."""

from __future__ import annotations

from typing import Any

from django.db import models

from apps.crm.models import Account, AccountLabel, CallHost, User


def everything(account: Account) -> dict[str, Any]:
    """Every row that hangs on the account, by table; colleagues by their login. One query a table.

    The tables are those whose rows point at accounts, so that one that is added tomorrow is in it.
    """
    logins = dict(User.objects.values_list("pk", "username"))
    found: dict[str, Any] = {"account": _rows(Account.objects.filter(pk=account.pk), logins)[0]}
    labels = AccountLabel.objects.filter(account=account).order_by("label__name")
    found["labels"] = list(labels.values_list("label__name", flat=True))
    for relation in sorted(Account._meta.related_objects, key=lambda relation: relation.name):
        if relation.related_model is not AccountLabel:
            rows = relation.related_model._default_manager.filter(**{relation.field.name: account.pk})
            found[relation.get_accessor_name() or relation.name] = _rows(rows.order_by("pk"), logins)
    hosts = CallHost.objects.filter(call__account=account).order_by("call", "pk")
    found["call_hosts"] = [
        {"call": call, "host": logins[user]} for call, user in hosts.values_list("call", "user")
    ]
    return found


def _rows(rows: models.QuerySet[Any], logins: dict[int, str]) -> list[dict[str, Any]]:
    fields = rows.model._meta.concrete_fields
    return [
        {field.name: _said(field, value, logins) for field, value in zip(fields, row, strict=True)}
        for row in rows.values_list(*(field.attname for field in fields))
    ]


def _said(field: models.Field[Any, Any], value: Any, logins: dict[int, str]) -> Any:
    if field.related_model is User:
        return logins.get(value)
    return bytes(value).decode(errors="replace") if isinstance(field, models.BinaryField) else value
