"""Imports of account files: kept with their file from the preview on, so that any worker can carry one out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

import structlog
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F, Q

from apps.crm.fields import Problem, shown
from apps.crm.models import Account, User
from apps.intake.columns import suggested
from apps.intake.files import Table, Unusable
from apps.intake.loading import Outcome, preview, take_in

MOST_TRIES = 3
MOST_KEPT = 1_000
FORGET_PREVIEWS_AFTER = timedelta(days=7)
FORGET_FILES_AFTER = timedelta(days=90)

# Reading the lines is this much of the whole; the rest is a few statements whose length nobody knows.
READING_SHARE = 60

# With the import's id, the lock by which one worker at a time carries it out.
LOCK = 4_410

# The lists of an outcome that are kept with it.
LISTS = ("differing", "quarantined", "without_login", "others_without_login")

log = structlog.get_logger(__name__)


class ImportQuerySet(models.QuerySet["Import"]):
    def waiting(self) -> ImportQuerySet:
        """Confirmed and not carried out, be it that nobody began or that who began is gone."""
        return self.filter(state__in=(Import.State.QUEUED, Import.State.RUNNING)).order_by("confirmed_at")

    def light(self) -> ImportQuerySet:
        """Without the file itself."""
        return self.defer("file")

    def forget(self, *, now: datetime) -> None:
        """Drop previews that nobody confirmed, and the files of imports long past."""
        previews = self.filter(state=Import.State.PREVIEWED)
        previews.filter(created_at__lt=now - FORGET_PREVIEWS_AFTER).delete()
        self.filter(created_at__lt=now - FORGET_FILES_AFTER).exclude(file=b"").update(file=b"")


class Import(models.Model):
    """A file of accounts, from its upload to its result."""

    class State(models.TextChoices):
        PREVIEWED = "previewed", "Preview"
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    file_name = models.CharField(max_length=200)
    file = models.BinaryField()
    header = models.JSONField(default=list)
    rows = models.PositiveIntegerField(default=0)
    mapping = models.JSONField(default=dict, help_text="What each column is imported as; empty: not at all.")
    state = models.CharField(max_length=10, choices=State, default=State.PREVIEWED)
    revision = models.PositiveIntegerField(
        default=1, help_text="Counts the previews: what was confirmed was seen."
    )
    progress = models.PositiveSmallIntegerField(default=0, help_text="Percent.")
    tries = models.PositiveSmallIntegerField(default=0)
    outcome = models.JSONField(
        default=dict, help_text="Counts and lists: what it would do, then what it did."
    )
    failure = models.TextField(blank=True)
    held = models.BooleanField(
        default=True, help_text="The playbooks pass its new accounts over until released."
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField()
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    released_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = ImportQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                fields=["confirmed_at"], name="import_waiting", condition=Q(state__in=["queued", "running"])
            ),
        ]

    def __str__(self) -> str:
        return self.file_name

    def get_absolute_url(self) -> str:
        return f"/import/{self.pk}/"

    @classmethod
    def upload(cls, file_name: str, file: bytes, *, by: User, now: datetime) -> Import:
        """Keep a file with its suggested mapping and its preview. Raises ``Unusable`` and then keeps nothing."""
        table = Table(file)
        made = cls(file_name=shown(file_name), file=file, by=by, created_at=now, header=table.header)
        made.mapping = suggested(table.header)
        made.rows = table.count()
        made.outcome = _previewed(table, made.mapping, now)
        made.save()
        return made

    @classmethod
    def begin(cls, file_name: str, *, held: bool, now: datetime, **what: Any) -> Import:
        """An import that is carried out at once, without a preview: its caller takes in and finishes."""
        return cls.objects.create(
            file_name=shown(file_name),
            held=held,
            state=cls.State.RUNNING,
            created_at=now,
            confirmed_at=now,
            **what,
        )

    @property
    def hold(self) -> str:
        """What its accounts are held by."""
        return f"import:{self.pk}"

    @cached_property
    def still_held(self) -> int:
        return Account.objects.filter(held_by=self.hold).count()

    @property
    def over(self) -> bool:
        return self.state in (self.State.DONE, self.State.FAILED)

    @property
    def confirmable(self) -> bool:
        return self.state == self.State.PREVIEWED and not self.outcome["errors_total"]

    def remap(self, mapping: Mapping[str, str], *, now: datetime) -> bool:
        """Preview it anew with another mapping; False when it is no preview any more."""
        clean = {name: mapping.get(name, "") for name in self.header}
        outcome = _previewed(Table(bytes(self.file)), clean, now)
        return self._step(
            self.State.PREVIEWED, mapping=clean, outcome=outcome, revision=F("revision") + 1, failure=""
        )

    def confirm(self, revision: int, *, by: User, now: datetime) -> bool:
        """Queue it as it was previewed; False when that has happened already or another preview was made since."""
        return self._step(
            self.State.PREVIEWED,
            only_if=Q(revision=revision, outcome__errors_total=0),
            state=self.State.QUEUED,
            confirmed_by=by,
            confirmed_at=now,
        )

    def release(self, *, by: User, now: datetime) -> int:
        """Let the playbooks act on its accounts; returns how many were held."""
        with transaction.atomic():
            self._step(self.State.DONE, only_if=Q(released_at=None), released_by=by, released_at=now)
            return Account.objects.filter(held_by=self.hold).update(held_by="")

    def carry_out(self, *, now: datetime) -> bool:
        """Take the file in, all or nothing; False when it is not this worker's to do.

        Whoever dies in the middle leaves no trace but a try: the lock goes with the transaction, and the next
        sweep begins anew. The accounts and the word “done” are one transaction.
        """
        try:
            with transaction.atomic():
                if not self._lock():
                    return False
                if self.tries < MOST_TRIES:
                    self._run(now)
                else:
                    self._fail(f"It was tried {MOST_TRIES} times and never came to its end.", now)
        except Exception:
            log.exception("import_failed", import_id=self.pk)
        return True

    def _run(self, now: datetime) -> None:
        aside = Aside(self)
        try:
            aside.note(state=str(self.State.RUNNING), tries=self.tries + 1)
            outcome = take_in(
                Table(bytes(self.file)),
                self.mapping,
                now=now,
                by=self.confirmed_by,
                held_by=self.hold if self.held else "",
                tell=lambda rows: aside.progress(READING_SHARE * rows // max(self.rows, 1)),
            )
        except Unusable as error:
            self._fail(error.sentence, now)
            return
        finally:
            aside.close()
        self.finish(outcome, now=now)

    def finish(self, outcome: Outcome, *, now: datetime) -> None:
        """Note what came of it; call it in the transaction that wrote the accounts."""
        self._step(
            self.State.QUEUED,
            self.State.RUNNING,
            state=self.State.FAILED if outcome.errors else self.State.DONE,
            failure="Some lines were rejected." if outcome.errors else "",
            rows=outcome.created + outcome.updated + outcome.unchanged + outcome.rejected,
            progress=100,
            outcome=as_json(outcome),
            finished_at=now,
        )

    def _lock(self) -> bool:
        """Take the import for this transaction, if it waits still and nobody else has it."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [LOCK, self.pk % 2**31])
            mine = cursor.fetchone()[0]
        # Whoever had the lock a moment ago may have finished it.
        if mine:
            self.refresh_from_db()
        return mine and self.state in (self.State.QUEUED, self.State.RUNNING)

    def _fail(self, sentence: str, now: datetime) -> None:
        self._step(
            self.State.QUEUED,
            self.State.RUNNING,
            state=self.State.FAILED,
            failure=sentence,
            finished_at=now,
        )

    def _step(self, *states: str, only_if: Q | None = None, **values: Any) -> bool:
        """Change the row if it is in one of these states still; False when it is not."""
        mine = Import.objects.filter(only_if or Q(), pk=self.pk, state__in=states)
        if not mine.update(**values):
            return False
        self.refresh_from_db(fields=list(values))
        return True


class Aside:
    """A connection of its own, by which others see how far an import is while its transaction runs."""

    def __init__(self, of: Import) -> None:
        self._pk = of.pk
        self._percent = 0
        self._connection = connection.copy()

    def progress(self, percent: int) -> None:
        if percent > self._percent:
            self._percent = percent
            self.note(progress=percent)

    def note(self, **values: Any) -> None:
        columns = ", ".join(f"{name} = %s" for name in values)
        with self._connection.cursor() as cursor:
            cursor.execute(f"UPDATE intake_import SET {columns} WHERE id = %s", [*values.values(), self._pk])

    def close(self) -> None:
        self._connection.close()


def _previewed(table: Table, mapping: Mapping[str, str], now: datetime) -> dict[str, Any]:
    try:
        return as_json(preview(table, mapping, now=now))
    except Unusable as error:
        # The file itself was read before: it is the mapping that cannot be used.
        return as_json(Outcome(errors=[Problem(error.line, "", "", error.sentence)]))


def error_as_json(problem: Problem) -> dict[str, Any]:
    """A problem as files speak of it."""
    file = {"file": problem.file} if problem.file else {}
    return {
        **file,
        "line": problem.row or None,
        "column": problem.field,
        "value": problem.value,
        "error": problem.sentence,
    }


def as_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as it is kept and shown: lists are cut, and each says how long it was."""
    errors = [error_as_json(problem) for problem in outcome.errors[:MOST_KEPT]]
    lists = {name: getattr(outcome, name) for name in LISTS}
    return {
        **{name: getattr(outcome, name) for name in ("created", "updated", "unchanged", "rejected")},
        "errors": errors,
        "errors_total": len(outcome.errors),
        "files": outcome.files,
        **{name: listing.rows for name, listing in lists.items()},
        **{f"{name}_total": listing.total for name, listing in lists.items()},
    }
