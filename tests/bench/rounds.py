"""How an operation and its floor are measured beside each other: in turn, or each on a copy of the database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

from tests.bench.database import Databases
from tests.bench.goals import compared
from tests.bench.servers import Answer, Server

ROUNDS = 3

Ask = Callable[[], Answer]
# What a result is made of, by name.
Figures = dict[str, Any]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def ok(answer: Answer) -> float:
    if answer.status != 200:
        raise SystemExit(f"An answer was {answer.status} instead of 200:\n{answer.body[:2000].decode()}")
    return answer.seconds


def in_turn(
    ours: Ask, floor: Ask, number: int, servers: tuple[Server, Server], share: float = 0.5
) -> Figures:
    """Figures from rounds of both, one question of each after the other: what disturbs one disturbs the other."""
    for ask in (ours, floor):
        for _ in range(6):
            ok(ask())
    rounds, before = [], [server.cpu() for server in servers]
    for _ in range(ROUNDS):
        took = [(ok(ours()), ok(floor())) for _ in range(number)]
        rounds.append(([one for one, _ in took], [other for _, other in took]))
    return compared(rounds, share) | cpu_since(before, servers, ROUNDS * number)


def cpu_since(before: list[float], servers: tuple[Server, Server], number: int) -> Figures:
    """The processor time of one request, ours and the floor's, which other work on the machine does not blur."""
    names = ("cpu_ms", "floor_cpu_ms")
    spent = [1000 * (server.cpu() - then) / number for server, then in zip(servers, before, strict=True)]
    return dict(zip(names, spent, strict=True))


def job(name: str, number: int, address: str) -> dict[str, Any]:
    """Run one long operation in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "jobs", name, str(number)],
        env=os.environ | {"DATABASE_URL": address},
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def long_one(databases: Databases, of: str, name: str, number: int) -> tuple[Figures, dict[str, Any]]:
    """Rounds of an operation and its floor, each on a copy of its own; figures, and what the last of ours said."""
    rounds, peaks, last = [], [], {}
    for _ in range(ROUNDS):
        took = []
        for one in (name, f"{name}-floor"):
            with databases.copy(of, "work") as address:
                done = job(one, number, address)
            took.append(done)
        if {**took[0], "seconds": 0, "peak_mb": 0} != {**took[1], "seconds": 0, "peak_mb": 0}:
            raise SystemExit(f"{name} and its floor did not do the same: {took}")
        rounds.append(([took[0]["seconds"]], [took[1]["seconds"]]))
        peaks.append(took[0]["peak_mb"])
        last = took[0]
    return compared(rounds) | {"peak_mb": median(peaks)}, last
