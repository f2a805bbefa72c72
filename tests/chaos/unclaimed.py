"""The worker without what keeps two from applying one event: what the claim and its count are there for shows."""

# First of all: it sets Django up.
import config.wsgi  # noqa: F401

# isort: split
from django.db.models import F

from apps.intake.events import backoff
from apps.intake.models import Event
from config.celery import app

__all__ = ["app"]


def claim(event, *, now):
    """Take the try, whoever took it before."""
    Event.objects.filter(pk=event.pk).update(tries=F("tries") + 1, due_at=now + backoff(event.tries + 1))
    event.tries += 1
    return True


def settle(event, state, sentence, *, now, **also):
    """Say what became of it, whoever said so before."""
    Event.objects.filter(pk=event.pk).update(state=state, sentence=sentence, done_at=now, due_at=None, **also)
    return True


for guard in (claim, settle):
    setattr(Event, guard.__name__, guard)
