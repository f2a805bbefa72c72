"""Sending, as the worker does it."""

from celery import shared_task
from django.db import connection
from django.utils import timezone

from apps.crm.enough import after
from apps.outbox.send import WAYS, drain

# A job ends within 30 seconds, the last message's time included.
SECONDS = 15
# With the channel's place, the lock by which one job at a time sends by it: the others would only wait.
LOCK = 4_411


@shared_task
def send(channel: str) -> None:
    """Send what is due by a channel. Rung when messages are written; swept by beat."""
    place = [*WAYS].index(channel)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, place])
        if cursor.fetchone() != (True,):
            return
        try:
            drain(channel, clock=timezone.now, enough=after(SECONDS))
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, place])
