from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models, transaction
from django.db.models import Q

from apps.crm.models.user import User


class TaskQuerySet(models.QuerySet["Task"]):
    def open(self) -> TaskQuerySet:
        return self.filter(done_at__isnull=True)


class Task(models.Model):
    """Something to do for an account by a day. Celery's tasks are called jobs here."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="tasks")
    title = models.TextField(validators=[MaxLengthValidator(300)])
    due_on = models.DateField()
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="tasks"
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
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField()
    cause = models.CharField(
        max_length=120, blank=True, help_text="What made it: `playbook:<name>`, `call:<id>`, or empty."
    )
    transition = models.ForeignKey(
        "crm.StageTransition", models.DB_CASCADE, null=True, blank=True, related_name="tasks"
    )
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    dropped = models.BooleanField(default=False, help_text="Closed because what asked for it was undone.")

    objects: ClassVar[Any] = TaskQuerySet.as_manager()

    class Meta:
        ordering = ["due_on", "pk"]
        indexes = [
            models.Index(fields=["account", "due_on"], name="task_open", condition=Q(done_at__isnull=True)),
            models.Index(
                fields=["assignee", "due_on"], name="task_open_of", condition=Q(done_at__isnull=True)
            ),
            models.Index(fields=["account", "-created_at"], name="task_of_account"),
            # Without it, erasing an account reads every task once for each of its moves.
            models.Index(fields=["transition"], name="task_of_move", condition=Q(transition__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.title}, due {self.due_on}"

    def finish(self, *, by: User | None, now: datetime) -> bool:
        """Tick it off; False when somebody already had."""
        return self._close(done_at=now, done_by=by)

    def drop(self, *, by: User | None, now: datetime) -> bool:
        """Close it undone, because what asked for it was taken back; False when it was done."""
        return self._close(done_at=now, done_by=by, dropped=True)

    def reopen(self) -> bool:
        """Take the tick back; False when it is open already."""
        return self._change(Q(done_at__isnull=False), done_at=None, done_by=None, dropped=False)

    def reschedule(self, due_on: date) -> bool:
        """Move an open task to another day; False when it is done."""
        return self._close(due_on=due_on)

    def _close(self, **values: object) -> bool:
        return self._change(Q(done_at__isnull=True), **values)

    def _change(self, only_if: Q, **values: object) -> bool:
        with transaction.atomic():
            self.account.lock()
            changed = Task.objects.filter(only_if, pk=self.pk).update(**values)
            self.account.recount()
        if changed:
            self.refresh_from_db(fields=[*values])
        return bool(changed)
