"""What other systems bring: accounts by the API, and webhooks, from being kept to being applied."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import batched, islice
from statistics import median
from typing import Any, NamedTuple
from uuid import uuid4

from django.contrib.auth.models import Group
from django.utils import timezone

from apps.crm.models import User
from apps.intake.samples import About, sample
from apps.intake.tokens import ApiToken
from tests.bench.database import Databases
from tests.bench.goals import Result, compared
from tests.bench.jobs import COLUMNS, rows
from tests.bench.rounds import ROUNDS, in_turn, long_one, ok
from tests.bench.servers import Answer, Client, Server, serving

EVENTS_A_ROUND = 200
EVENTS_APPLIED = 2_000
AT_ONCE = 1_000
WARM = 4


def webhooks(databases: Databases, size: int) -> Iterator[Result]:
    with databases.copy("seed", "web") as address:
        databases.use("web")
        with (
            serving("config.wsgi:application", address) as ours,
            serving("tests.bench.floor:application", address) as floor,
        ):
            yield accepted(ours, floor, size)
    databases.use("seed")
    number = min(size, EVENTS_APPLIED)
    figures, _ = long_one(databases, "seed", "events", number)
    each = {name: figures[name] / number for name in ("p50_ms", "p95_ms", "floor_ms")}
    note = f"{1000 / each['p50_ms']:.0f} a second, with the playbooks of their accounts"
    yield Result("webhook applied", size, **figures | each, note=note)


def accepted(ours: Server, floor: Server, size: int) -> Result:
    """An event of our own format, signed, kept, and the bell rung for it; beside one row kept and nothing checked."""
    about = About.stranger(now=timezone.now())
    secret = os.environ["INGEST_WEBHOOK_SECRETS"]
    mine, plain = Client(ours, ""), Client(floor, "")

    def tell() -> Answer:
        signed = sample("ingest", "conversation.inbound", about, secret)
        return mine.send("POST", "/hooks/ingest/", signed.body, signed.headers)

    def keep() -> Answer:
        signed = sample("ingest", "conversation.inbound", about, secret)
        return plain.send("POST", f"/event?name={uuid4()}", signed.body, signed.headers)

    figures = in_turn(tell, keep, EVENTS_A_ROUND, (ours, floor), 0.95)
    return Result("webhook accepted", size, **figures, note="floor and ratio of p95")


def by_the_api(databases: Databases, size: int, number: int) -> Iterator[Result]:
    """So many accounts, half of them updates, in as few requests as may carry them."""
    rounds, peaks, spent = [], [], []
    for _ in range(ROUNDS):
        with databases.copy("seed", "work") as address:
            databases.use("work")
            token = _token()
            with serving("config.wsgi:application", address) as ours:
                done = _put(ours, "/api/v1/accounts", number, token)
        with (
            databases.copy("seed", "work") as address,
            serving("tests.bench.floor:application", address) as floor,
        ):
            plain = _put(floor, "/accounts", number, "")
        databases.use("seed")
        rounds.append(([done.seconds], [plain.seconds]))
        peaks.append(done.peak_mb)
        spent.append((1000 * done.cpu, 1000 * plain.cpu))
    cpu, floor_cpu = map(median, zip(*spent, strict=True))
    figures = compared(rounds) | {"cpu_ms": cpu, "floor_cpu_ms": floor_cpu}
    note = f"{number:,} accounts in requests of {AT_ONCE:,}, half of them updates; memory of the web server"
    yield Result("accounts by the API", size, **figures, peak_mb=median(peaks), note=note)


def _token() -> str:
    lead = User.objects.create(username="bench-program", email="program@bench.example", password="!")
    lead.groups.add(Group.objects.get(name="lead"))
    return str(ApiToken.objects.issue(lead, now=timezone.now()))


class Put(NamedTuple):
    """The seconds until all was answered, and the processor time and the memory that the server took for it."""

    seconds: float
    cpu: float
    peak_mb: float


def _put(server: Server, path: str, number: int, token: str) -> Put:
    client = Client(server, "")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    bodies = [_body(some) for some in batched(rows(number), AT_ONCE)]
    # A server's first requests load what the others use.
    for _ in range(WARM):
        ok(client.send("PUT", path, _body(islice(rows(number), 2)), headers))
    peak, cpu = server.peak_mb(), server.cpu()
    seconds = sum(ok(client.send("PUT", path, body, headers)) for body in bodies)
    client.close()
    return Put(seconds, server.cpu() - cpu, server.peak_mb() - peak)


def _body(some: Iterable[tuple[Any, ...]]) -> bytes:
    accounts = [dict(zip(COLUMNS, row, strict=True)) for row in some]
    return json.dumps({"accounts": accounts}, default=str).encode()
