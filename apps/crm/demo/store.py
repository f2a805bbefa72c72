"""How demo data is written: in bulk, and still through the ledger and the triggers that guard it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction
from django.db.models import Model
from psycopg.types.json import Jsonb

from apps.crm.demo.cast import Cast
from apps.crm.demo.story import Story
from apps.crm.models import (
    Account,
    AccountLabel,
    Alert,
    AuditPoint,
    Bill,
    Call,
    CallHost,
    Contact,
    Credit,
    Note,
    Notice,
    Purchase,
    Signal,
    StageTransition,
    Survey,
    Task,
)

# Rows that others point at get their id before they are copied.
_POINTED_AT: tuple[type[Model], ...] = (StageTransition, Call, Contact, Note)
_HANGING: tuple[type[Model], ...] = (
    *(Contact, Bill, Call, CallHost, Purchase, Signal, Survey),
    *(Note, Task, Alert, AccountLabel, Notice, AuditPoint, Credit),
)


def reserve(model: type[Model], number: int) -> list[int]:
    """Take the next ids of a table."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [model._meta.db_table, number],
        )
        return [pk for (pk,) in cursor.fetchall()]


@transaction.atomic
def save(stories: list[Story], cast: Cast) -> None:
    """Write whole stories: accounts outside, their ledger, what hangs on them, and then each move by itself."""
    for model in _POINTED_AT:
        rows = _of(model, stories)
        for row, pk in zip(rows, reserve(model, len(rows)), strict=True):
            row.pk = pk
    # A row takes over the id of what it points at when it is assigned, and there was none then.
    for host in _of(CallHost, stories):
        host.call = host.call
    for task in _of(Task, stories):
        task.transition = task.transition
    for survey in _of(Survey, stories):
        survey.closing, survey.contact = survey.closing, survey.contact
    for notice in _of(Notice, stories):
        notice.note = notice.note
    for story in stories:
        for alert in story.rows[Alert]:
            alert.subject = f"entry:{story.entry.pk}"
    _copy(Account, [story.account for story in stories], stage="", version=0)
    _copy(StageTransition, _of(StageTransition, stories))
    for model in _HANGING:
        _copy(model, _of(model, stories))
    _walk([story.account for story in stories if story.rich])
    told = Account.objects.filter(pk__in=[story.account.pk for story in stories if story.rich])
    told.decide(cast.numbers, now=cast.numbers.start_of(cast.today))
    loaded = {story.account.pk: story.place for story in stories if story.days and not story.rich}
    Account.objects.all().first_load(loaded, by=cast.lead, now=cast.numbers.now)


def _walk(accounts: list[Account]) -> None:
    """Bring accounts to where their ledger leads, one version after the other."""
    ids = [account.pk for account in accounts]
    Account.objects.filter(pk__in=ids).recount()
    for version in range(1, max((account.version for account in accounts), default=0) + 1):
        with connection.cursor() as cursor:
            cursor.execute(
                """
                UPDATE crm_account account SET stage = row.to_stage, version = row.version
                FROM crm_stagetransition row
                WHERE row.account_id = account.id AND row.version = %s AND account.id = ANY(%s)
                """,
                [version, ids],
            )


def _of(model: type[Model], stories: list[Story]) -> list[Any]:
    return [row for story in stories for row in story.rows.get(model, ())]


def _copy(model: type[Model], rows: Iterable[Any], **instead: Any) -> None:
    """COPY rows into their table; ``instead`` holds what to write whatever the rows say."""
    rows = list(rows)
    if not rows:
        return
    fields = [
        field
        for field in model._meta.concrete_fields
        if not field.generated and not (field.primary_key and rows[0].pk is None)
    ]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    names = [field.attname for field in fields]
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN") as table,
    ):
        for row in rows:
            values = row.__dict__ | instead
            table.write_row([_plain(values[name]) for name in names])


def _plain(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict) else value
