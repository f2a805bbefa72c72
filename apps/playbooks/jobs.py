"""When time passes."""

import structlog
from celery import shared_task
from django.utils import timezone

from apps.crm.enough import after
from apps.crm.models import Billed, ClosedMonth, Entry
from apps.playbooks import digest, weekly
from apps.playbooks.engine import run
from apps.playbooks.registry import PLAYBOOKS
from config.celery import ring

# A job ends within 30 seconds; whatever is left over is the next tick's.
SECONDS = 20

log = structlog.get_logger(__name__)


@shared_task
def tick() -> None:
    """Run every playbook for now."""
    run([*PLAYBOOKS], now=timezone.now(), enough=after(SECONDS))


@shared_task
def tell() -> None:
    """Write the team's morning mails, the mails about mentions and those of the week, that are due."""
    enough = after(SECONDS)
    digest.tell(now=timezone.now(), enough=enough)
    weekly.tell(now=timezone.now(), enough=enough)


@shared_task
def count() -> None:
    """Read new moves for the reports."""
    Entry.objects.bring_up_to_date(enough=after(SECONDS))


@shared_task
def mend_sums(after_account: int = 0) -> None:
    """Look whether what is kept of bills is what they come to; what is left over is done in a moment."""
    wrong, reached = Billed.objects.mend(after=after_account, enough=after(SECONDS))
    if wrong:
        log.warning("sums_mended", rows=wrong)
    if reached:
        ring("apps.playbooks.jobs.mend_sums", reached)


@shared_task
def close_months() -> None:
    """Keep each month that has closed as it is now."""
    Entry.objects.bring_up_to_date(enough=after(SECONDS))
    ClosedMonth.objects.close(now=timezone.now())
