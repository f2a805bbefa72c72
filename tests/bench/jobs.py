"""The long operations, each alone in a process of its own, so that its memory can be told: prints one JSON line.

`import`, `file`, `sweep` and `events` are ours; with `-floor` they are the plain SQL for the same end.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import batched
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from apps.crm.demo.cast import external_id
from apps.crm.models import Account, Policy, StageTransition
from apps.crm.reporting import report_accounts
from apps.intake.columns import suggested
from apps.intake.drain import apply_due
from apps.intake.files import MOST_ROWS, Table
from apps.intake.loading import take_in
from apps.intake.models import Event
from apps.intake.samples import About, sample
from apps.playbooks.engine import run
from apps.playbooks.registry import PLAYBOOKS
from tests.bench.servers import peak_mb

PLAYBOOK = "final-outreach-due"
TICKS = 30
# What is told of an account, one after the other.
KINDS = (
    ("ingest", "account.upserted"),
    ("stripe", "invoice.created"),
    ("ingest", "conversation.outbound"),
    ("stripe", "invoice.finalized"),
    ("ingest", "conversation.inbound"),
    ("stripe", "invoice.payment_failed"),
    ("ingest", "call.booked"),
    ("stripe", "invoice.paid"),
    ("ingest", "call.held"),
    ("stripe", "customer.updated"),
)
COLUMNS = ("external_id", "name", "domain", "plan", "mrr", "forecast", "next_renewal_on", "users_count")


def rows(number: int) -> Iterator[tuple[Any, ...]]:
    """That many accounts as another system reports them: half are here, with other facts than before."""
    renews = date(2027, 1, 1)
    for index in range(number // 2):
        yield from (
            (
                name,
                f"Reported {index}",
                f"reported-{index}.demo.example",
                "pay_as_you_go",
                Decimal(index % 900) + Decimal("0.25"),
                Decimal(index % 700) + Decimal("0.50"),
                renews + timedelta(days=index % 60),
                index % 40,
            )
            for name in (external_id(1, index), f"new-{index}")
        )


def import_(number: int) -> dict[str, Any]:
    done = report_accounts(
        ((count, dict(zip(COLUMNS, row, strict=True))) for count, row in enumerate(rows(number), 2)),
        source="bench",
        now=timezone.now(),
    )
    return {"created": done.created, "updated": done.updated}


def import_floor(number: int, given: Iterator[Any] | None = None) -> dict[str, Any]:
    """COPY into a temporary table, then one INSERT … ON CONFLICT."""
    names = ", ".join(COLUMNS)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE given ON COMMIT DROP AS SELECT {names} FROM crm_account WITH NO DATA"
        )
        with cursor.copy(f"COPY given ({names}) FROM STDIN") as table:
            for row in given or rows(number):
                table.write_row(row)
        cursor.execute(
            f"INSERT INTO crm_account ({names}, created_at, changed_at) SELECT {names}, now(), now() FROM given"
            " ON CONFLICT (external_id) DO UPDATE SET "
            + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
        )
        return {"created": number // 2, "updated": number // 2}


def csv_files(number: int) -> list[bytes]:
    """As few files as may hold so many rows."""
    files = []
    for some in batched(rows(number), MOST_ROWS):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows(some)
        files.append(text.getvalue().encode())
    return files


def file(number: int, contents: list[bytes]) -> dict[str, Any]:
    done = {"created": 0, "updated": 0}
    for content in contents:
        table = Table(content)
        outcome = take_in(table, suggested(table.header), now=timezone.now(), by=None, held_by="import:1")
        done["created"] += outcome.created
        done["updated"] += outcome.updated
    return done


def file_floor(number: int, contents: list[bytes]) -> dict[str, Any]:
    for content in contents:
        reader = csv.reader(io.StringIO(content.decode()))
        next(reader)
        import_floor(number, reader)
    return {"created": number // 2, "updated": number // 2}


def told(number: int) -> list[tuple[int, int]]:
    """Keep so many events, about accounts of all open stages by turns; which event is about which account."""
    now = timezone.now()
    ours = Account.objects.in_open_stages().filter(quarantine="", held_by="").order_by("pk")
    abouts = [(made.pk, About.account(made, now=now)) for made in ours[: number // len(KINDS) + 1]]
    said = [(pk, about, *kind) for kind in KINDS for pk, about in abouts][:number]
    events = [
        Event(
            provider=door,
            external_id=f"bench-{place}",
            type=type,
            body=sample(door, type, about, "whsec_c2VjcmV0").body,
            received_at=now,
            due_at=now,
        )
        for place, (_, about, door, type) in enumerate(said)
    ]
    Event.objects.bulk_create(events)
    return [(event.pk, pk) for event, (pk, *_) in zip(events, said, strict=True)]


def events(number: int, pairs: list[tuple[int, int]]) -> dict[str, Any]:
    apply_due(now=timezone.now())
    return {"applied": Event.objects.filter(state=Event.State.DONE, external_id__startswith="bench-").count()}


def events_floor(number: int, pairs: list[tuple[int, int]]) -> dict[str, Any]:
    """For each a transaction that locks the account, keeps one fact of it, and says that the event is done."""
    for event, account in pairs:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT FROM crm_account WHERE id = %s FOR NO KEY UPDATE", [account])
            cursor.execute("UPDATE crm_account SET users_count = 12 WHERE id = %s", [account])
            cursor.execute(
                "UPDATE intake_event SET state = 'done', account_id = %s, tries = 1, due_at = NULL, done_at = now()"
                " WHERE id = %s AND due_at <= now()",
                [account, event],
            )
    return {"applied": len(pairs)}


def sweep(number: int) -> dict[str, Any]:
    [done] = run([PLAYBOOK], now=timezone.now())
    return {"moved": done.acted, "failed": done.failed}


def tick(number: int) -> dict[str, Any]:
    """Every playbook, to the end."""
    done = run([*PLAYBOOKS], now=timezone.now())
    moved = sum(one.acted for one in done if one.playbook == PLAYBOOK)
    return {"moved": moved, "failed": sum(one.failed for one in done)}


def sweep_floor(number: int) -> dict[str, Any]:
    """One statement that finds, locks, logs and moves, claims each renewal and gives each account its task."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("""
            WITH due AS (
                SELECT id, version, stage, stage_since, renewal_on, renewal_anchor_on, owner_id FROM crm_account
                WHERE stage IN ('initiated', 'engaged_email', 'call_booked', 'intro_call_completed',
                                'second_call_completed', 'homework_offered')
                  AND renewal_on BETWEEN current_date AND current_date + 10 AND held_by = '' AND quarantine = ''
                  AND (extended_until IS NULL OR extended_until <= current_date)
                  AND (last_outreach_at IS NULL OR last_outreach_at < current_date - 3)
                  AND NOT EXISTS (
                      SELECT FROM crm_call WHERE account_id = crm_account.id AND status IN ('booked', 'held')
                      AND starts_at >= current_date AND starts_at < crm_account.renewal_on + 1)
                FOR NO KEY UPDATE
            ), ledger AS (
                INSERT INTO crm_stagetransition
                    (account_id, version, from_stage, to_stage, at, by_id, cause, reason, before)
                SELECT id, version + 1, stage, 'awaiting_final_outreach', now(), NULL, 'playbook:final-outreach-due',
                       'Renews ' || renewal_on, jsonb_build_object('stage_since', stage_since)
                FROM due RETURNING id, account_id, version, to_stage, at
            ), run AS (
                INSERT INTO playbooks_run (playbook, started_at, finished_at)
                VALUES ('final-outreach-due', now(), now()) RETURNING id
            ), act AS (
                INSERT INTO playbooks_act (run_id, playbook, account_id, occasion, at, because, transition_id)
                SELECT run.id, 'final-outreach-due', due.id, 'renewal:' || due.renewal_anchor_on, now(),
                       'Renews ' || due.renewal_on, ledger.id
                FROM run, due JOIN ledger ON ledger.account_id = due.id
            ), task AS (
                INSERT INTO crm_task
                    (account_id, title, due_on, created_at, cause, assignee_id, transition_id)
                SELECT due.id, 'Send the final outreach', current_date + 2, now(), 'playbook:final-outreach-due',
                       due.owner_id, ledger.id
                FROM due JOIN ledger ON ledger.account_id = due.id
            )
            UPDATE crm_account
            SET stage = ledger.to_stage, version = ledger.version, stage_since = ledger.at,
                next_task_on = least(next_task_on, current_date + 2)
            FROM ledger WHERE crm_account.id = ledger.account_id
        """)
        return {"moved": cursor.rowcount, "failed": 0}


def ticks(number: int) -> dict[str, Any]:
    """The first tick of a day, those that find nothing to do, and one after a change of the scope's policy."""

    def tick() -> float:
        return _seconds(lambda: run([*PLAYBOOKS], now=timezone.now()))

    tick()
    yesterday = Policy.at(timezone.now() - timedelta(days=1))
    Account.objects.all().decide(yesterday, now=yesterday.now)
    _vacuum()
    first = tick()
    _vacuum()
    moves = StageTransition.objects.count()
    took = [tick() for _ in range(TICKS)]
    idle = StageTransition.objects.count() == moves
    Policy.objects.create(name="scope_entry_forecast", value="101", starts_on=timezone.now().date())
    return {"first": first, "took": took, "idle": idle, "policy": tick()}


def _vacuum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def _seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "import": import_,
    "import-floor": import_floor,
    "file": file,
    "file-floor": file_floor,
    "sweep": sweep,
    "sweep-floor": sweep_floor,
    "tick": tick,
    "ticks": ticks,
    "events": events,
    "events-floor": events_floor,
}
# What is made before the clock starts.
GIVEN: dict[str, Callable[[int], Any]] = {
    "file": csv_files,
    "file-floor": csv_files,
    "events": told,
    "events-floor": told,
}

if __name__ == "__main__":
    name, number = sys.argv[1], int(sys.argv[2])
    given = [GIVEN[name](number)] if name in GIVEN else []
    connection.ensure_connection()
    done: dict[str, Any] = {}
    before = peak_mb()
    seconds = _seconds(lambda: done.update(JOBS[name](number, *given)))
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb() - before, **done}))
