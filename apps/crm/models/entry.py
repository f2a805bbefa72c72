from __future__ import annotations

from typing import Any, ClassVar

from django.db import connection, models, transaction

from apps.crm.enough import Enough, never
from apps.crm.metrics.base import MOVES
from apps.crm.pipeline import AFTER_INTRO_CALL, Stage

# The accounts of a slice can be moved again once it is written.
SLICE = 2_000

# They are held, so that a bill that comes meanwhile finds the entry or is found by it; those that somebody else holds
# are the next run's.
_STALE = """
SELECT account.id, account.version FROM crm_account account
LEFT JOIN crm_walked walked ON walked.account_id = account.id
WHERE account.version > COALESCE(walked.version, 0) LIMIT %s
FOR NO KEY UPDATE OF account SKIP LOCKED
"""
_ENGAGED = (Stage.ENGAGED_EMAIL, Stage.CALL_BOOKED, *AFTER_INTRO_CALL)
_FOLD = f"""
WITH {MOVES}, walked AS (
    SELECT account_id, version, to_stage, at,
           count(*) FILTER (WHERE to_stage = '{Stage.NEW}') OVER (PARTITION BY account_id ORDER BY version) AS number
    FROM moves WHERE account_id = ANY(%(ids)s)
), entries AS (
    SELECT account_id, min(version) AS version, array_agg(to_stage::text ORDER BY version) AS stages,
           array_agg(at ORDER BY version) AS times
    FROM walked WHERE number > 0 GROUP BY account_id, number
), gone AS (
    DELETE FROM crm_entry entry WHERE account_id = ANY(%(ids)s) AND NOT EXISTS (
        SELECT FROM entries WHERE entries.account_id = entry.account_id AND entries.version = entry.version)
)
INSERT INTO crm_entry AS kept (account_id, version, at, left_at, next_stage, written, engaged, called, stands)
SELECT account_id, version, times[1], times[2], COALESCE(stages[2], ''), stages && %(written)s, stages && %(engaged)s,
       stages && %(called)s, stages[array_upper(stages, 1)]
FROM entries
ON CONFLICT (account_id, version) DO UPDATE
    SET (left_at, next_stage, written, engaged, called, stands) =
        (excluded.left_at, excluded.next_stage, excluded.written, excluded.engaged, excluded.called, excluded.stands)
"""
_WALKED = """
INSERT INTO crm_walked AS kept (account_id, version) SELECT * FROM unnest(%s::bigint[], %s::int[])
ON CONFLICT (account_id) DO UPDATE SET version = excluded.version
"""


class EntryQuerySet(models.QuerySet["Entry"]):
    def bring_up_to_date(self, *, enough: Enough = never) -> int:
        """Read the moves of the accounts that were moved since; returns how many accounts. May run twice.

        A slice is a transaction of its own; ``enough`` is asked before each whether to leave the rest.
        """
        done = 0
        while not enough():
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('crm_entry'))")
                cursor.execute(_STALE, [SLICE])
                ids, versions = zip(*cursor.fetchall(), strict=True) if cursor.rowcount else ((), ())
                if not ids:
                    break
                values = {
                    "ids": [*ids],
                    "written": [
                        str(one) for one in (Stage.INITIATED, *_ENGAGED, Stage.AWAITING_FINAL_OUTREACH)
                    ],
                    "engaged": [str(one) for one in _ENGAGED],
                    "called": [str(one) for one in AFTER_INTRO_CALL],
                }
                cursor.execute(_FOLD, values)
                cursor.execute("SELECT crm_entry_renews(%s)", [[*ids]])
                cursor.execute(_WALKED, [[*ids], [*versions]])
            done += len(ids)
        return done


class Entry(models.Model):
    """One time an account entered at 1, and what came of it: read off the ledger by a job, for the reports.

    ``version`` is that of the move; ``left_at`` and ``next_stage`` are of the next one, the others of all moves until
    it entered again. Undone moves count for nothing. ``renewed_on`` is kept by a trigger on bills.
    """

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="entries", db_index=False)
    version = models.PositiveIntegerField()
    at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)
    next_stage = models.CharField(max_length=32, blank=True)
    written = models.BooleanField(help_text="Whether it came to 2 or further.")
    engaged = models.BooleanField(help_text="Whether it came to 3a or further.")
    called = models.BooleanField(help_text="Whether it came to 4a or further.")
    stands = models.CharField(max_length=32, help_text="Where it came to last.")
    renewed_on = models.DateField(
        null=True, help_text="The end of the first period to end since the day before, which is UTC's."
    )

    objects: ClassVar[Any] = EntryQuerySet.as_manager()

    class Meta:
        ordering = ["account", "version"]
        constraints = [models.UniqueConstraint(fields=["account", "version"], name="entry_once")]
        indexes = [models.Index(fields=["at"], name="entry_by_time")]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"Entered on {self.at:%Y-%m-%d}"


class Walked(models.Model):
    """Up to which of its moves an account's entries are read."""

    account = models.OneToOneField(
        "crm.Account", models.DB_CASCADE, primary_key=True, related_name="walked", editable=False
    )
    version = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"Read up to {self.version}"
