"""What the worker does for the doors: each job finds its own work and may run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.crm.enough import after
from apps.intake.drain import apply_due
from apps.intake.models import Event, Import

# A job ends within 30 seconds; whatever is left over is the next one's.
SECONDS = 20


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


@shared_task
def forget_bodies() -> None:
    """Blank what was told long ago; what came of it stays."""
    Event.objects.forget(now=timezone.now())
