from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.crm.models.user import User

# Code is quoted, and a name in it calls nobody; the at of a mail address has something before it.
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_NAME = re.compile(r"(?<![\w.+/@-])@([\w.+-]+)")


def mentioned(text: str) -> list[int]:
    """The ids of the colleagues a text names as ``@login``, or by a first name that only one of them has.

    At most one query, and none for a text that names nobody.
    """
    names = {name.lower() for name in _NAME.findall(_CODE.sub(" ", text))}
    # A sentence may end behind a name, and a login may end in the same mark.
    names |= {name.rstrip(".+-") for name in names}
    return User.objects.called(names) if names else []


class Kind(NamedTuple):
    """What somebody is told of: the words before it, and the field that names it; an account needs none."""

    did: str
    field: str


KINDS: dict[str, Kind] = {
    "mention": Kind("mentioned you on", "note"),
    "task": Kind("gave you a task for", "task"),
    "alert": Kind("gave you an alert of", "alert"),
    "account": Kind("gave you", ""),
}
SUBJECT = ("account", "user", "note", "task", "alert")


class NoticeQuerySet(models.QuerySet[Any]):
    def tell(self, notices: Iterable[Notice], *, anew: bool = True) -> None:
        """Keep these, but those for nobody and those of one's own doing.

        One that is there already is new again, unless ``anew`` is false: then it stays as it is.
        """
        kept: list[Any] = [one for one in notices if one.user_id is not None and one.user_id != one.by_id]
        if not anew:
            self.bulk_create(kept, ignore_conflicts=True)
        elif kept:
            self.bulk_create(
                kept,
                update_conflicts=True,
                unique_fields=SUBJECT,
                update_fields=["by", "at", "seen_at", "told_at"],
            )

    def tell_of_tasks(self, tasks: Iterable[Any], *, by: User | None, now: datetime) -> None:
        """Tell the assignees of these tasks that they are theirs now."""
        self.tell(
            Notice(user_id=task.assignee_id, account_id=task.account_id, task_id=task.pk, by=by, at=now)
            for task in tasks
        )

    def tell_of_alerts(self, alerts: models.QuerySet[Any], *, by: User | None, now: datetime) -> None:
        """Tell the assignees of these alerts that they are theirs now. One query to read them."""
        self.tell(
            Notice(user_id=person, account_id=account, alert_id=alert, by=by, at=now)
            for alert, account, person in alerts.values_list("pk", "account", "assignee")
        )

    def standing(self) -> NoticeQuerySet:
        """Those that still hold: a mention, or what is open and this person's yet."""
        return self.filter(
            Q(note__isnull=False)
            | Q(task__done_at__isnull=True, task__assignee=F("user"))
            | Q(alert__resolved_at__isnull=True, alert__assignee=F("user"))
            | Q(note=None, task=None, alert=None, account__owner=F("user"))
        )

    def mentions(self) -> NoticeQuerySet:
        return self.filter(note__isnull=False)

    def unseen(self) -> NoticeQuerySet:
        return self.filter(seen_at__isnull=True)

    def untold(self) -> NoticeQuerySet:
        """Not seen here, and not told by mail."""
        return self.unseen().filter(told_at__isnull=True)

    def see(self, *, until: datetime, now: datetime) -> int:
        """Note that those up to ``until`` were looked at; returns how many had not been."""
        return self.unseen().filter(at__lte=until).update(seen_at=now)


class Notice(models.Model):
    """Somebody is told of something: that a note names them, or that a task, an alert or an account is theirs now.

    Once a subject and person; what is given to somebody anew is told anew. One's own doing is never told.
    """

    # The indexes that find rows by these begin with them, and nobody is ever deleted.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="notices", db_index=False
    )
    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="+", db_index=False)
    note = models.ForeignKey(
        "crm.Note", models.DB_CASCADE, null=True, blank=True, related_name="mentions", db_index=False
    )
    task = models.ForeignKey(
        "crm.Task", models.DB_CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    alert = models.ForeignKey(
        "crm.Alert", models.DB_CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    at = models.DateTimeField()
    seen_at = models.DateTimeField(null=True, blank=True, help_text="When it was looked at here.")
    told_at = models.DateTimeField(null=True, blank=True, help_text="When a mail with it was written.")

    objects: ClassVar[Any] = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=SUBJECT, nulls_distinct=False, name="notice_once_a_subject"),
            models.CheckConstraint(
                condition=Q(note=None, task=None) | Q(note=None, alert=None) | Q(task=None, alert=None),
                name="notice_of_one_subject",
            ),
            models.CheckConstraint(
                condition=Q(by=None) | ~Q(by=F("user")), name="notice_never_of_ones_own_doing"
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-at"], name="notice_of_user"),
            models.Index(fields=["user", "at"], name="notice_unseen", condition=Q(seen_at__isnull=True)),
            models.Index(
                fields=["at"],
                name="notice_mention_untold",
                condition=Q(note__isnull=False, seen_at__isnull=True, told_at__isnull=True),
            ),
            # Without these, erasing an account reads every notice once for each of its notes, tasks and alerts.
            models.Index(fields=["note"], name="notice_of_note", condition=Q(note__isnull=False)),
            models.Index(fields=["task"], name="notice_of_task", condition=Q(task__isnull=False)),
            models.Index(fields=["alert"], name="notice_of_alert", condition=Q(alert__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {KINDS[self.kind].did} {self.account}"

    @property
    def kind(self) -> str:
        """Which of ``KINDS`` it is."""
        fields = {kind.field: name for name, kind in KINDS.items()}
        given = [field for field in fields if field and getattr(self, f"{field}_id") is not None]
        return fields[given[0] if given else ""]

    @property
    def actor(self) -> str:
        """Who did it; what no person did, we did."""
        return str(self.by or "Onramp")

    @property
    def did(self) -> str:
        return KINDS[self.kind].did

    @property
    def about(self) -> str:
        """What was said or given, in a line."""
        said = self.note.text if self.note else self.task.title if self.task else str(self.alert or "")
        return " ".join(said.split())
