"""The counts an account keeps of what hangs on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, models


class CountedQuerySet(models.QuerySet[Any]):
    """Accounts, as far as their counts go."""

    def recount(self) -> int:
        """Bring the counts kept on these accounts up to date; returns how many were wrong."""
        try:
            chosen, values = self.order_by().values("pk").query.sql_with_params()
        except EmptyResultSet:
            return 0
        return _recount(chosen, values)

    def recount_these(self, ids: Sequence[int]) -> int:
        """The same, of the accounts with these ids."""
        return _recount("SELECT unnest(%s::bigint[])", ([*ids],))


def _recount(chosen: str, values: tuple[Any, ...]) -> int:
    """Count for the accounts whose ids a SELECT finds; one that is right already is not written."""
    with connection.cursor() as cursor:
        # What is put into the text is Django's own SQL; its values stand beside it.
        cursor.execute(
            f"""
            UPDATE crm_account account
            SET (notes_count, next_task_on, open_alerts, bills_held, first_bill) =
                (counted.notes, counted.task_on, counted.alerts, counted.bills, counted.first_bill)
            FROM (
                SELECT id,
                    (SELECT count(*) FROM crm_note WHERE account_id = chosen.id) AS notes,
                    (SELECT min(due_on) FROM crm_task
                     WHERE account_id = chosen.id AND done_at IS NULL) AS task_on,
                    (SELECT count(*) FROM crm_alert
                     WHERE account_id = chosen.id AND resolved_at IS NULL) AS alerts,
                    (SELECT count(*) FROM crm_bill
                     WHERE account_id = chosen.id AND status = 'paid' AND amount > 0) AS bills,
                    (SELECT amount FROM crm_bill
                     WHERE account_id = chosen.id AND status IN ('open', 'paid', 'uncollectible') AND amount > 0
                     ORDER BY period_start, id LIMIT 1) AS first_bill
                FROM ({chosen}) AS chosen (id)
            ) AS counted
            WHERE counted.id = account.id
              AND (account.notes_count, account.next_task_on, account.open_alerts, account.bills_held,
                   account.first_bill)
                  IS DISTINCT FROM
                  (counted.notes, counted.task_on, counted.alerts, counted.bills, counted.first_bill)
            """,  # nosec B608
            values,
        )
        return cursor.rowcount
