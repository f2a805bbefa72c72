"""The board read back from the ledger: where accounts stood at a moment, and who stands elsewhere since.

Only the stage is of then: what else is known of an account is as it is now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from apps.crm.board import LANE_SIZE, Holding
from apps.crm.pipeline import OUTSIDE, Stage

_FACTS = ("id", "name", "stage", "renewal_on", "forecast", "owner_id")

# An account stood where its first move since then came from, or where it stands if it has not moved.
_STOOD = """
WITH asked AS ({accounts}),
moved AS (
    SELECT DISTINCT ON (account_id) account_id, from_stage
    FROM crm_stagetransition WHERE at >= %s ORDER BY account_id, version
),
stood AS (
    SELECT asked.*, coalesce(moved.from_stage, asked.stage) AS stood_at
    FROM asked LEFT JOIN moved ON moved.account_id = asked.id
)
"""
_HOLDINGS = "SELECT {here}, count(*), sum(forecast) FROM stood WHERE {drawn} GROUP BY 1"
_LEFT = "SELECT stood_at, count(*) FROM stood WHERE stood_at <> stage GROUP BY 1"
_ROWS = """
SELECT here, card.id, name, renewal_on, forecast, owner_id, stood_at, last.at, last.by_id, last.cause
FROM (
    SELECT {here} AS here, stood.*,
        row_number() OVER (PARTITION BY {here} ORDER BY renewal_on NULLS LAST, id) AS place
    FROM stood WHERE {drawn} AND {here} = ANY(%s)
) card
CROSS JOIN LATERAL (
    SELECT at, by_id, cause FROM crm_stagetransition
    WHERE account_id = card.id AND at < %s ORDER BY version DESC LIMIT 1
) last
WHERE place BETWEEN %s AND %s ORDER BY here, place
"""


@dataclass(slots=True)
class Stood:
    """An account in a column: where it stood at the moment, and the last move before the time that is looked at."""

    stage: str
    pk: int
    name: str
    renewal_on: date | None
    forecast: Decimal | None
    owner_id: int | None
    stood_at: str
    at: datetime
    by_id: int | None
    cause: str


@dataclass(frozen=True)
class Look:
    """A look at the ledger: ``at`` a moment where everybody stood, or ``since`` it who stands elsewhere by now."""

    moment: datetime
    until: datetime
    here: str
    drawn: str

    @classmethod
    def at(cls, moment: datetime) -> Look:
        return cls(moment, moment, "stood_at", "TRUE")

    @classmethod
    def since(cls, moment: datetime, *, now: datetime) -> Look:
        return cls(moment, now, "stage", "stood_at <> stage")

    def holdings(self, accounts: QuerySet[Any]) -> dict[Stage, Holding]:
        """What each stage's column holds of these accounts; stages that hold none are left out."""
        rows = self._read(accounts, _HOLDINGS)
        return {Stage(stage): Holding(count, forecast) for stage, count, forecast in rows if stage != OUTSIDE}

    def left(self, accounts: QuerySet[Any]) -> dict[Stage, int]:
        """How many of these accounts stood at each stage at the moment and stand elsewhere now."""
        return {Stage(stage): count for stage, count in self._read(accounts, _LEFT) if stage != OUTSIDE}

    def rows(
        self, accounts: QuerySet[Any], stages: Iterable[Stage], *, skip: int = 0, size: int = LANE_SIZE
    ) -> dict[Stage, list[Stood]]:
        """The cards of these stages' columns by renewal, after the first ``skip``, ``size`` and one of each."""
        found: dict[Stage, list[Stood]] = {stage: [] for stage in stages}
        given = [[str(stage) for stage in found], self.until, skip + 1, skip + size + 1]
        for values in self._read(accounts, _ROWS, *given):
            found[Stage(values[0])].append(Stood(*values))
        return found

    def _read(self, accounts: QuerySet[Any], rest: str, *more: Any) -> list[Any]:
        asked, given = accounts.order_by().values(*_FACTS).query.sql_with_params()
        sql = _STOOD.replace("{accounts}", asked) + rest.replace("{here}", self.here).replace(
            "{drawn}", self.drawn
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [*given, self.moment, *more])
            rows: list[Any] = cursor.fetchall()
        return rows
