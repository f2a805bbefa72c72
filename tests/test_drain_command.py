"""`manage.py drain`: both queues to their end, and a stop that leaves nothing half done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as ours
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.crm.models import Contact
from apps.crm.pipeline import Stage
from apps.intake import drain
from apps.intake.models import Event
from apps.intake.samples import About, sample
from apps.outbox.models import Message
from apps.playbooks.jobs import tick
from config.embedded.process import wait_until
from tests.factories import account

RUN = """
import sys
from config import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "drain"])
"""


def bought(number: int, email: str = "ann@acme.example") -> Event:
    now = timezone.now()
    data = {"email": email, "order_id": f"o-{number}", "at": now.isoformat(), "amount": "500.00"}
    return Event.objects.create(
        provider="ingest",
        external_id=f"msg-{number}",
        type="purchase.paid_call",
        body=json.dumps({"type": "purchase.paid_call", "data": data}).encode(),
        received_at=now,
        due_at=now,
    )


@pytest.mark.django_db
def test_once_empties_both_queues_however_full_and_sends_what_the_events_bring_about(
    settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.DEBUG, settings.SLACK_WEBHOOK_URL, settings.EMAIL_URL = True, "", ""
    monkeypatch.setattr(drain, "BATCH", 2)
    made = account(Stage.ENGAGED_EMAIL, name="Acme")
    Contact.objects.create(account=made, email="ann@acme.example")
    for number in range(5):
        bought(number)
    later = bought(9, "nobody@else.example")
    Event.objects.filter(pk=later.pk).update(
        due_at=timezone.now() + timedelta(hours=1), tries=3, state="failed"
    )
    call_command("drain", once=True)
    assert made.purchases.count() == 5
    assert [*Event.objects.filter(due_at__isnull=False)] == [later]
    assert Message.objects.filter(account=made).exists()
    assert not Message.objects.filter(sent_at__isnull=True).exists()
    assert capsys.readouterr().out.startswith("events: tried 5\n")


@pytest.mark.django_db
def test_what_comes_in_while_messages_are_sent_is_applied_in_the_same_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = account(Stage.ENGAGED_EMAIL)
    Contact.objects.create(account=made, email="ann@acme.example")
    bought(1)

    def sent(channel: str, **_: Any) -> int:
        if channel == "mail" and Event.objects.count() == 1:
            bought(2)
        return 0

    monkeypatch.setattr("apps.intake.management.commands.drain.drain", sent)
    call_command("drain", once=True)
    assert made.purchases.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_is_at_hand_and_leaves_the_rest_as_it_was(by: signal.Signals) -> None:
    made = account(Stage.ENGAGED_EMAIL)
    Contact.objects.create(account=made, email="ann@acme.example")
    for number in range(400):
        bought(number)
    environment = os.environ | {"DEBUG": "1", "SLACK_WEBHOOK_URL": "", "EMAIL_URL": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, connection.settings_dict["NAME"]],
        env=environment,
        cwd=ours.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(Event.objects.filter(state="done").exists, 60, every=0.02)
        process.send_signal(by)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, b"Traceback" in errors) == (0, False)
    done, waiting = (Event.objects.filter(state=state) for state in ("done", "waiting"))
    assert done.count() + waiting.filter(tries=0).count() == 400
    assert 0 < made.purchases.count() == done.count() < 400


@pytest.mark.django_db(transaction=True)
def test_a_stop_while_there_is_nothing_to_do_ends_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, connection.settings_dict["NAME"]],
        env=os.environ | {"DEBUG": "1"},
        cwd=ours.BASE_DIR,
        stdout=subprocess.PIPE,
    )
    try:
        # Once it has applied one, it waits for the next.
        bought(1, "nobody@else.example")
        assert process.stdout is not None
        assert process.stdout.readline() == b"events: tried 1\n"
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


# A worker's drain, and what is to be killed at the point between the events and what follows from them.
KILLED = """
import os, signal, sys
from config import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
import django
django.setup()
from apps.intake import drain, jobs
drain.run = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
jobs.drain()
"""


@pytest.mark.django_db(transaction=True)
def test_what_follows_from_events_whose_worker_died_before_its_playbooks_comes_with_the_next_tick() -> None:
    made = account(Stage.INITIATED, stripe_customer_id="cus_1", domain="acme.example")
    failed = sample(
        "stripe", "invoice.payment_failed", About.account(made, now=timezone.now()), "whsec_c2VjcmV0"
    )
    Event.objects.keep(
        provider="stripe",
        external_id="evt_1",
        type="invoice.payment_failed",
        body=failed.body,
        now=timezone.now(),
    )
    died = subprocess.run(
        [sys.executable, "-c", KILLED, connection.settings_dict["NAME"]],
        env=os.environ | {"DEBUG": "1", "SLACK_WEBHOOK_URL": "", "EMAIL_URL": ""},
        cwd=ours.BASE_DIR,
        timeout=120,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert (Event.objects.get().state, made.bills.get().attempts) == ("done", 1)
    # The event is done, so no drain comes back to it.
    assert drain.apply_due(now=timezone.now()) == 0
    assert not made.alerts.exists()
    tick()
    tick()
    assert [*made.alerts.values_list("kind", "subject", "resolved_at")] == [
        ("failed-payment", f"bill:{made.bills.get().external_id}", None)
    ]
