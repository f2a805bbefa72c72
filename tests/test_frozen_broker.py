"""A broker that is frozen: what other systems tell is kept all the same, and applied once it thaws."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from celery.contrib.testing.worker import start_worker
from django.test import Client
from django.utils import timezone
from kombu import pools

from apps.crm.models import Contact
from apps.crm.pipeline import Stage
from apps.intake.doors import DOORS
from apps.intake.models import Event
from apps.intake.samples import About, sample
from config.celery import redis_client
from config.embedded.process import wait_until
from tests.factories import account, user

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TYPES = ("account.upserted", "conversation.outbound", "conversation.inbound", "call.booked", "call.held")
# The bell gives up after a second; the rest is for a machine that is busy. Without a timeout it takes minutes.
AT_MOST = 8.0


class Frozen:
    """The broker's process, which can be frozen and thawed; ``broker`` is its address for Celery."""

    def __init__(self, pid: int, broker: str) -> None:
        self.pid, self.broker = pid, broker

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
def server(valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Frozen]:
    with redis_client() as client:
        pid = int(client.info("server")["process_id"])
    broker = valkey.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)
    monkeypatch.setattr(current_app.conf, "broker_url", broker)
    _forget_connections()
    yield (found := Frozen(pid, broker))
    found.thaw()
    monkeypatch.undo()
    _forget_connections()


def _forget_connections() -> None:
    """Else Celery goes on with the broker it knew."""
    pools.reset()
    current_app._after_fork()  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_while_the_broker_is_frozen_each_event_is_kept_within_a_second_and_applied_when_it_thaws(
    server: Frozen, settings: Any
) -> None:
    setattr(settings, DOORS["ingest"].setting, [SECRET])
    made = account(Stage.NEW, name="Acme")
    Contact.objects.create(account=made, email="ann@acme.example")
    user("specialist")
    about = About.account(made, now=timezone.now())
    # The first request of a process takes longer, whatever the broker does.
    assert _told("subscription.canceled", about) == (200, {"kept": True})
    server.freeze()
    for type in TYPES:
        begun = time.monotonic()
        assert _told(type, about) == (200, {"kept": True})
        assert time.monotonic() - begun < AT_MOST
    assert Event.objects.filter(state="waiting").count() == len(TYPES) + 1
    server.thaw()
    # The next bell is heard, and whoever hears it applies all that waits.
    assert _told("sales.disqualified", about) == (200, {"kept": True})
    with start_worker(current_app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        wait_until(lambda: not Event.objects.filter(due_at__isnull=False).exists(), 60)
    assert {*Event.objects.values_list("state", flat=True)} == {"done"}
    made.refresh_from_db()
    assert (made.stage, made.users_count, made.calls.get().status) == (Stage.INTRO_CALL_COMPLETED, 12, "held")


def _told(type: str, about: About) -> tuple[int, Any]:
    signed = sample("ingest", type, about, SECRET)
    answer = Client().post(
        "/hooks/ingest/", signed.body, content_type="application/json", headers=signed.headers
    )
    return answer.status_code, answer.json()
