"""The alerts page as it is asked for: its filter, its orders, and what each alert is about in money."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import django_filters
from django import forms
from django.db import models
from django.db.models import (
    Case,
    DateField,
    DecimalField,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Substr

from apps.crm.filters import QueryFilter
from apps.crm.keyset import Column
from apps.crm.models import Account, Alert, Bill
from apps.crm.models.alert import ALERT_KINDS, AlertQuerySet
from apps.crm.policy import Numbers

_MONEY = DecimalField(max_digits=12, decimal_places=2)

# What an alert's subject starts with, when it is about a bill, and about the bill of a renewal.
_BILL, _PERIOD = "bill:", "period:"

# A renewal's bill falls due within 14 days of it.
_NEAR = Func(
    Coalesce("due_on", "period_end"),
    Cast(Substr(OuterRef("subject"), len(_PERIOD) + 1), DateField()),
    template="abs(%(expressions)s)",
    arg_joiner=" - ",
    output_field=IntegerField(),
)


def _bill(fact: str) -> Subquery:
    """A fact of the bill that an alert names."""
    named = Bill.objects.filter(account=OuterRef("account"))
    return Subquery(named.filter(external_id=Substr(OuterRef("subject"), len(_BILL) + 1)).values(fact)[:1])


def _period_bill() -> Subquery:
    """The amount of the bill of the renewal that an alert names."""
    bills = Bill.objects.filter(account=OuterRef("account"), currency="USD").exclude(status=Bill.Status.VOID)
    return Subquery(
        bills.alias(apart=_NEAR).filter(apart__lt=15).order_by("apart", "pk").values("amount")[:1]
    )


_ABOUT_BILL = Q(subject__startswith=_BILL)
_ABOUT_PERIOD = Q(subject__regex=rf"^{_PERIOD}\d{{4}}-\d\d-\d\d$")
AMOUNT = Case(
    When(_ABOUT_BILL, then=_bill("amount")),
    When(_ABOUT_PERIOD, then=Coalesce(_period_bill(), F("account__forecast"))),
    output_field=_MONEY,
)
CURRENCY = Case(When(_ABOUT_BILL, then=_bill("currency")), default=Value("USD"))

STATES: dict[str, tuple[str, Callable[[AlertQuerySet, Numbers], AlertQuerySet]]] = {
    "open": ("Open", lambda alerts, numbers: alerts.shown(numbers.today)),
    "snoozed": ("Snoozed", lambda alerts, numbers: alerts.snoozed(numbers.today)),
    "resolved": ("Resolved", lambda alerts, numbers: alerts.filter(resolved_at__isnull=False)),
}

SORTS: dict[str, Column] = {
    "renewal": Column(F("account__renewal_on"), DateField(), nullable=True),
    "raised": Column(F("raised_at"), models.DateTimeField()),
    "amount": Column(AMOUNT, _MONEY, nullable=True),
}

# The facts a row of the page is made of.
FACTS = (
    *("pk", "kind", "text", "attempts", "raised_at", "assignee_id", "snoozed_until"),
    *("acknowledged_at", "acknowledged_by_id", "resolved_at", "resolved_by_id", "resolution"),
    *("account_id", "account__name", "account__stage", "account__renewal_on"),
)


class IdFilter(django_filters.Filter):
    """The rows of one account, by its id."""

    field_class = forms.IntegerField


class OfOneAccount:
    """A filter that may ask for the rows of one account."""

    form: Any

    @cached_property
    def of_account(self) -> Account | None:
        """The one account asked for. One query, if there is one."""
        pk = self.form.cleaned_data.get("account")
        found: Account | None = Account.objects.only("name").filter(pk=pk).first() if pk else None
        return found


class AlertFilter(OfOneAccount, QueryFilter):
    """The alerts a query string asks for; without a state, those that want somebody now."""

    everything = Alert.objects
    sorts = SORTS
    default_sort = "renewal"

    kind = django_filters.ChoiceFilter(
        label="Kind", choices=[(name, kind.label) for name, kind in ALERT_KINDS.items()]
    )
    assignee = django_filters.ChoiceFilter(method="assigned", label="Assignee", choices=[])
    account = IdFilter(label="Account", min_value=1, max_value=2**63 - 1)
    state = django_filters.ChoiceFilter(
        label="State", choices=[(key, words) for key, (words, _) in STATES.items()]
    )

    def _late_choices(self) -> dict[str, Callable[[], list[tuple[str, str]]]]:
        return {"assignee": lambda: self._people_choices()}

    @property
    def state_asked(self) -> str:
        return self.form.cleaned_data.get("state") or "open"

    def filter_queryset(self, queryset: AlertQuerySet) -> AlertQuerySet:
        return self._narrow(queryset, self.form.cleaned_data)

    def like(self, **changes: str) -> AlertQuerySet:
        """The alerts this would show with some of its filters changed; an empty value takes one out."""
        return self._narrow(Alert.objects.all(), {**self.form.cleaned_data, **changes})

    def _narrow(self, alerts: AlertQuerySet, given: dict[str, str]) -> AlertQuerySet:
        for name in ("kind", "assignee", "account"):
            alerts = self.filters[name].filter(alerts, given.get(name) or "")
        return STATES[given.get("state") or "open"][1](alerts, self.numbers)

    def assigned(self, alerts: AlertQuerySet, name: str, value: str) -> AlertQuerySet:
        people: dict[str, Any] = {"me": self.user.pk, "none": None}
        return alerts.filter(assignee=people.get(value, value))

    def facts(self) -> models.QuerySet[Any]:
        """The alerts asked for as dicts of ``FACTS``, each with the amount it is about and its currency."""
        return self.qs.annotate(amount=AMOUNT, currency=CURRENCY).values(*FACTS, "amount", "currency")
