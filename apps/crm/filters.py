"""Which accounts, and in what order: one reading of the query string for list, board, export and API."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import date, timedelta
from functools import cached_property
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl

import django_filters
from django import forms
from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce, Concat, NullIf, Upper
from django.http import QueryDict

from apps.crm.kept import AnyOf, Given, Kept
from apps.crm.keyset import Column, Order
from apps.crm.metrics import cell
from apps.crm.metrics.base import Behind
from apps.crm.models.account import Account, AccountQuerySet, PaymentRisk, Plan
from apps.crm.models.alert import ALERT_KINDS, Alert
from apps.crm.models.label import AccountLabel, Label
from apps.crm.models.user import User
from apps.crm.models.view import OF_PAGES, PASSING, SavedView
from apps.crm.people import everybody
from apps.crm.pipeline import STAGES, Stage
from apps.crm.policy import Numbers

OUTSIDE = "outside"
STAGE_CHOICES = [*((str(stage), stage.label) for stage in STAGES), (OUTSIDE, Stage.OUTSIDE.label)]

RENEWS: dict[str, tuple[str, Callable[[date], Q]]] = {
    "overdue": ("Overdue", lambda today: Q(renewal_on__lt=today)),
    "0-10": ("In 0–10 days", lambda today: _renewing(today, 0, 10)),
    "11-14": ("In 11–14 days", lambda today: _renewing(today, 11, 14)),
    "15-30": ("In 15–30 days", lambda today: _renewing(today, 15, 30)),
    "later": ("Later", lambda today: Q(renewal_on__gt=today + timedelta(days=30))),
    "none": ("No date", lambda today: Q(renewal_on__isnull=True)),
}

# The day the next task is due is the earliest of all of them, so "by" a day is exact where "on" it would not be.
TASKS: dict[str, tuple[str, Callable[[date], Q]]] = {
    "overdue": ("Overdue", lambda today: Q(next_task_on__lt=today)),
    "today": ("Due by today", lambda today: Q(next_task_on__lte=today)),
    "week": ("Due within a week", lambda today: Q(next_task_on__lte=today + timedelta(days=6))),
}

RISKS = {risk.value or "none": risk for risk in PaymentRisk}

_OWNER_NAME = Upper(
    Coalesce(
        NullIf(Concat("owner__first_name", Value(" "), "owner__last_name"), Value(" ")), F("owner__username")
    )
)
_POSITION = Case(
    *(When(stage=stage, then=Value(position)) for position, stage in enumerate(STAGES)),
    default=Value(len(STAGES)),
    output_field=models.IntegerField(),
)

SORTS: dict[str, Column] = {
    "renewal": Column(F("renewal_on"), models.DateField(), nullable=True),
    "name": Column(Upper("name"), models.TextField()),
    "stage": Column(_POSITION, models.IntegerField()),
    "since": Column(F("stage_since"), models.DateTimeField(), nullable=True),
    "forecast": Column(F("forecast"), models.DecimalField(max_digits=12, decimal_places=2), nullable=True),
    "mrr": Column(F("mrr"), models.DecimalField(max_digits=12, decimal_places=2), nullable=True),
    "owner": Column(_OWNER_NAME, models.TextField(), nullable=True),
    "outreach": Column(F("last_outreach_at"), models.DateTimeField(), nullable=True),
    "task": Column(F("next_task_on"), models.DateField(), nullable=True),
    "notes": Column(F("notes_count"), models.IntegerField()),
    "users": Column(F("users_count"), models.IntegerField(), nullable=True),
    "alerts": Column(F("open_alerts"), models.IntegerField()),
    "bills": Column(F("bills_paid"), models.IntegerField()),
    "entered": Column(F("entered_at"), models.DateTimeField(), nullable=True),
}
DEFAULT_SORT = "renewal"


class Chosen(NamedTuple):
    """One filter that is on: its parameter and value, and the words for it."""

    name: str
    value: str
    words: str


class QueryFilter(django_filters.FilterSet):
    """The rows a query string asks for.

    ``qs`` is narrowed by what could be understood; ``notices`` names in a sentence each what could not, and was
    ignored. ``order`` is the order asked for, ``chosen`` the filters that are on. ``also`` names the parameters
    that the page reads itself.
    """

    everything: ClassVar[models.Manager[Any]]
    sorts: ClassVar[dict[str, Column]]
    default_sort: ClassVar[str]
    # Whether the form has the fields alone that are asked for.
    narrow: ClassVar[bool] = False
    # Parameters that are read here although they filter nothing.
    besides: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        data: QueryDict,
        queryset: models.QuerySet[Any] | None = None,
        *,
        numbers: Numbers,
        user: User,
        also: Iterable[str] = (),
    ) -> None:
        self.numbers, self.user = numbers, user
        self.notices: list[str] = []
        data = data.copy()
        known = {*type(self).base_filters, "sort", *self.besides, *also}
        for name in [name for name in data if name not in known]:
            self.notices.append(f"There is no filter “{_shown(name)}”, so it was ignored.")
            del data[name]
        self._understood(data)
        if self.narrow:
            # Every filter brings a form field, and most are not asked for.
            given = {name: one for name, one in type(self).base_filters.items() if name in data}
            self.__dict__["base_filters"] = given
        super().__init__(data, self.everything.all() if queryset is None else queryset)
        for name, choices in self._late_choices().items():
            if name in self.filters:
                self.filters[name].extra["choices"] = choices
        for name, errors in self.form.errors.as_data().items():
            if name == "q":
                self.notices.append(f"The search was ignored: {' '.join(errors[0].messages)}")
            else:
                self._ignore(str(self.filters[name].label), data.getlist(name)[-1:])
        self.order = self._order(data.get("sort", ""))

    def get_form_class(self) -> type[forms.BaseForm]:
        found: type[forms.BaseForm] = super().get_form_class() if self.filters else forms.Form
        return found

    def _understood(self, data: QueryDict) -> None:
        """Take out of ``data`` what the filters would refuse whole for the sake of a part."""

    def _late_choices(self) -> dict[str, Callable[[], list[tuple[str, str]]]]:
        """The choices that are read from the database, by the name of their filter.

        Functions, not bound methods: a form copies its fields, and a bound method would take a copy of us along.
        """
        return {}

    def _ignore(self, what: str, values: list[str]) -> None:
        self.notices += [
            f"{what} “{_shown(value)}” is not known here, so it was ignored." for value in values if value
        ]

    def _order(self, name: str) -> Order:
        if name and name.removeprefix("-") not in self.sorts:
            self._ignore("Sort order", [name])
            name = ""
        name = name or self.default_sort
        return Order(name, self.sorts[name.removeprefix("-")])

    @cached_property
    def people(self) -> dict[int, str]:
        """Every colleague's name by id, those who left included: they may own accounts still. One query."""
        return everybody()

    def _people_choices(self) -> list[tuple[str, str]]:
        return [("me", "Me"), ("none", "Nobody"), *((str(pk), name) for pk, name in self.people.items())]

    @cached_property
    def chosen(self) -> list[Chosen]:
        """The filters that are on, in the order of the filter bar."""
        found = []
        for name, value in self.form.cleaned_data.items():
            if not value:
                continue
            words = dict(getattr(self.form.fields[name], "choices", ()))
            for one in value if isinstance(value, list) else [value]:
                if one:
                    found.append(Chosen(name, one, f"{self.filters[name].label}: {words.get(one, one)}"))
        return found


_VIEWS = Kept(lambda: SavedView.objects.of(Given("me", models.BigIntegerField())))


class AccountFilter(QueryFilter):
    """The accounts a query string asks for."""

    everything = Account.objects
    narrow = True
    sorts = SORTS
    default_sort = DEFAULT_SORT
    besides = ("view", "columns")

    q = django_filters.CharFilter(method="searched", label="Search", max_length=200)
    stage = django_filters.MultipleChoiceFilter(method="at_stages", label="Stage", choices=STAGE_CHOICES)
    owner = django_filters.ChoiceFilter(method="owned", label="Owner", choices=[])
    label = django_filters.ChoiceFilter(method="labelled", label="Label", choices=[])
    plan = django_filters.ChoiceFilter(label="Plan", choices=[(str(p), p.label) for p in Plan if p])
    renews = django_filters.ChoiceFilter(
        method="renewing", label="Renews", choices=[(key, words) for key, (words, _) in RENEWS.items()]
    )
    risk = django_filters.ChoiceFilter(
        method="at_risk", label="Risk", choices=[(key, risk.label) for key, risk in RISKS.items()]
    )
    alert = django_filters.ChoiceFilter(
        method="alerted",
        label="Alert",
        choices=[("any", "Any"), *((name, kind.label) for name, kind in ALERT_KINDS.items())],
    )
    task = django_filters.ChoiceFilter(
        method="with_task", label="Task", choices=[(key, words) for key, (words, _) in TASKS.items()]
    )
    fresh = django_filters.ChoiceFilter(method="new_to_me", label="New", choices=[("1", "not seen yet")])
    write = django_filters.ChoiceFilter(method="to_write_to", label="Write", choices=[("now", "Now")])
    reply = django_filters.ChoiceFilter(
        method="replied", label="Reply", choices=[("waiting", "waiting for us")]
    )
    snoozed = django_filters.ChoiceFilter(method="put_off", label="Snoozed", choices=[("1", "yes")])
    cell = django_filters.ChoiceFilter(method="counted_in", label="Counted in", choices=[])

    def _understood(self, data: QueryDict) -> None:
        self.given = data.copy()
        self.view = self._laid_over(data)
        stages = dict(STAGE_CHOICES)
        self._ignore("Stage", [value for value in data.getlist("stage") if value not in stages])
        data.setlist("stage", [value for value in data.getlist("stage") if value in stages])

    @cached_property
    def views(self) -> list[SavedView]:
        """The views that the person can open. One query."""
        return _VIEWS.objects(SavedView, me=self.user.pk)

    def _laid_over(self, data: QueryDict) -> SavedView | None:
        """Lay what is asked for over the view it names, and return that; ``none`` names none."""
        (*_, name) = data.pop("view", [""])
        if name in ("", "none"):
            return None
        view = next((view for view in self.views if str(view.pk) == name), None)
        if view is None:
            self._ignore("View", [name])
            del self.given["view"]
            return None
        for beneath, values in QueryDict(view.query).lists():
            if beneath not in data:
                data.setlist(beneath, values)
        return view

    @property
    def same(self) -> Hashable:
        """What the rows asked for depend on: where it is the same, so are they. None where that cannot be told."""
        if self.data.get("q") or self.data.get("cell"):
            return None
        # As they were understood: what is not known today may be known tomorrow.
        given = repr(self.form.cleaned_data)
        theirs = self.user.pk, self.user.looked_from, self.user.today(self.numbers.now)
        of_whom = theirs if {"owner", "fresh", "task"} & self.filters.keys() else ()
        return type(self), given, self.numbers.standing, of_whom

    @property
    def kept(self) -> str:
        """What is asked for, as a view keeps it."""
        return _kept(self.data)

    @property
    def changed(self) -> bool:
        """Whether something else is asked for than the view keeps."""
        return self.view is not None and set(parse_qsl(self.kept)) != set(parse_qsl(self.view.query))

    def with_(self, **changes: Iterable[str]) -> str:
        """The query string that asks for the same but for these parameters.

        What a view says is overruled by the parameter left empty.
        """
        query = self.given.copy()
        for name in PASSING[1:]:
            query.pop(name, None)
        beneath = QueryDict(self.view.query if self.view else "")
        for name, values in changes.items():
            query.setlist(name, [*values] or [""])
        for name in [name for name, values in query.lists() if not any(values) and name not in beneath]:
            del query[name]
        return query.urlencode()

    def without(self, chosen: Chosen) -> str:
        """The query string that asks for the same but for one filter."""
        # What is not chosen several times over goes as a whole: a search was shortened before it was used.
        others = [value for value in self.data.getlist(chosen.name) if value != chosen.value]
        return self.with_(**{chosen.name: others if chosen.name == "stage" else []})

    def _late_choices(self) -> dict[str, Callable[[], list[tuple[str, str]]]]:
        return {
            "owner": lambda: self._people_choices(),
            "label": lambda: self._label_choices(),
            "cell": lambda: self._cell_choices(),
        }

    @cached_property
    def labels(self) -> list[str]:
        """The names of all labels. One query."""
        return list(Label.objects.values_list("name", flat=True))

    def _label_choices(self) -> list[tuple[str, str]]:
        return [(name, name) for name in self.labels]

    @cached_property
    def _behind(self) -> Behind:
        """What is behind the figure that is asked for. One query."""
        found = cell(self.data.get("cell", ""))
        return (
            found.metric.accounts(found.column.name, found.key, self.numbers) if found else Behind(0, 0, "{}")
        )

    def _cell_choices(self) -> list[tuple[str, str]]:
        """The one figure of a report that is asked for, if there is one like that."""
        found = cell(self.data.get("cell", ""))
        if not found:
            return []
        words = found.words({str(pk): name for pk, name in self.people.items()})
        counted, accounts, _ = self._behind
        # What is listed is accounts, and a figure may count bills.
        return [(str(found), f"{words} ({counted:,} in {accounts:,})" if counted > accounts else words)]

    def searched(self, accounts: AccountQuerySet, name: str, text: str) -> AccountQuerySet:
        return accounts.matching(text)

    def at_stages(self, accounts: AccountQuerySet, name: str, values: list[str]) -> AccountQuerySet:
        return accounts.filter(stage__in=["" if value == OUTSIDE else value for value in values])

    def owned(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        owners: dict[str, Any] = {"me": self.user.pk, "none": None}
        return accounts.filter(owner=owners.get(value, value))

    def labelled(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.filter(Exists(AccountLabel.objects.filter(account=OuterRef("pk"), label__name=value)))

    def renewing(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.filter(RENEWS[value][1](self.numbers.today))

    def at_risk(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.filter(payment_risk=RISKS[value])

    def alerted(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        if value == "any":
            return accounts.filter(open_alerts__gt=0)
        return accounts.filter(Exists(Alert.objects.open().filter(account=OuterRef("pk"), kind=value)))

    def with_task(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.filter(TASKS[value][1](self.user.today(self.numbers.now)))

    def new_to_me(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.fresh_since(self.user.looked_from)

    def counted_in(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.filter(AnyOf(F("pk"), Value(self._behind.ids)))

    def to_write_to(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.awaiting_outreach(self.numbers)

    def replied(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.waiting_for_us()

    def put_off(self, accounts: AccountQuerySet, name: str, value: str) -> AccountQuerySet:
        return accounts.snoozed(self.numbers.today)


class EveryFilter(AccountFilter):
    """With the fields of all filters, as the menu shows them."""

    narrow = False


class DailyFilter(AccountFilter):
    """The daily list's reading: without a stage, a search or a report's figure, only open stages; snoozed if asked for.

    The list is the day's work, and closed accounts outnumber the open ones many times over within a year. A search
    looks everywhere, because whoever types a name wants to find it; choosing stages shows just those, and a figure
    all that it counts.
    """

    counted = ("q", "cell")

    def filter_queryset(self, queryset: AccountQuerySet) -> AccountQuerySet:
        given = self.form.cleaned_data
        narrowed = super().filter_queryset(queryset)
        if any(map(given.get, self.counted)):
            return narrowed
        if not given.get("snoozed"):
            narrowed = narrowed.awake(self.numbers.today)
        return narrowed if given.get("stage") else narrowed.in_open_stages()


def _renewing(today: date, first: int, last: int) -> Q:
    return Q(renewal_on__range=(today + timedelta(days=first), today + timedelta(days=last)))


def _kept(query: QueryDict) -> str:
    kept = QueryDict(mutable=True)
    for name, values in query.lists():
        if name not in OF_PAGES and any(values):
            kept.setlist(name, [value for value in values if value])
    return kept.urlencode()


def _shown(value: str) -> str:
    """What somebody gave us, short and printable, to be named in a sentence."""
    return "".join(mark for mark in value if mark.isprintable())[:40]
