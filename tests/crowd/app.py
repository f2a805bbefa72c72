"""The Celery app as a test has a crowd of workers meet it."""

import os
from dataclasses import replace
from datetime import timedelta

from celery.signals import task_postrun
from django.conf import settings

from apps.outbox import send
from apps.outbox.models import SLACK
from apps.playbooks import engine
from config.celery import app, redis_client
from tests.crowd import TICKS

# The test's own database, on the server that the address names, however it writes that.
settings.DATABASES["default"]["NAME"] = os.environ["CROWD_DATABASE"]
TICK = "apps.playbooks.jobs.tick"

engine.SLICE = 50
# At a message a second, what 2,000 accounts give cause to would take half an hour.
send.WAYS[SLACK] = replace(send.WAYS[SLACK], pace=timedelta(0))
app.conf.beat_schedule = {
    "playbooks-tick": {"task": TICK, "schedule": 0.25},
    "send-slack": {"task": "apps.outbox.jobs.send", "schedule": 1.0, "args": [SLACK]},
}


@task_postrun.connect
def _count(task=None, **_):
    """Note for the test which worker has ended how many ticks."""
    if task.name == TICK:
        with redis_client() as client:
            client.hincrby(TICKS, os.getpid(), 1)
