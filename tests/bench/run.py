"""The benchmark: for each size a filled database, each operation beside its floor, and at last the table."""

from __future__ import annotations

import gzip
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client as InProcess
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.crm.filters import SORTS
from apps.crm.keyset import Order, cursor_after
from apps.crm.models import Account, StageTransition
from apps.crm.pipeline import STAGES, Stage
from tests.bench import HOST, browser, doors, reports
from tests.bench.busy import busy_tick, place
from tests.bench.database import PEOPLE, Databases, fill, sign_in
from tests.bench.goals import DEFAULT_SIZES, Result, compared, grown, percentile, sizes, table
from tests.bench.rounds import ROUNDS, Figures, cpu_since, in_turn, job, long_one, ok, say
from tests.bench.servers import CSRF, Answer, Client, Server, serving

PAGES_A_ROUND = 20
MOVES_A_ROUND = 30
MOVES_EACH = 8
MOST_IMPORTED = 100_000
# Between these two a person may move an account to and fro for ever.
TO_AND_FRO = {Stage.ENGAGED_EMAIL: Stage.CALL_BOOKED, Stage.CALL_BOOKED: Stage.ENGAGED_EMAIL}


class Page(NamedTuple):
    """A page that is read, and where the floor has the same."""

    name: str
    path: str
    floor: str


def pages() -> list[Page]:
    every = "&".join(f"stage={stage or 'outside'}" for stage in (*STAGES, ""))
    still_open, all_of_them = Account.objects.in_open_stages(), Account.objects.all()
    return [
        Page("list, first page", "/", "/list?list=first"),
        Page(
            "list, filtered",
            "/?stage=initiated&renews=later",
            "/list?list=filtered",
        ),
        Page("list, sorted by forecast", "/?sort=-forecast", "/list?list=sorted"),
        _deep("list, page deep inside", "/?", "deep", still_open),
        _deep("list, deep among all accounts", f"/?{every}&", "all", all_of_them),
        Page("search, four letters", "/?q=meri", "/list?list=search&like=MERI%25"),
        Page("search, three letters", "/?q=cop", "/list?list=search&like=COPP%25"),
        Page("board", "/board/", "/board"),
    ]


def _deep(name: str, path: str, floor: str, accounts: Any) -> Page:
    """The page that begins in the middle of these accounts."""
    dated = accounts.filter(renewal_on__isnull=False).order_by("renewal_on", "pk")
    renewal, pk = dated.values_list("renewal_on", "pk")[dated.count() // 2]
    cursor = cursor_after(Order("renewal", SORTS["renewal"]), renewal, pk)
    return Page(name, f"{path}cursor={cursor}", f"/list?list={floor}&renewal={renewal}&after={pk}")


def inside(session: str, method: str, path: str, **fields: Any) -> Figures:
    """What one request asks of the database: its queries, and the rows and index entries they read."""
    client = InProcess(HTTP_HOST=HOST, HTTP_ORIGIN=f"https://{HOST}", HTTP_X_CSRFTOKEN=CSRF)
    client.cookies["__Host-sessionid"] = session
    client.cookies["__Host-csrftoken"] = CSRF
    ask = getattr(client, method)
    ask(path, fields, secure=True) if method == "get" else None
    with transaction.atomic():
        before = _rows_read()
        with CaptureQueriesContext(connection) as asked:
            answer = ask(path, fields, secure=True)
        read = _rows_read() - before
        transaction.set_rollback(True)
    if answer.status_code != 200:
        raise SystemExit(f"{method} {path} answered {answer.status_code} in process.")
    own = [query for query in asked.captured_queries if "SAVEPOINT" not in query["sql"]]
    return {"queries": len(own), "rows_read": read}


def _rows_read() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid))::bigint FROM pg_class"
            " WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"
        )
        return int(cursor.fetchone()[0])


def read_pages(ours: Server, floor: Server, session: str, size: int) -> Iterator[Result]:
    mine, plain = Client(ours, session), Client(floor, session)
    for page in pages():
        figures = in_turn(
            partial(mine.get, page.path), partial(plain.get, page.floor), PAGES_A_ROUND, (ours, floor)
        )
        body = mine.get(page.path).body
        yield Result(
            page.name,
            size,
            **figures,
            bytes=len(body),
            compressed=len(gzip.compress(body, 6)),
            **inside(session, "get", page.path),
        )


def beside_each_other(ours: Server, session: str, size: int, address: str) -> Iterator[Result]:
    """Pages of ours beside others of ours: as slow inside a list as at its top, and quicker than counting all."""
    mine = Client(ours, session)
    deep = next(page for page in pages() if page.name == "list, page deep inside")
    rounds = in_turn(lambda: mine.get(deep.path), lambda: mine.get("/"), PAGES_A_ROUND, (ours, ours))
    figures = {name: value for name, value in rounds.items() if "cpu" not in name}
    yield Result("list, deep page beside the first", size, **figures, note="floor: page 1")
    with serving("tests.bench.exact:application", address) as counting:
        exact = partial(Client(counting, session).get, "/board/")
        figures = in_turn(partial(mine.get, "/board/"), exact, PAGES_A_ROUND, (ours, counting))
    yield Result("board beside exact GROUP BY", size, **figures, note="floor: the same, counted exactly")


class Mover:
    """One person who moves accounts of their own to and fro, at our server or at the floor's."""

    def __init__(self, client: Client, accounts: list[tuple[int, str, int]], origin: str = "") -> None:
        self._client = client
        self._at = {pk: (Stage(stage), version) for pk, stage, version in accounts}
        self._turn = cycle(self._at)
        self._origin = origin

    def __call__(self) -> Answer:
        pk = next(self._turn)
        stage, version = self._at[pk]
        to = TO_AND_FRO[stage]
        self._at[pk] = to, version + 1
        if not self._origin:
            return self._client.post("/move", pk=pk, to=to, version=version)
        if self._origin == "floor board":
            return self._client.post("/move-card", pk=pk, to=to, version=version)
        return self._client.post(
            f"/accounts/{pk}/move/",
            to=to,
            version=version,
            seen=stage,
            shown="engaged_email:25,call_booked:25",
            **{"from": self._origin},
        )


def movable(number: int) -> list[list[tuple[int, str, int]]]:
    """Accounts in 3a and 3b, dealt out to that many people."""
    found = Account.objects.filter(stage__in=TO_AND_FRO).order_by("pk").values_list("pk", "stage", "version")
    return [list(found[place::number]) for place in range(number)]


def move_one(ours: Server, floor: Server, session: str, size: int) -> Iterator[Result]:
    for name, origin, plain in (
        ("one move, from the list", "list", ""),
        ("one move, on the board", "board", "floor board"),
    ):
        hands = movable(2)
        mine, other = (
            Mover(Client(ours, session), hands[0], origin),
            Mover(Client(floor, session), hands[1], plain),
        )
        figures = in_turn(mine, other, MOVES_A_ROUND, (ours, floor))
        body = mine().body
        pk, stage, version = movable(1)[0][0]
        form = {"to": str(TO_AND_FRO[Stage(stage)]), "version": version, "from": origin, "seen": stage}
        form["shown"] = "engaged_email:25,call_booked:25"
        yield Result(
            name,
            size,
            **figures,
            bytes=len(body),
            compressed=len(gzip.compress(body, 6)),
            **inside(session, "post", f"/accounts/{pk}/move/", **form),
        )


def move_together(ours: Server, floor: Server, sessions: list[str], size: int) -> Iterator[Result]:
    """Sixteen people, each moving cards of their own as quickly as answers come; then count the ledger."""
    hands = movable(2 * PEOPLE)
    mine = [Mover(Client(ours, key), hand, "list") for key, hand in zip(sessions, hands, strict=False)]
    plain = [Mover(Client(floor, key), hand) for key, hand in zip(sessions, hands[PEOPLE:], strict=False)]
    of_ours = {pk for hand in hands[:PEOPLE] for pk, _, _ in hand}
    before = StageTransition.objects.filter(account__in=of_ours).count()
    rounds = []
    with ThreadPoolExecutor(PEOPLE) as people:

        def all_at_once(movers: list[Mover]) -> tuple[float, list[float]]:
            begin = time.perf_counter()
            took = list(people.map(lambda mover: [ok(mover()) for _ in range(MOVES_EACH)], movers))
            return time.perf_counter() - begin, [one for person in took for one in person]

        all_at_once(mine), all_at_once(plain)
        spent = [ours.cpu(), floor.cpu()]
        for _ in range(ROUNDS):
            rounds.append((all_at_once(mine), all_at_once(plain)))
    made, rows = (
        PEOPLE * MOVES_EACH * (ROUNDS + 1),
        StageTransition.objects.filter(account__in=of_ours).count(),
    )
    if rows - before != made:
        raise SystemExit(
            f"{made} moves were answered with 200, and the ledger has {rows - before} rows of them."
        )
    figures = compared([(one[1], other[1]) for one, other in rounds])
    figures["ratio"] = median(one[0] / other[0] for one, other in rounds)
    figures |= cpu_since(spent, (ours, floor), PEOPLE * MOVES_EACH * ROUNDS)
    a_second = [median(PEOPLE * MOVES_EACH / one[place][0] for one in rounds) for place in (0, 1)]
    note = f"{a_second[0]:.0f} moves/s, floor {a_second[1]:.0f}/s; one ledger row each"
    yield Result("16 people moving at once", size, **figures, note=note)


def sweep(databases: Databases, size: int) -> Iterator[Result]:
    with databases.copy("seed", "due"):
        databases.use("due")
        make_due(size // 100)
        figures, done = long_one(databases, "due", "sweep", size)
    databases.use("seed")
    yield Result("sweep that moves 1%", size, **figures, note=f"{done['moved']:,} moved")


def make_due(number: int) -> None:
    """Leave exactly this many accounts due for their final outreach."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE crm_account SET next_renewal_on = current_date + 60, contract_renewal_on = NULL
            WHERE renewal_on BETWEEN current_date AND current_date + 30
            """
        )
        cursor.execute(
            """
            WITH chosen AS (
                SELECT id FROM crm_account WHERE stage IN ('initiated', 'engaged_email', 'call_booked',
                'intro_call_completed', 'second_call_completed', 'homework_offered')
                AND held_by = '' AND quarantine = '' ORDER BY id LIMIT %s
            ), calls AS (
                UPDATE crm_call SET status = 'canceled' WHERE account_id IN (SELECT id FROM chosen)
            )
            UPDATE crm_account SET next_renewal_on = current_date + 5, contract_renewal_on = NULL,
                extended_until = NULL, last_outreach_at = now() - interval '30 days'
            FROM chosen WHERE chosen.id = crm_account.id
            """,
            [number],
        )
        cursor.execute("VACUUM (ANALYZE)")


def ticks(databases: Databases, size: int) -> Iterator[Result]:
    with databases.copy("seed", "work") as address:
        done = job("ticks", size, address)
    if not done["idle"]:
        raise SystemExit("A tick that should have found nothing to do moved accounts.")
    took = done["took"]
    yield Result("idle tick", size, 1000 * median(took), 1000 * percentile(took, 0.95))
    yield Result("first tick of a day", size, 1000 * done["first"], note="decides on whose day has come")
    note = "decides on every account again"
    yield Result(
        "tick after a change of policy", size, 1000 * done["policy"], peak_mb=done["peak_mb"], note=note
    )


def imports(databases: Databases, size: int) -> Iterator[Result]:
    number = min(size, MOST_IMPORTED)
    for name, label in (("import", "import, reporting step"), ("file", "import, CSV file")):
        figures, _ = long_one(databases, "seed", name, number)
        yield Result(label, size, **figures, note=f"{number:,} rows, half of them updates")


def behind_the_server(databases: Databases, size: int, sessions: list[str]) -> Iterator[Result]:
    with databases.copy("seed", "web") as address:
        databases.use("web")
        with ExitStack() as stack:
            ours = stack.enter_context(serving("config.wsgi:application", address))
            floor = stack.enter_context(serving("tests.bench.floor:application", address))
            yield from read_pages(ours, floor, sessions[0], size)
            yield from beside_each_other(ours, sessions[0], size, address)
            yield from move_one(ours, floor, sessions[0], size)
            yield from move_together(ours, floor, sessions, size)


def busy(databases: Databases, size: int, sessions: list[str]) -> Iterator[Result]:
    with databases.copy("seed", "busy") as address:
        databases.use("busy")
        place(size // 10)
        connection.close()
        # What else was due is done before.
        job("tick", size, address)
        make_due(size // 10)
        connection.close()
        with serving("config.wsgi:application", address) as ours:
            yield from busy_tick(ours, sessions[0], size, partial(job, "tick", size, address), ok)


def report(databases: Databases, size: int) -> Iterator[Result]:
    with databases.copy("seed", "reports") as address:
        databases.use("reports")
        reports.fill()
        yield from reports.measure(size)
        [session] = sign_in("lead", 1)
        connection.close()
        yield from reports.over_http(address, session, size)
        print(f"How the reports are read at {size:,} accounts:", *reports.plans(), sep="\n")
        connection.close()


# By what `BENCH_ONLY` names them.
PARTS: dict[str, Callable[[Databases, int, list[str]], Iterator[Result]]] = {
    "pages": behind_the_server,
    "sweep": lambda databases, size, _: sweep(databases, size),
    "ticks": lambda databases, size, _: ticks(databases, size),
    "busy": busy,
    "import": lambda databases, size, _: imports(databases, size),
    "api": lambda databases, size, _: doors.by_the_api(databases, size, min(size, MOST_IMPORTED)),
    "webhooks": lambda databases, size, _: doors.webhooks(databases, size),
    "reports": lambda databases, size, _: report(databases, size),
    "browser": browser.measure,
}


def measure(databases: Databases, size: int, names: list[str]) -> Iterator[Result]:
    begin = time.monotonic()
    databases.use("seed")
    fill(size)
    sessions = sign_in()
    say(f"{size:,} accounts: filled in {time.monotonic() - begin:.0f} s")
    for name in names:
        yield from PARTS[name](databases, size, sessions)
        databases.use("seed")


def asked_for(names: str) -> list[str]:
    """The parts to be measured, of those named with commas; all of them where none is."""
    wanted = [name for name in names.split(",") if name] or [*PARTS]
    if unknown := [name for name in wanted if name not in PARTS]:
        raise SystemExit(f"BENCH_ONLY names {', '.join(unknown)}; there are {', '.join(PARTS)}.")
    return wanted


def machine() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgres = cursor.fetchone()[0].split()[0]
        cursor.execute("SHOW synchronous_commit")
        durable = cursor.fetchone()[0]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()},"
        f" PostgreSQL {postgres} (synchronous_commit {durable}), {timezone.now():%Y-%m-%d}"
    )


def main() -> None:
    begin = time.monotonic()
    # The servers log as a deployment's do, into a file; here the lines of requests in process are only in the way.
    logging.disable(logging.INFO)
    call_command("collectstatic", interactive=False, verbosity=0)
    names = asked_for(os.environ.get("BENCH_ONLY", ""))
    databases = Databases(os.environ["DATABASE_URL"])
    results: list[Result] = []
    try:
        databases.make("seed")
        for size in sizes(int(os.environ.get("BENCH_SIZE") or DEFAULT_SIZES[-1])):
            for result in measure(databases, size, names):
                say(
                    f"  {result.name}: {result.p50_ms:.1f} ms{f', {result.ratio:.2f}×' if result.ratio else ''}"
                )
                results.append(result)
        results += grown(results)
        databases.use("seed")
        print(machine())
    finally:
        databases.drop_all()
    print(table(results))
    print(f"{time.monotonic() - begin:.0f} s. Each figure is the median of {ROUNDS} rounds.")
    if path := os.environ.get("BENCH_JSON"):
        Path(path).write_text(json.dumps({"results": [result.as_json() for result in results]}, indent=1))


if __name__ == "__main__":
    main()
