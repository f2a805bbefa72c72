"""What people put on accounts: notes, tasks and labels, on one or on many."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from django.db import models, transaction

from apps.crm.models.counted import CountedQuerySet
from apps.crm.models.label import AccountLabel, Label
from apps.crm.models.note import Note
from apps.crm.models.notice import Notice
from apps.crm.models.task import Task
from apps.crm.models.transition import StageTransition
from apps.crm.models.user import User


class Belonging(models.Model):
    """An account as far as what people put on it goes. Its row is locked first."""

    class Meta:
        abstract = True

    def add_note(
        self: Any,
        text: str,
        *,
        by: User | None,
        now: datetime,
        kind: str = Note.Kind.NOTE,
        product: str = "",
    ) -> Note:
        """Write down a note, tell whom it names, and return it; ``product`` in the spelling used before."""
        with transaction.atomic():
            self.lock()
            product = Note.objects.spelled(product)
            note = Note.objects.create(
                account=self, text=text, author=by, kind=kind, product=product, created_at=now
            )
            note.mention(by=by, now=now)
            self.recount()
        return note

    def add_task(
        self: Any,
        title: str,
        due_on: date,
        *,
        by: User | None,
        now: datetime,
        assignee: User | None = None,
        cause: str = "",
        transition: StageTransition | None = None,
    ) -> Task:
        """Add something to do by a day, tell whom it is for, and return it."""
        with transaction.atomic():
            self.lock()
            task = Task.objects.create(
                account=self,
                title=title,
                due_on=due_on,
                created_by=by,
                created_at=now,
                assignee=assignee,
                cause=cause,
                transition=transition,
            )
            Notice.objects.tell_of_tasks([task], by=by, now=now)
            self.recount()
        return task

    def add_label(self: Any, name: str, *, now: datetime) -> Label:
        """Put a label on it, in the spelling the team has used before, and return it."""
        with transaction.atomic():
            self.lock()
            label = Label.called(name)
            AccountLabel.objects.get_or_create(account=self, label=label)
            self.edit(now=now)
        return label

    def relabel(
        self: Any, *, now: datetime, by: User, seen: datetime | None = None, labels: Iterable[Label]
    ) -> None:
        """Let it wear just these labels; ``seen`` and what it raises are those of ``edit``."""
        with transaction.atomic():
            self.lock()
            self.edit(now=now, by=by, seen=seen)
            self.labels.set(labels)

    def remove_label(self: Any, label: Label, *, now: datetime) -> None:
        """Take a label off; one that is not there is no matter."""
        with transaction.atomic():
            self.lock()
            AccountLabel.objects.filter(account=self, label=label).delete()
            self.edit(now=now)


class BelongingQuerySet(CountedQuerySet):
    """Accounts, as far as what people put on them goes."""

    def put_label(self, label: Label, *, now: datetime) -> list[int]:
        """Put a label on them; the ids of those that did not wear it."""
        bare = list(self.exclude(accountlabel__label=label).values_list("pk", flat=True))
        AccountLabel.objects.bulk_create(
            (AccountLabel(account_id=pk, label=label) for pk in bare), ignore_conflicts=True
        )
        self.model._base_manager.filter(pk__in=bare).update(changed_at=now)
        return bare

    def take_label(self, label: int | None, *, now: datetime) -> list[int]:
        """Take the label of this id off them; the ids of those that wore it."""
        worn = AccountLabel.objects.filter(label=label, account__in=self.values("pk"))
        ids = list(worn.values_list("account", flat=True))
        AccountLabel.objects.filter(label=label, account__in=ids).delete()
        self.model._base_manager.filter(pk__in=ids).update(changed_at=now)
        return ids

    def add_tasks(
        self, title: str, due_on: date | str, *, by: User, now: datetime, assignee: int | None
    ) -> dict[int, int]:
        """Add the same to do to each, for the person of this id, who is told; the task's id by account."""
        tasks = Task.objects.bulk_create(
            Task(
                account_id=pk, title=title, due_on=due_on, assignee_id=assignee, created_by=by, created_at=now
            )
            for pk in self.values_list("pk", flat=True)
        )
        Notice.objects.tell_of_tasks(tasks, by=by, now=now)
        self.recount()
        return {task.account_id: task.pk for task in tasks}
