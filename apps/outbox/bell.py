"""The bell that tells a worker of new messages. It may fail: the sweep finds them."""

from collections.abc import Iterable

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

JOB = "apps.outbox.jobs.send"
# By then the sweep has come.
SECONDS = 10


def ring_after_commit(channels: Iterable[str]) -> None:
    """Have these channels looked at as soon as the transaction at hand is through."""
    wanted = sorted(set(channels))
    transaction.on_commit(lambda: _ring(wanted), robust=True)


def _ring(channels: list[str]) -> None:
    try:
        for channel in channels:
            current_app.send_task(JOB, [channel], expires=SECONDS)
    except OperationalError:
        pass
