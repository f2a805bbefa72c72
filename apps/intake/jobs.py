"""What the worker does for the doors: each job finds its own work and may run twice."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.utils import timezone

from apps.crm.enough import after
from apps.intake.drain import apply_due
from apps.intake.models import Event, Import

# A job ends within 30 seconds; whatever is left over is the next one's.
SECONDS = 20

log = structlog.get_logger(__name__)


@shared_task(time_limit=600, soft_time_limit=540)
def run_import() -> None:
    """Carry out the imports that wait, and forget what nobody confirmed. Rung on confirming; swept by beat."""
    for waiting in Import.objects.waiting().light():
        waiting.carry_out(now=timezone.now())
    Import.objects.forget(now=timezone.now())


@shared_task
def drain() -> None:
    """Apply the events that are due. Rung by each that comes in; swept by beat."""
    apply_due(now=timezone.now(), enough=after(SECONDS))


def ring() -> None:
    """Nudge the worker. The sweep finds what is not heard, so a broker that is away is no matter."""
    try:
        drain.apply_async(retry=True, retry_policy={"max_retries": 0}, expires=10)
    except Exception as error:
        log.warning("bell_not_rung", error=str(error))


@shared_task
def forget_bodies() -> None:
    """Blank what was told long ago; what came of it stays."""
    Event.objects.forget(now=timezone.now())
