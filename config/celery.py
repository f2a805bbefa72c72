"""The Celery app and the beat schedule: the one place that says when."""

import os
import threading
import time
from queue import SimpleQueue
from typing import Any

import redis
import structlog
from celery import Celery
from celery.schedules import crontab
from celery.signals import beat_init, before_task_publish, setup_logging, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("onramp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")

# `expires` keeps a queue that stood still from being worked off in a burst: each job finds its own work.
app.conf.beat_schedule = {
    "heartbeat": {"task": "config.celery.heartbeat", "schedule": 15.0, "options": {"expires": 14}},
    "playbooks-tick": {"task": "apps.playbooks.jobs.tick", "schedule": 60.0, "options": {"expires": 55}},
    "tell-the-team": {"task": "apps.playbooks.jobs.tell", "schedule": 60.0, "options": {"expires": 55}},
    "reports": {"task": "apps.playbooks.jobs.count", "schedule": 60.0, "options": {"expires": 55}},
    "close-months": {
        "task": "apps.playbooks.jobs.close_months",
        "schedule": 3600.0,
        "options": {"expires": 3000},
    },
    "mend-sums": {
        "task": "apps.playbooks.jobs.mend_sums",
        "schedule": crontab(hour=3, minute=17),
        "options": {"expires": 3000},
    },
    "events": {"task": "apps.intake.jobs.drain", "schedule": 3.0, "options": {"expires": 3}},
    "old-bodies": {
        "task": "apps.intake.jobs.forget_bodies",
        "schedule": 3600.0,
        "options": {"expires": 3000},
    },
    **{
        f"send-{channel}": {
            "task": "apps.outbox.jobs.send",
            "schedule": 5.0,
            "args": [channel],
            "options": {"expires": 4},
        }
        for channel in ("slack", "mail")
    },
    "bulk": {"task": "apps.crm.jobs.run_bulk", "schedule": 5.0, "options": {"expires": 4}},
    "imports": {"task": "apps.intake.jobs.run_import", "schedule": 5.0, "options": {"expires": 4}},
}

# By then a sweep has found what no bell was heard for.
BELL_SECONDS = 10

# Who asks for a bell in between is heard by the next ring: it starts after they asked.
BELL_PAUSE = 0.1

# Seconds since the epoch when beat last sent and a worker last ran; a key that is gone means "away".
BEAT_KEY = "onramp:beat"
WORKER_KEY = "onramp:worker"
HEARTBEAT_TTL = 45

log = structlog.get_logger(__name__)


def redis_client() -> "redis.Redis":
    """A client of the broker's server that gives up after a second, so that nothing hangs on a frozen one."""
    from django.conf import settings

    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, decode_responses=True
    )


def _beat_of(key: str) -> None:
    try:
        with redis_client() as client:
            client.set(key, f"{time.time():.3f}", ex=HEARTBEAT_TTL)
    except redis.RedisError as error:
        log.warning("heartbeat_not_kept", key=key, error=str(error))


def ring(job: str, *args: Any) -> None:
    """Nudge a worker to run a job. A sweep finds what is not heard, so a broker that is away is no matter."""
    try:
        app.send_task(job, args, expires=BELL_SECONDS)
    except Exception as error:
        log.warning("bell_not_rung", job=job, error=str(error))


class Bell:
    """Rings from a thread of its own: who asks does not wait for the broker, and who ask together are heard as one.

    Each time it is asked a ring follows, unless the process ends before; then a sweep finds the work.
    """

    def __init__(self) -> None:
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread = threading.Thread()

    def __call__(self, job: str) -> None:
        self._asked.put(job)
        if not self._thread.is_alive():
            self._start()

    def _start(self) -> None:
        with self._starting:
            if not self._thread.is_alive():
                self._thread = threading.Thread(target=self._listen, name="bell", daemon=True)
                self._thread.start()

    def _listen(self) -> None:
        while True:
            jobs = {self._asked.get()}
            while not self._asked.empty():
                jobs.add(self._asked.get())
            for job in jobs:
                ring(job)
            time.sleep(BELL_PAUSE)


ring_soon = Bell()


@app.task
def heartbeat() -> None:
    """Says that a worker runs what beat sends."""
    _beat_of(WORKER_KEY)


@before_task_publish.connect
def _beat_sends(sender: str | None = None, **_: Any) -> None:
    if sender == "config.celery.heartbeat":
        _beat_of(BEAT_KEY)


@beat_init.connect
def _beat_starts(**_: Any) -> None:
    _beat_of(BEAT_KEY)


@worker_ready.connect
def _worker_starts(**_: Any) -> None:
    _beat_of(WORKER_KEY)


@setup_logging.connect
def _keep_our_logging(**_: Any) -> None:
    """Django's logging is set up already; Celery's own would replace it."""
