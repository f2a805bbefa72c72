"""What `manage.py doctor` looks at, as a table: each check says in one line what it found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Q
from django.utils import timezone

from apps.crm.models import Account, Billed, User
from apps.outbox.models import Gate, Message
from apps.outbox.send import WAYS
from apps.playbooks.models import Switch
from apps.playbooks.registry import PLAYBOOKS
from apps.web import health
from config.celery import redis_client

LOWEST_POSTGRES = 15
CLOCK_SECONDS = 2
SHORTEST_SECRET = 16
# Beat ticks every minute; three that were missed are no accident.
LONGEST_TICK = 180
# A sweep comes every few seconds; what is not well is tried again within minutes.
LONGEST_IN_OUTBOX = timedelta(minutes=10)
MOST_LATE = 999

# Accounts that stand elsewhere than their ledger leads, or whose rows leave a hole or do not meet.
NOT_REPLAYED = """
WITH rows AS (
    SELECT account_id, version, from_stage, to_stage,
           lag(to_stage, 1, '') OVER per_account AS came_from,
           row_number() OVER per_account AS place
    FROM crm_stagetransition WINDOW per_account AS (PARTITION BY account_id ORDER BY version)
), ledger AS (
    SELECT account_id, max(version) AS version,
           bool_and(from_stage = came_from AND version = place) AS whole,
           (array_agg(to_stage ORDER BY version DESC))[1] AS stage
    FROM rows GROUP BY account_id
)
SELECT count(*) FROM crm_account account LEFT JOIN ledger ON ledger.account_id = account.id
WHERE (account.stage, account.version, true)
      IS DISTINCT FROM (coalesce(ledger.stage, ''), coalesce(ledger.version, 0), coalesce(ledger.whole, true))
"""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's answer."""

    well: bool
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{'ok ' if self.well else 'bad'}  {self.what:<9}  {self.detail}"


def _ask(question: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def database() -> Iterator[tuple[bool, str]]:
    version = int(_ask("SELECT current_setting('server_version_num')")) // 10_000
    yield version >= LOWEST_POSTGRES, f"PostgreSQL {version}, of {LOWEST_POSTGRES} or newer"
    trigrams = _ask("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')")
    yield trigrams, f"extension pg_trgm is {'there' if trigrams else 'missing'}"
    executor = MigrationExecutor(connection)
    waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    yield (
        not waiting,
        f"{waiting} migrations wait; `manage.py migrate` applies them" if waiting else "migrated",
    )
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        value = _ask(f"SELECT current_setting('{name}')")
        yield value != "off", f"{name} is {value}"


def broker() -> Iterator[tuple[bool, str]]:
    with redis_client() as client:
        client.ping()
        told = client.config_get("appendonly", "maxmemory-policy")
    yield True, "answers"
    for name, wanted in (("appendonly", "yes"), ("maxmemory-policy", "noeviction")):
        yield told.get(name) == wanted, f"{name} is {told.get(name)}, to be {wanted}"


def secrets() -> Iterator[tuple[bool, str]]:
    key = settings.SECRET_KEY
    strong = len(key) >= 50 and len(set(key)) >= 5 and not key.startswith("django-insecure-")
    yield (
        strong,
        "SECRET_KEY is long enough" if strong else "SECRET_KEY is short or guessable: 50 random characters",
    )
    if not settings.DEBUG:
        known = User.objects.filter(email__iendswith="@onramp.example").count()
        yield not known, f"{known} demo logins, whose password everybody knows"


def mail_door() -> Iterator[tuple[bool, str]]:
    log, secrets_set = settings.MAIL_LOG_ADDRESS, settings.MAIL_WEBHOOK_SECRETS
    if not (log or secrets_set):
        yield True, "closed: MAIL_WEBHOOK_SECRETS is not set"
        return
    yield (
        bool(secrets_set),
        "open" if secrets_set else "MAIL_LOG_ADDRESS is set, but not MAIL_WEBHOOK_SECRETS",
    )
    long_enough = all(len(secret) >= SHORTEST_SECRET for secret in secrets_set)
    yield long_enough, f"secrets {'have' if long_enough else 'are shorter than'} {SHORTEST_SECRET} characters"
    if not log:
        yield True, "MAIL_LOG_ADDRESS is not set: no outreach comes in by BCC"
        return
    clash = User.objects.with_addresses([log])
    yield not clash, f"{log} is a colleague's address" if clash else f"outreach is logged at {log}"


def heartbeats() -> Iterator[tuple[bool, str]]:
    heard = health.heartbeats()
    for name in ("worker", "beat"):
        age = heard.get(name) if heard else None
        said = "not heard of lately" if age is None else f"heard of {age:.0f} s ago"
        yield health.is_recent(age), f"{name} {said}"


def backlog() -> Iterator[tuple[bool, str]]:
    ran = dict(Switch.objects.values_list("playbook", "last_run_at"))
    paused, now = Switch.objects.paused(), timezone.now()
    for name in [name for name in PLAYBOOKS if name not in paused]:
        last = ran.get(name)
        age = None if last is None else (now - last).total_seconds()
        said = "has not run yet" if age is None else f"ran {age:.0f} s ago"
        yield age is not None and age < LONGEST_TICK, f"playbook {name} {said}"
    if paused:
        yield True, f"paused: {', '.join(sorted(paused))}"


def outbox() -> Iterator[tuple[bool, str]]:
    """What should have left long ago, and what nothing leaves by any more; what a lead stopped is no fault."""
    since = timezone.now() - LONGEST_IN_OUTBOX
    late = Message.objects.waiting().filter(Q(due_at__lte=since) | Q(tried_from__lte=since), automatic=False)
    late = late.exclude(channel__in=Gate.objects.shut().values("name"))
    waiting = late[: MOST_LATE + 1].count()
    shown = f"{MOST_LATE}+" if waiting > MOST_LATE else str(waiting)
    yield not waiting, f"{shown} messages wait to leave for more than 10 minutes"
    for gate in Gate.objects.dead():
        yield False, f"{gate} is off: {gate.because} A lead turns it on again on /outbox/."
    for way in WAYS.values():
        said = "is set" if way.is_set_up else "is empty: nothing leaves by it"
        yield True, f"{way.setting} {said}"


def clock() -> Iterator[tuple[bool, str]]:
    before = time.time()
    there = float(_ask("SELECT extract(epoch FROM clock_timestamp())"))
    # What the answer took is no fault of either clock.
    apart = max(before - there, there - time.time(), 0)
    yield apart < CLOCK_SECONDS, f"the database's clock is {apart:.1f} s away from this machine's"


def ledger() -> Iterator[tuple[bool, str]]:
    wrong = _ask(NOT_REPLAYED)
    yield not wrong, f"{wrong:,} accounts stand elsewhere than their history leads" if wrong else "replays"


def counts() -> Iterator[tuple[bool, str]]:
    with transaction.atomic():
        wrong = Account.objects.all().recount()
        transaction.set_rollback(True)
    yield not wrong, f"kept wrong on {wrong:,} accounts" if wrong else "as kept on the accounts"
    with transaction.atomic():
        wrong, _ = Billed.objects.mend()
        transaction.set_rollback(True)
    yield (
        not wrong,
        f"the sums of bills are kept wrong of {wrong:,} accounts" if wrong else "sums as kept of bills",
    )


CHECKS: dict[str, Callable[[], Iterator[tuple[bool, str]]]] = {
    "database": database,
    "broker": broker,
    "secrets": secrets,
    "mail door": mail_door,
    "alive": heartbeats,
    "backlog": backlog,
    "outbox": outbox,
    "clock": clock,
    "ledger": ledger,
    "counts": counts,
}


def examine() -> Iterator[Finding]:
    """Every check in turn; one that cannot be made is bad, and the others go on."""
    for what, check in CHECKS.items():
        try:
            yield from (Finding(well, what, detail) for well, detail in check())
        except (DatabaseError, redis.RedisError) as error:
            yield Finding(False, what, f"no answer: {str(error).strip().splitlines()[0]}")
