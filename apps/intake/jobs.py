"""What the worker does for the doors: each job finds its own work and may run twice."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.intake.models import Import


@shared_task(time_limit=600, soft_time_limit=540)
def run_import() -> None:
    """Carry out the imports that wait, and forget what nobody confirmed. Rung on confirming; swept by beat."""
    for waiting in Import.objects.waiting().light():
        waiting.carry_out(now=timezone.now())
    Import.objects.forget(now=timezone.now())
