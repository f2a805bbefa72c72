"""The reports over 18 months of bills: each number's query, how long it takes and what it reads, and its plan.

The bills and moves are made by plain SQL for accounts that are there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from urllib.parse import urlencode

from django.db import connection, transaction
from django.utils import timezone

from apps.crm.metrics import METRICS, Cell, Metric
from apps.crm.models import Entry, Policy
from tests.bench.goals import Result, percentile
from tests.bench.rounds import ok
from tests.bench.servers import Client, serving

MONTHS = 18
ROUNDS = 5

_FILL = f"""
UPDATE crm_account SET entered_at = now() - (id * 7 % 540 || ' days')::interval WHERE entered_at IS NOT NULL;
INSERT INTO crm_stagetransition (account_id, version, from_stage, to_stage, at, by_id, cause, reason, before)
SELECT account.id, 100000 + step, (ARRAY['', 'new', 'initiated'])[step],
       (ARRAY['new', 'initiated', 'engaged_email'])[step], account.entered_at + (step * step - 1 || ' days')::interval,
       owner_id, 'list', '', '{{}}'
FROM crm_account account, generate_series(1, 3) AS step WHERE account.entered_at IS NOT NULL;
INSERT INTO crm_bill (account_id, external_id, period_start, period_end, due_on, amount, currency, status, attempts,
                      period_key, reported_at)
SELECT account.id, 'bench-' || account.id || '-' || back, begins, ends, ends,
       -- Small sums until a month of the account's own, so that each month has its cohort.
       CASE WHEN back > account.id % {MONTHS} THEN 0.5 * (account.id % 150)
            ELSE round((hashint8(account.id * 31 + back) & 4095)::numeric / 4 + 25, 2) END,
       CASE WHEN account.id % 50 = 0 THEN 'EUR' ELSE 'USD' END,
       CASE WHEN back = 0 THEN 'upcoming' WHEN (account.id + back) % 97 = 0 THEN 'void'
            WHEN (account.id + back) % 41 = 0 THEN 'open' ELSE 'paid' END,
       CASE WHEN (account.id + back) % 41 = 0 THEN 2 ELSE 0 END, '', now()
FROM crm_account account, generate_series(0, {MONTHS} - 1) AS back,
     LATERAL (SELECT (date_trunc('month', now()) - make_interval(months => back - 1))::date AS ends,
                     (date_trunc('month', now()) - make_interval(months => back))::date AS begins) AS month;
"""


def fill() -> None:
    """Give every account its bills and moves, as they lie after a night's vacuum."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FILL)
    Entry.objects.bring_up_to_date()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def measure(size: int) -> Iterator[Result]:
    """How long each number takes, warm."""
    numbers = Policy.at(timezone.now())
    for metric in METRICS.values():
        metric.read(numbers)
        took = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            rows = metric.read(numbers)
            took.append(1000 * (time.perf_counter() - begin))
        yield Result(
            f"report: {metric.name}", size, median(took), percentile(took, 0.95), note=f"{len(rows)} rows"
        )


def over_http(address: str, session: str, size: int) -> Iterator[Result]:
    """Each page, file and drill-down over HTTP: the processor time is the server's, and that of its query beside it."""
    with serving("config.wsgi:application", address) as server:
        client = Client(server, session)
        for name, path in _addresses():
            ok(client.get(path))
            before, took, body = server.cpu(), [], b""
            for _ in range(ROUNDS):
                answer = client.get(path)
                took.append(1000 * ok(answer))
                body = answer.body
            cpu = 1000 * (server.cpu() - before) / ROUNDS
            yield Result(name, size, median(took), percentile(took, 0.95), cpu_ms=cpu, bytes=len(body))


def _addresses() -> Iterator[tuple[str, str]]:
    """The pages, the files, and the fullest figure of each number."""
    for page in ("", "pipeline/", "team/"):
        yield f"reports page: {page.rstrip('/') or 'retention'}", f"/reports/{page}"
    yield "reports page: revenue", "/revenue/"
    yield "reports page: since Monday", "/board/?since=monday"
    numbers = Policy.at(timezone.now())
    for metric in METRICS.values():
        yield f"report file: {metric.name}", f"/reports/{metric.name}/csv/"
        found = [
            (row.values[figure.name], str(Cell(metric, figure, row.key)))
            for row in metric.read(numbers)
            for figure in metric.figures
            if figure.where and figure.kind == "count"
        ]
        if found:
            yield f"report rows: {metric.name}", "/?" + urlencode({"cell": max(found)[1]})


def plans() -> Iterator[str]:
    """Each number's query explained."""
    for metric in METRICS.values():
        yield f"\n{metric.name}\n{explained(metric)}"


def explained(metric: Metric) -> str:
    """What the database did for a number."""
    sql, values = metric.query(Policy.at(timezone.now()))
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {sql}", values)
        return "\n".join(line for (line,) in cursor.fetchall())
