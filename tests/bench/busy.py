"""A tick in which a tenth of all accounts are due at once, and the list page asked for all the while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from statistics import median
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.crm.models import Account
from apps.crm.pipeline import Stage
from tests.bench.goals import Result, percentile
from tests.bench.servers import Client, Server

PAGES = 60
PLACED_AT_ONCE = 5_000


def place(number: int) -> None:
    """Have so many more accounts stand in 2, as a file would have brought them in."""
    since = timezone.now() - timedelta(days=30)
    never_moved = Account.objects.filter(version=0, held_by="", quarantine="").order_by("pk")
    for begin in range(0, number, PLACED_AT_ONCE):
        ids = never_moved.values_list("pk", flat=True)[: min(PLACED_AT_ONCE, number - begin)]
        places = dict.fromkeys(ids, (Stage.INITIATED, since))
        with transaction.atomic():
            Account.objects.all().first_load(places, by=None, now=timezone.now())


def asked_while(
    run: Callable[[], dict[str, Any]], ask: Callable[[], float]
) -> tuple[dict[str, Any], list[float]]:
    """What running it came to, and how long each page took that was asked for until it was done."""
    took = []
    with ThreadPoolExecutor(1) as aside:
        running: Future[dict[str, Any]] = aside.submit(run)
        while not running.done():
            took.append(ask())
            # A person reads; whoever asks without a pause measures a queue of their own.
            time.sleep(0.02)
        return running.result(), took


def busy_tick(
    server: Server, session: str, size: int, tick: Callable[[], dict[str, Any]], ok: Callable[..., float]
) -> Iterator[Result]:
    """Time and memory of the tick, and the list page meanwhile beside the same page before."""
    client = Client(server, session)

    def ask() -> float:
        return ok(client.get("/"))

    for _ in range(6):
        ask()
    quiet = [ask() for _ in range(PAGES)]
    done, during = asked_while(tick, ask)
    if done["failed"] or done["moved"] != size // 10:
        raise SystemExit(f"Of {size // 10:,} accounts that were due the tick moved {done['moved']:,}: {done}")
    note = f"{done['moved']:,} moved"
    yield Result("tick with a tenth due", size, 1000 * done["seconds"], peak_mb=done["peak_mb"], note=note)
    p95 = 1000 * percentile(quiet, 0.95)
    yield Result(
        "list, first page, meanwhile",
        size,
        1000 * median(during),
        1000 * percentile(during, 0.95),
        floor_ms=1000 * median(quiet),
        ratio=median(during) / median(quiet),
        note=f"floor: the same before the tick, p95 {p95:.1f} ms; {len(during)} pages",
    )
