"""The tasks page as it is asked for: whose tasks, due when, and in what order. Days are the reader's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import django_filters
from django.db import models
from django.db.models import F, Q
from django.http import QueryDict

from apps.crm.filters import QueryFilter
from apps.crm.keyset import Column, Order
from apps.crm.models import Task, User
from apps.crm.models.task import TaskQuerySet
from apps.crm.policy import Numbers

WEEK = timedelta(days=6)
OPEN = Q(done_at__isnull=True)
DUE: dict[str, tuple[str, Callable[[date], Q]]] = {
    "": ("Open", lambda today: OPEN),
    "overdue": ("Overdue", lambda today: OPEN & Q(due_on__lt=today)),
    "today": ("Today", lambda today: OPEN & Q(due_on=today)),
    "week": ("This week", lambda today: OPEN & Q(due_on__gt=today, due_on__lte=today + WEEK)),
    "later": ("Later", lambda today: OPEN & Q(due_on__gt=today + WEEK)),
    "done": ("Done", lambda today: Q(done_at__isnull=False, dropped=False)),
}

SORTS: dict[str, Column] = {
    "due": Column(F("due_on"), models.DateField()),
    "renewal": Column(F("account__renewal_on"), models.DateField(), nullable=True),
    "done": Column(F("done_at"), models.DateTimeField(), nullable=True),
}

# The facts a row of the page is made of.
FACTS = (
    *("pk", "title", "due_on", "remind_on", "reminded_at", "assignee_id", "assignee_reported"),
    *("created_by_id", "created_at", "cause", "external_id", "done_at", "done_by_id"),
    *("account_id", "account__name", "account__stage", "account__renewal_on"),
)


class TaskFilter(QueryFilter):
    """The tasks a query string asks for; without one, those of the reader that are open."""

    everything = Task.objects
    sorts = SORTS
    default_sort = "due"

    assignee = django_filters.ChoiceFilter(method="assigned", label="Assignee", choices=[])
    due = django_filters.ChoiceFilter(
        method="due_when", label="Due", choices=[(key, words) for key, (words, _) in DUE.items() if key]
    )

    def __init__(self, data: QueryDict, *, numbers: Numbers, user: User, also: Any = ()) -> None:
        self.zone = ZoneInfo(user.time_zone)
        self.today = user.today(numbers.now)
        super().__init__(data, numbers=numbers, user=user, also=also)

    def _late_choices(self) -> dict[str, Callable[[], list[tuple[str, str]]]]:
        return {"assignee": lambda: [("all", "Anybody"), *self._people_choices()]}

    def _order(self, name: str) -> Order:
        # What was done last is what one looks for among the tasks that are done.
        return super()._order(name or ("-done" if self.due_asked == "done" else ""))

    @property
    def assignee_asked(self) -> str:
        return self.form.cleaned_data.get("assignee") or "me"

    @property
    def due_asked(self) -> str:
        return self.form.cleaned_data.get("due") or ""

    def filter_queryset(self, queryset: TaskQuerySet) -> TaskQuerySet:
        return self._narrow(queryset, assignee=self.assignee_asked, due=self.due_asked)

    def like(self, **changes: str) -> TaskQuerySet:
        """The tasks this would show with some of its filters changed."""
        asked = {"assignee": self.assignee_asked, "due": self.due_asked, **changes}
        return self._narrow(Task.objects.all(), **asked)

    def _narrow(self, tasks: TaskQuerySet, *, assignee: str, due: str) -> TaskQuerySet:
        return self.due_when(self.assigned(tasks, "assignee", assignee), "due", due)

    def assigned(self, tasks: TaskQuerySet, name: str, value: str) -> TaskQuerySet:
        people: dict[str, Any] = {"me": self.user.pk, "none": None}
        return tasks if value == "all" else tasks.filter(assignee=people.get(value, value))

    def due_when(self, tasks: TaskQuerySet, name: str, value: str) -> TaskQuerySet:
        return tasks.filter(DUE[value][1](self.today))

    def facts(self) -> models.QuerySet[Any]:
        """The tasks asked for as dicts of ``FACTS``."""
        return self.qs.values(*FACTS)
