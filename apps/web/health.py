"""Whether what we stand on answers: for the probes and for `manage.py doctor`. No question takes long."""

from __future__ import annotations

import time

import redis
from django.db import DatabaseError, connection

from config.celery import BEAT_KEY, HEARTBEAT_TTL, WORKER_KEY, redis_client


def database_answers() -> bool:
    """Ask the database the smallest question."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        return False
    return True


def heartbeats() -> dict[str, float | None] | None:
    """Seconds since worker and beat were last heard of (None: not lately); None where the broker is away."""
    try:
        with redis_client() as client:
            told = client.mget(WORKER_KEY, BEAT_KEY)
    except redis.RedisError:
        return None
    return {
        name: None if value is None else time.time() - float(value)
        for name, value in zip(("worker", "beat"), told, strict=True)
    }


def parts() -> dict[str, str]:
    """Database, broker, worker and beat, each "ok" or "away"."""
    heard = heartbeats()
    answers = {"database": database_answers(), "broker": heard is not None}
    answers |= {name: is_recent((heard or {}).get(name)) for name in ("worker", "beat")}
    return {name: "ok" if answer else "away" for name, answer in answers.items()}


def is_recent(age: float | None) -> bool:
    """Whether a heartbeat of that age says that its sender lives."""
    return age is not None and age < HEARTBEAT_TTL
