"""What a playbook does to the accounts it has claimed, a whole slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Protocol

from apps.crm.models import Account, Alert, Task, User
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers


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


def how_far(day: date, today: date) -> str:
    """How far a day is, in words: "today", "tomorrow", "in 10 days", "3 days ago"."""
    days = (day - today).days
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}
    return near.get(days) or (f"in {days} days" if days > 0 else f"{-days} days ago")


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
        numbers = batch.numbers
        accounts = Account.objects.filter(pk__in=[row.pk for row in batch.rows])
        moved: dict[int, int] = accounts.move_all(
            self.to, now=numbers.now, cause=batch.cause, reasons=batch.because
        )
        Task.objects.bulk_create(
            Task(
                account_id=row.pk,
                title=self.task,
                due_on=numbers.today + timedelta(days=self.due_in_days),
                assignee_id=row.assignee_id,
                created_at=numbers.now,
                cause=batch.cause,
                transition_id=moved[row.pk],
            )
            for row in batch.rows
        )
        accounts.recount()
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
    """Note on the accounts that Sales was told of them."""

    to: Stage | None = None
    says: str = "notes on the account that it is a lead for Sales"

    def __call__(self, batch: Batch) -> Mapping[int, int]:
        Account.objects.filter(pk__in=[row.pk for row in batch.rows]).update(referred_at=batch.numbers.now)
        return {}


@dataclass(frozen=True)
class RaiseAlert:
    """Raise an alert of the playbook's kind about the occasion, to whom the policy names or the account's owner."""

    text: Callable[[Row, Numbers], str]
    attempts: Callable[[Row], int] = lambda row: 0
    to: Stage | None = None
    says: str = "raises an alert for the alert owner, else the account's owner, else all leads"

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
        Account.objects.filter(pk__in=[row.pk for row in batch.rows]).recount()
        return {}
