"""What a playbook does to the accounts it has claimed, a whole slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Least

from apps.crm.days import spoken
from apps.crm.enough import Enough
from apps.crm.models import Account, Alert, Notice, Task, User
from apps.crm.models.alert import AlertQuerySet, alert_kind
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers
from apps.outbox.models import Message


class Row(Protocol):
    """An account a playbook is for, with what its sentences need; a playbook may add facts of its own.

    ``assignee_id`` is the account's owner, unless they have left.
    """

    pk: int
    external_id: str
    name: str
    assignee_id: int | None
    renewal_on: Any
    entered_at: Any
    occasion: str

    def __getattr__(self, fact: str) -> Any: ...


@dataclass(frozen=True)
class Batch:
    """Accounts that are locked and claimed: ``because`` holds a line for each; ``numbers.now`` is the real clock."""

    playbook: str
    rows: list[Row]
    because: Mapping[int, str]
    numbers: Numbers

    @property
    def cause(self) -> str:
        return f"playbook:{self.playbook}"


class Then(Protocol):
    """Acts on a batch inside the transaction that claimed it; returns the ledger row of each account it moved."""

    @property
    def to(self) -> Stage | None: ...

    @property
    def says(self) -> str: ...

    def __call__(self, batch: Batch) -> Mapping[int, int]: ...


def _add_tasks(batch: Batch, due_on: date, about: Callable[[Row], dict[str, Any]]) -> None:
    """Give everybody of the batch a task, and tell whom it is for; their accounts are not counted.

    ``about`` says what is its own in each.
    """
    tasks = Task.objects.bulk_create(
        Task(
            account_id=row.pk,
            due_on=due_on,
            created_at=batch.numbers.now,
            cause=batch.cause,
            **{"assignee_id": row.assignee_id} | about(row),
        )
        for row in batch.rows
    )
    Notice.objects.tell_of_tasks(tasks, by=None, now=batch.numbers.now)


@dataclass(frozen=True)
class AddTask:
    """Give the accounts' owners, or ``to_whom``, a task each; ``words`` says which where the title is the row's."""

    title: str | Callable[[Row], str]
    due_in_days: int
    words: str = ""
    urgent: bool = False
    told: str = ""
    to_whom: Callable[[Row], int | None] = lambda row: row.assignee_id
    to: Stage | None = None

    @property
    def says(self) -> str:
        urgent = "an urgent task" if self.urgent else "a task"
        days = "1 day" if self.due_in_days == 1 else f"{self.due_in_days} days"
        told = ", and tells it in Slack" if self.told else ""
        return f"adds {urgent} {self.words or f'“{self.title}”'} due in {days}{told}"

    def __call__(self, batch: Batch) -> Mapping[int, int]:
        _add_tasks(batch, batch.numbers.today + timedelta(days=self.due_in_days), self._about)
        Account.objects.filter(pk__in=[row.pk for row in batch.rows]).recount()
        if self.told:
            tell_slack(batch, self.told, lambda row: batch.because[row.pk])
        return {}

    def _about(self, row: Row) -> dict[str, Any]:
        title = self.title if isinstance(self.title, str) else self.title(row)
        return {"title": title, "urgent": self.urgent, "assignee_id": self.to_whom(row)}


def tell_slack(batch: Batch, head: str, text: Callable[[Row], str]) -> None:
    """Tell the team's Slack channel of each account, once an occasion: an alert that opens again is not told again."""
    Message.objects.write(
        Message.slack(
            f"playbook:{batch.playbook}:{row.pk}:{row.occasion}",
            kind=batch.playbook,
            account_id=row.pk,
            subject=f"{head}: {row.name}",
            text=spoken(text(row), batch.numbers.today),
            now=batch.numbers.now,
        )
        for row in batch.rows
    )


@dataclass(frozen=True)
class Tell:
    """Tell the team's Slack channel, and no more."""

    head: str
    text: Callable[[Row], str]
    to: Stage | None = None
    says: str = "tells the team in Slack"

    def __call__(self, batch: Batch) -> Mapping[int, int]:
        tell_slack(batch, self.head, self.text)
        return {}


@dataclass(frozen=True)
class MoveWithTask:
    """Move the accounts, and give their owners a task each that goes away if the move is undone."""

    to: Stage
    task: str
    due_in_days: int

    @property
    def says(self) -> str:
        return f"moves the account to “{self.to.label}”, with a task “{self.task}” due in {self.due_in_days} days"

    def __call__(self, batch: Batch) -> Mapping[int, int]:
        due_on = batch.numbers.today + timedelta(days=self.due_in_days)
        # The next task is noted together with the move: writing each account twice would take twice as long.
        moved: dict[int, int] = Account.objects.all().move_all(
            self.to,
            now=batch.numbers.now,
            cause=batch.cause,
            reasons=batch.because,
            next_task_on=Least("next_task_on", Value(due_on)),
        )
        _add_tasks(batch, due_on, lambda row: {"title": self.task, "transition_id": moved[row.pk]})
        return moved


@dataclass(frozen=True)
class MoveOnly:
    """Move the accounts, and no more."""

    to: Stage

    @property
    def says(self) -> str:
        return f"moves the account to “{self.to.label}”"

    def __call__(self, batch: Batch) -> Mapping[int, int]:
        accounts = Account.objects.filter(pk__in=[row.pk for row in batch.rows])
        return accounts.move_all(self.to, now=batch.numbers.now, cause=batch.cause, reasons=batch.because)


@dataclass(frozen=True)
class Refer:
    """Tell Sales of the accounts in Slack, and note on them that it was told."""

    to: Stage | None = None
    says: str = "tells Sales in Slack, and notes on the account that it did"

    def __call__(self, batch: Batch) -> Mapping[int, int]:
        Account.objects.filter(pk__in=[row.pk for row in batch.rows]).update(referred_at=batch.numbers.now)
        tell_slack(batch, "A lead for Sales", lambda row: batch.because[row.pk])
        return {}


@dataclass(frozen=True)
class RaiseAlert:
    """Raise an alert of the playbook's kind about the occasion, to whom the policy names or the account's owner."""

    text: Callable[[Row, Numbers], str]
    attempts: Callable[[Row], int] = lambda row: 0
    to: Stage | None = None
    says: str = (
        "raises an alert for the alert owner, else the account's owner, else all leads, and tells it in Slack"
    )

    def __call__(self, batch: Batch) -> Mapping[int, int]:
        numbers = batch.numbers
        alert_owner = (
            User.objects.filter(username=numbers.alert_owner, is_active=True).values_list("pk").first()
        )
        Alert.objects.bulk_create(
            (
                Alert(
                    account_id=row.pk,
                    kind=batch.playbook,
                    subject=row.occasion,
                    text=self.text(row, numbers),
                    attempts=self.attempts(row),
                    assignee_id=alert_owner[0] if alert_owner else row.assignee_id,
                    raised_at=numbers.now,
                )
                for row in batch.rows
            ),
            ignore_conflicts=True,
        )
        raised = Alert.objects.open().filter(
            kind=batch.playbook, account__in=[row.pk for row in batch.rows], raised_at=numbers.now
        )
        Notice.objects.tell_of_alerts(raised.filter(assignee__isnull=False), by=None, now=numbers.now)
        Account.objects.filter(pk__in=[row.pk for row in batch.rows]).recount()
        tell_slack(batch, alert_kind(batch.playbook).label, lambda row: self.text(row, numbers))
        return {}


@dataclass(frozen=True)
class Tend:
    """Brings up to date what a playbook made earlier: ``which`` finds it, ``mend`` changes it.

    ``mend`` goes on until it is told that it is ``enough``.
    """

    which: Callable[[Numbers], Any]
    mend: Callable[[Any, Numbers, Enough], None]


def change(alerts: AlertQuerySet, **values: Any) -> None:
    """Change alerts by themselves; their accounts are locked first, as everywhere, and counted anew."""
    with transaction.atomic():
        accounts = Account.objects.filter(pk__in=set(alerts.values_list("account", flat=True))).order_by("pk")
        if accounts.select_for_update(no_key=True).values_list("pk"):
            alerts.update(**values)
            accounts.recount()


def cause_gone(which: Callable[[Numbers], Any], resolution: Any) -> Tend:
    """Closes by themselves the alerts it finds, with a word on why."""
    return Tend(
        which,
        lambda alerts, numbers, enough: change(alerts, resolved_at=numbers.now, resolution=resolution),
    )
