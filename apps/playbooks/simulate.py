"""The next days of a playbook, played through by the real engine on copies; nothing is written.

In one transaction, always rolled back, temporary tables stand before the real ones of the same name. The engine runs
day after day on the accounts copied into them, so that a move it makes on one day counts on the next. Once the copies
are made the database itself lets nothing else be written, and no row of the real tables is ever locked.

Nobody does anything meanwhile, and facts stay as they are: a renewal that passes is followed by none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connection, models, transaction

from apps.crm.enough import Enough, never
from apps.crm.models import Account, Policy
from apps.crm.policy import Numbers
from apps.playbooks.due import due
from apps.playbooks.engine import Line, Sweep, go_where_there_is_work
from apps.playbooks.models import Run, Switch
from apps.playbooks.registry import PLAYBOOKS, Playbook

DAYS = 30
KEPT = 20
# New rows of the copies are numbered from here, far above every real one.
NEW_IDS = 10**15
# One at a time: a page that asks meanwhile is told so instead of waiting.
LOCK = 7_305_114_620
# An act may lead to the next on the same day, a tick later; a playbook that never comes to an end is cut off here.
MOST_TICKS = 10


class Busy(Exception):
    """Somebody else is looking ahead at this moment."""


@dataclass
class Day:
    """What a playbook would do on one of the team's days: on how many accounts, and a line for the first of them."""

    on: date
    count: int = 0
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Ahead:
    """The days looked at, today first, and on how many accounts it would fail.

    ``whole`` is False when there was no time for all the days that were asked for.
    """

    days: list[Day]
    failed: int
    whole: bool


def ahead(*shown: Playbook, now: datetime, days: int = DAYS, enough: Enough = never) -> Ahead:
    """What playbooks would do on each of the team's next days, as if these were not paused.

    ``enough`` is asked again and again whether to stop; a day begun is then left out. Raises ``Busy``.
    """
    names = {playbook.name for playbook in shown}
    paused = Switch.objects.paused() - names
    # Of the others only those that move accounts change whom a playbook is for. What a playbook tends changes it for
    # nobody, as little as for a dry run.
    going = [
        replace(playbook, tends=())
        for name, playbook in PLAYBOOKS.items()
        if (name in names or playbook.then.to is not None) and name not in paused
    ]
    today = Policy.at(now).today
    seen: list[Day] = []
    failed = 0
    with _copies() as copies:
        for offset in range(days):
            day = Day(today + timedelta(days=offset))
            morning = max(now, Policy.at(now, day.on).start_of(day.on))
            copies.take(going, Policy.at(morning))
            failing = _play(going, morning, names, day, enough)
            if enough():
                break
            seen.append(day)
            failed = max(failed, failing)
    return Ahead(seen, failed, whole=len(seen) == days)


def _play(going: Sequence[Playbook], morning: datetime, shown: Set[str], day: Day, enough: Enough) -> int:
    """Run the engine until nothing more happens on that day; returns on how many accounts the shown ones fail."""

    def tell(line: Line) -> None:
        if line.playbook not in shown:
            return
        day.count += 1
        if len(day.lines) < KEPT:
            day.lines.append(line)

    failing = 0
    for tick in range(MOST_TICKS):
        numbers = Policy.at(morning + timedelta(microseconds=tick))
        sweeps = [Sweep(playbook, numbers, False, None, tell, enough) for playbook in going]
        go_where_there_is_work(sweeps, numbers)
        failing = sum(sweep.result.failed for sweep in sweeps if sweep.playbook.name in shown)
        if enough() or not any(sweep.result.acted for sweep in sweeps):
            break
    return failing


# What is unique must be so among the copies, too: the claim of an occasion stands on it.
_PROMISES = """
    SELECT replace(pg_get_indexdef(indexrelid), format(' ON %%I.', nspname), ' ON pg_temp.')
    FROM pg_index
    JOIN pg_class ON pg_class.oid = indrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE indisunique AND nspname = %s AND relname = ANY(%s)
"""


class _Table(NamedTuple):
    """A table to copy: its columns, the one that names the account, and whether the database numbers its rows."""

    name: str
    columns: str
    of: str | None
    numbered: bool


@cache
def _tables() -> tuple[_Table, ...]:
    """The accounts, all that hangs on one, and the runs; the accounts first."""
    relations = Account._meta.get_fields(include_hidden=True)
    hanging: dict[Any, str | None] = {
        relation.related_model: relation.field.column
        for relation in relations
        if isinstance(relation, models.ForeignObjectRel) and isinstance(relation.field, models.ForeignKey)
    }
    tables: dict[type[models.Model], str | None] = {Account: "id", **hanging, Run: None}
    return tuple(_table(model, of) for model, of in tables.items())


def _table(model: type[models.Model], of: str | None) -> _Table:
    quote = connection.ops.quote_name
    columns = [quote(str(one.column)) for one in model._meta.concrete_fields if not one.generated]
    numbered = isinstance(model._meta.pk, models.AutoField)
    return _Table(model._meta.db_table, ", ".join(columns), of, numbered)


@contextmanager
def _copies() -> Iterator[_Copies]:
    """Stand copies before the real tables for as long as it lasts, and let nothing else be written."""
    with transaction.atomic(durable=True):
        try:
            yield _Copies()
        finally:
            transaction.set_rollback(True)


class _Copies:
    """Temporary tables that stand before the real ones, and what has been copied into them."""

    def __init__(self) -> None:
        # All that is read, is read as it was at this one moment.
        self._do("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        [(free, schema)] = self._do(f"SELECT pg_try_advisory_xact_lock({LOCK}), current_schema()")
        if not free:
            raise Busy
        self._schema = schema
        self._here = self._counted = 0
        self._do("; ".join(map(self._made, _tables())))
        self._do(
            "; ".join(
                index for (index,) in self._do(_PROMISES, (schema, [table.name for table in _tables()]))
            )
        )
        self._do("SET TRANSACTION READ ONLY")
        self._look_at("pg_temp", schema)

    def take(self, playbooks: Sequence[Playbook], numbers: Numbers) -> None:
        """Copy the accounts that one of these playbooks is for, by the real facts, and that are not here yet.

        The first act on an account always finds it as it really is, so that nobody is missed.
        """
        accounts, *others = _tables()
        self._look_at(self._schema, "pg_temp")
        taken: list[int] = []
        for playbook in playbooks:
            try:
                found, values = due(playbook, numbers).order_by().values("pk").query.sql_with_params()
            except EmptyResultSet:
                continue
            new = f"id IN ({found}) AND id NOT IN (SELECT id FROM pg_temp.{accounts.name})"
            taken += [pk for (pk,) in self._copy(accounts, new, values, " RETURNING id")]
        for table in others if taken else ():
            if table.of:
                self._copy(table, f"{table.of} = ANY(%s)", (taken,))
        self._count(len(taken))
        self._look_at("pg_temp", self._schema)

    def _count(self, more: int) -> None:
        """Tell the planner how many there are when they have doubled: else it reads them all for every account."""
        self._here += more
        if self._here > 2 * self._counted:
            self._do(f"ANALYZE {', '.join(f'pg_temp.{table.name}' for table in _tables())}")
            self._counted = self._here

    def _made(self, table: _Table) -> str:
        like = f"LIKE {self._schema}.{table.name} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY"
        made = [f"CREATE TEMPORARY TABLE {table.name} ({like})"]
        if table.of:
            made.append(f"CREATE INDEX ON pg_temp.{table.name} ({table.of})")
        if table.numbered:
            made.append(f"ALTER TABLE pg_temp.{table.name} ALTER COLUMN id RESTART WITH {NEW_IDS}")
        return "; ".join(made)

    def _copy(self, table: _Table, which: str, values: Sequence[Any], after: str = "") -> list[Any]:
        return self._do(
            f"INSERT INTO pg_temp.{table.name} ({table.columns})"
            f" SELECT {table.columns} FROM {self._schema}.{table.name} WHERE {which}{after}",
            values,
        )

    def _look_at(self, *schemas: str) -> None:
        """Which of two tables of one name is meant: the one of the schema named first."""
        self._do(f"SET LOCAL search_path TO {', '.join(schemas)}")

    def _do(self, statement: str, values: Sequence[Any] | None = None) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []
