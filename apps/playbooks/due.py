"""Whom a playbook is for now; and of many, asked in one statement, which are for anybody at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import BooleanField, Exists, OuterRef
from django.db.models.expressions import RawSQL
from psycopg import RawCursor
from psycopg.sql import Literal

from apps.crm.models import Account, StageTransition
from apps.crm.policy import Numbers
from apps.playbooks.models import Act
from apps.playbooks.occasions import RENEWAL
from apps.playbooks.registry import Playbook

log = structlog.get_logger(__name__)


def due(playbook: Playbook, numbers: Numbers, *, held: bool = False) -> Any:
    """The accounts a playbook would act on now, annotated with their ``occasion``, those that renew first ahead.

    Accounts that a person must place first are never among them; those that an import holds only when asked for.
    """
    rows = playbook.who(numbers).filter(quarantine="")
    if not held:
        rows = rows.filter(held_by="")
    if playbook.then.to is not None:
        # One move an account a run: all that a run moves, it moves at the same instant.
        moves = StageTransition.objects.filter(at=numbers.now, cause__startswith="playbook:")
        rows = rows.filter(~Exists(moves.filter(account=OuterRef("pk"))))
    rows = rows.annotate(occasion=playbook.once.occasion).alias(renewal=RENEWAL.occasion)
    # An act for the renewal of a playbook that counts by something else is a skip until the next renewal.
    settled = Act.objects.filter(
        playbook=playbook.name,
        account=OuterRef("pk"),
        occasion__in=[OuterRef("occasion"), OuterRef("renewal")],
    )
    return rows.filter(~Exists(settled))


def of_accounts(rows: Any, of: Collection[int] | None) -> Any:
    """Those of these rows, accounts or what hangs on them, that are about these accounts; None is about all."""
    name = "pk" if rows.model is Account else "account"
    return rows if of is None else rows.filter(**{f"{name}__in": of})


def with_work(
    playbooks: Sequence[Playbook],
    numbers: Numbers,
    *,
    of: Collection[int] | None = None,
    after: int = -1,
) -> set[str]:
    """The names of the playbooks that would act on somebody now, or that have something to tend.

    ``of`` narrows both to these accounts; only those that come ``after`` a place are looked at. Where that cannot be
    asked of all at once, it is all of them: what is wrong with one is found out by its own run.
    """
    wanted = [place > after for place in range(len(playbooks))]
    try:
        # All stand in one statement, whichever are wanted: it is thought out once.
        asked = ", ".join(
            f"CASE WHEN $2[{place}] THEN {_asked(playbook, numbers, of is not None)} END"
            for place, playbook in enumerate(playbooks, 1)
        )
        with transaction.atomic(), RawCursor(connection.connection) as cursor:
            # Django has it that no statement is prepared, however it is asked for. One takes the database a megabyte.
            connection.connection.prepare_threshold, connection.connection.prepared_max = 0, MOST_PREPARED
            # Nothing that is given changes the best way to the answer: it is thought out once a connection and day.
            cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan", prepare=False)
            given = [numbers.now, wanted] if of is None else [numbers.now, wanted, list(of)]
            cursor.execute(f"SELECT ARRAY[{asked}]::boolean[]", given, prepare=True)
            [[answers]] = cursor.fetchall()
    except Exception as error:
        log.warning("playbooks_not_asked_at_once", exc_info=error)
        answers = wanted
    return {playbook.name for playbook, answer in zip(playbooks, answers, strict=True) if answer}


# Django takes longer to write these questions than the database to answer them; they stay the same for a day.
MOST_KEPT, MOST_PREPARED = 200, 8
_kept: dict[Any, str] = {}


def _asked(playbook: Playbook, numbers: Numbers, narrowed: bool) -> str:
    key = playbook, numbers.standing, narrowed
    asked = _kept.get(key)
    if asked is None:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        asked = _kept[key] = question(playbook, numbers, narrowed=narrowed)
    return asked


class Moment(datetime):
    """The moment a question is written at, known again among its values, moved or not."""


def question(playbook: Playbook, numbers: Numbers, *, narrowed: bool = False) -> str:
    """A condition that says whether a playbook has work, with the moment as ``$1`` and accounts as ``$3``.

    It depends on ``numbers`` by what stands for the whole day alone, and is the same at each of its moments.
    """
    numbers = copy(numbers)
    numbers.now = moment = Moment.combine(numbers.now.date(), numbers.now.timetz())
    rows = [due(playbook, numbers), *(tend.which(numbers) for tend in playbook.tends)]
    if narrowed:
        rows = [one.filter(RawSQL(_of_those_given(one), [], BooleanField())) for one in rows]
    return f"({' OR '.join(_any(rows, moment))})"


def _of_those_given(rows: Any) -> str:
    meta = rows.model._meta
    column = meta.pk.column if rows.model is Account else meta.get_field("account").column
    return f"{meta.db_table}.{column} = ANY($3)"


def _any(rows: Iterable[Any], moment: Moment) -> list[str]:
    found = [_plain(one, moment) for one in rows]
    # To look for the first one only, the database would choose a way that is long where there is none.
    return [
        f"EXISTS (WITH found AS MATERIALIZED ({one}) SELECT FROM found)" if one else "false" for one in found
    ]


def _plain(rows: Any, moment: Moment) -> str:
    """These rows' ids as SQL that has its values in it; empty where there can be none."""
    try:
        statement, values = rows.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return ""
    written: str = statement % tuple(_written(value, moment) for value in values)
    return written


def _written(value: Any, moment: Moment) -> str:
    if isinstance(value, Moment):
        return f"($1::timestamptz + interval '{(value - moment) // timedelta(microseconds=1)} microseconds')"
    return Literal(value).as_string(connection.connection)
