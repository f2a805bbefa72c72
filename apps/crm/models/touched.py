"""Which accounts pages show otherwise since a moment, whoever changed them."""

from __future__ import annotations

from typing import Any, Self

from django.db import connection, models
from django.db.models import F, Func, Q, Value


class Snapshot(Func):
    """Which transactions had ended when the statement began; a mark for ``touched_since``."""

    template = "pg_current_snapshot()::text"
    output_field = models.TextField()


class ThisTransaction(Func):
    """The transaction under way, as ``touched`` keeps it."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()


def mark_of_now() -> str:
    """The mark of this moment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_snapshot()::text")
        mark: str = cursor.fetchone()[0]
        return mark


class TouchedQuerySet(models.QuerySet[Any]):
    """Accounts, as far as open pages are to draw them anew."""

    def touched_since(self, mark: str) -> Self:
        """Accounts whose shown facts were changed by a transaction that had not ended when ``mark`` was taken.

        Nothing slips in behind a mark, however long its transaction took. Annotated with the next ``mark``.
        """
        unseen = Func(
            F("touched"),
            Value(mark),
            template="(NOT pg_visible_in_snapshot(%(expressions)s::pg_snapshot))",
            arg_joiner="::text::xid8, ",
            output_field=models.BooleanField(),
        )
        oldest = int(mark.partition(":")[0])
        return self.filter(Q(touched__gte=oldest) & Q(unseen)).annotate(mark=Snapshot())

    def touch(self) -> None:
        """Have open pages draw them anew, where what hangs on them changed and no fact of their own did."""
        self.update(touched=ThisTransaction())
