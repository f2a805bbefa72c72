"""The counts an account keeps of what hangs on it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, models

# What an account keeps of what hangs on it, and the question that each answers.
_COUNTS = {
    "notes_count": "count(*) FROM crm_note WHERE account_id = chosen.id",
    "next_task_on": "min(due_on) FROM crm_task WHERE account_id = chosen.id AND done_at IS NULL",
    "open_alerts": "count(*) FROM crm_alert WHERE account_id = chosen.id AND resolved_at IS NULL",
    "bills_held": "count(*) FROM crm_bill WHERE account_id = chosen.id AND status = 'paid' AND amount > 0",
    "first_bill": """
        amount FROM crm_bill
        WHERE account_id = chosen.id AND status IN ('open', 'paid', 'uncollectible') AND amount > 0
        ORDER BY period_start, id LIMIT 1
    """,
}


class CountedQuerySet(models.QuerySet[Any]):
    """Accounts, as far as their counts go."""

    def recount(self) -> int:
        """Bring the counts kept on these accounts up to date; returns how many were wrong."""
        try:
            chosen, values = self.order_by().values("pk").query.sql_with_params()
        except EmptyResultSet:
            return 0
        return _recount(chosen, values, _COUNTS)

    def recount_these(self, ids: Sequence[int], names: Collection[str] = _COUNTS) -> int:
        """The same, of the accounts with these ids; where no other can have changed, of these counts alone."""
        return _recount("SELECT unnest(%s::bigint[])", ([*ids],), names)


def _recount(chosen: str, values: tuple[Any, ...], names: Collection[str]) -> int:
    """Count for the accounts whose ids a SELECT finds; one that is right already is not written."""
    counts = ", ".join(f"(SELECT {_COUNTS[name]}) AS {name}" for name in names)
    counted, kept = (", ".join(f"{of}.{name}" for name in names) for of in ("counted", "account"))
    with connection.cursor() as cursor:
        # What is put into the text is our own and Django's SQL; its values stand beside it.
        cursor.execute(
            f"""
            UPDATE crm_account account SET ({", ".join(names)}) = ROW ({counted})
            FROM (SELECT id, {counts} FROM ({chosen}) AS chosen (id)) AS counted
            WHERE counted.id = account.id AND ROW ({kept}) IS DISTINCT FROM ROW ({counted})
            """,  # nosec B608
            values,
        )
        return cursor.rowcount
