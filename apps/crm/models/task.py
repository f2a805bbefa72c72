from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.expressions import Combinable

from apps.crm.models.notice import Notice
from apps.crm.models.user import User


class NextStep(NamedTuple):
    """What may well come after a task: its words, and in how many days it is due."""

    words: str
    in_days: int

    def due_on(self, today: date) -> date:
        """The day it is due, counted from ``today``: never a Saturday or a Sunday."""
        due = today + timedelta(days=self.in_days)
        return due + timedelta(days=7 - due.weekday() if due.weekday() > 4 else 0)


NEXT_STEPS: dict[str, NextStep] = {
    "circle-back": NextStep("Circle back", 7),
    "second-call": NextStep("Offer a second call", 3),
    "homework": NextStep("Offer homework", 1),
}


class TaskQuerySet(models.QuerySet["Task"]):
    def open(self) -> TaskQuerySet:
        return self.filter(done_at__isnull=True)

    def due_by(self, day: date | Combinable) -> TaskQuerySet:
        """Open, and due on a day or before."""
        return self.open().filter(due_on__lte=day)

    def to_remind(self, today: date) -> TaskQuerySet:
        """Open, and to be brought to mind today; those of which somebody was reminded once are done with."""
        return self.open().filter(remind_on__lte=today, reminded_at__isnull=True)

    def reminded(self, *, now: datetime) -> int:
        """Note that their one reminder was given; returns for how many it had not been before."""
        return self.filter(reminded_at__isnull=True).update(reminded_at=now)


class Task(models.Model):
    """Something to do for an account by a day. Celery's tasks are called jobs here."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="tasks", db_index=False)
    title = models.TextField(validators=[MaxLengthValidator(300)])
    due_on = models.DateField()
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="tasks",
        db_index=False,
    )
    assignee_reported = models.TextField(
        blank=True, help_text="An assignee another system named, who has no login here."
    )
    external_id = models.CharField(
        max_length=200,
        null=True,
        blank=True,
        unique=True,
        editable=False,
        help_text="Its id where it came from.",
    )
    urgent = models.BooleanField(
        default=False, help_text="Shown ahead of the others: somebody has paid for it."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    cause = models.CharField(
        max_length=120, blank=True, help_text="What made it: `playbook:<name>`, `call:<id>`, or empty."
    )
    transition = models.ForeignKey(
        "crm.StageTransition", models.DB_CASCADE, null=True, blank=True, related_name="tasks", db_index=False
    )
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    dropped = models.BooleanField(default=False, help_text="Closed because what asked for it was undone.")
    remind_on = models.DateField(
        null=True, blank=True, help_text="The day to bring it to mind, beside the day it is due."
    )
    reminded_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When that was done: once a task."
    )

    objects: ClassVar[Any] = TaskQuerySet.as_manager()

    class Meta:
        ordering = ["due_on", "pk"]
        indexes = [
            models.Index(fields=["account", "due_on"], name="task_open", condition=Q(done_at__isnull=True)),
            models.Index(
                fields=["assignee", "due_on"], name="task_open_of", condition=Q(done_at__isnull=True)
            ),
            models.Index(fields=["due_on"], name="task_due", condition=Q(done_at__isnull=True)),
            models.Index(fields=["-done_at"], name="task_done", condition=Q(done_at__isnull=False)),
            models.Index(fields=["account", "-created_at"], name="task_of_account"),
            # Without it, erasing an account reads every task once for each of its moves.
            models.Index(fields=["transition"], name="task_of_move", condition=Q(transition__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.title}, due {self.due_on}"

    def finish(self, *, by: User | None, now: datetime) -> bool:
        """Tick it off; False when somebody already had."""
        return self._while_open(done_at=now, done_by=by)

    def reopen(self) -> bool:
        """Take the tick back; False when it is open already."""
        return self._change(Q(done_at__isnull=False), done_at=None, done_by=None, dropped=False)

    def drop(self, *, by: User | None, now: datetime) -> bool:
        """Take back that it was added; False when it is done."""
        return self._while_open(done_at=now, done_by=by, dropped=True)

    def reschedule(self, due_on: date, *, seen: date) -> bool:
        """Move it to another day; False when it is done, or due on another day than was ``seen``."""
        return self._while_open(Q(due_on=seen), due_on=due_on)

    def assign(self, to: User | None, *, seen: int | None, by: User | None, now: datetime) -> bool:
        """Give it to somebody, who is told, or to nobody.

        False when it is done, or is not the one's whose id was ``seen``.
        """
        with transaction.atomic():
            given = self._while_open(Q(assignee=seen), assignee=to)
            if given:
                Notice.objects.tell_of_tasks([self], by=by, now=now)
        return given

    def reword(self, title: str, *, remind_on: date | None, seen: str) -> bool:
        """Say it in other words, or set its reminder; False when it is done, or its words are not those ``seen``."""
        return self._while_open(Q(title=seen), title=title, remind_on=remind_on)

    def next_step(self, step: NextStep, *, today: date, by: User, now: datetime) -> Task:
        """Add what comes after it, for the same person, and return that."""
        made: Task = self.account.add_task(
            step.words, step.due_on(today), by=by, now=now, assignee=self.assignee or by
        )
        return made

    def _while_open(self, only_if: Q | None = None, **values: object) -> bool:
        return self._change(Q(done_at__isnull=True) & (only_if or Q()), **values)

    def _change(self, only_if: Q, **values: object) -> bool:
        with transaction.atomic():
            self.account.lock()
            changed = Task.objects.filter(only_if, pk=self.pk).update(**values)
            self.account.recount()
            self.account.touch()
        if changed:
            self.refresh_from_db(fields=[*values])
        return bool(changed)
