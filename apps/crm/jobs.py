"""What the worker does for the house itself: it finds its own work and may run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.crm.enough import after
from apps.crm.models import Bulk

# A job ends within 30 seconds; whatever is left over is the next one's.
SECONDS = 20


@shared_task
def run_bulk() -> None:
    """Go on with the changes of many accounts that wait. Rung when one is asked for; swept by beat."""
    enough = after(SECONDS)
    for waiting in Bulk.objects.waiting():
        if enough():
            return
        waiting.carry_out(now=timezone.now(), enough=enough)
    Bulk.objects.forget(now=timezone.now())
