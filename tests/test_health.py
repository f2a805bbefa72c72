"""What probes are told, with everything there, with the broker away or frozen, and without the database."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command

from config.celery import BEAT_KEY, WORKER_KEY, redis_client
from tests.factories import user


@pytest.fixture
def frozen_broker(settings):
    """A server that takes connections and never says a word, as a stopped Redis does."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        settings.REDIS_URL = f"redis://127.0.0.1:{listening.getsockname()[1]}/0"
        yield


@pytest.fixture
def no_broker(settings):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{unused.getsockname()[1]}/0"
        yield


def test_healthz_asks_nothing_of_anybody(client, no_broker):
    # Without a database mark, a query would fail the test.
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")


@pytest.mark.django_db
def test_probes_need_no_login_and_take_no_post(client):
    assert client.get("/readyz").status_code == 200
    assert {client.post(path).status_code for path in ("/healthz", "/readyz")} == {405}


@pytest.mark.django_db
@pytest.mark.parametrize("broker", ["no_broker", "frozen_broker"])
def test_without_the_broker_it_is_ready_and_degraded_soon(client, broker, request):
    request.getfixturevalue(broker)
    client.get("/healthz")  # The first request of a process also loads the pages.
    start = time.monotonic()
    answer = client.get("/readyz")
    assert time.monotonic() - start < 15
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "database": "ok",
        "broker": "away",
        "worker": "away",
        "beat": "away",
    }


@pytest.mark.django_db
def test_a_frozen_broker_holds_the_doctor_up_for_seconds_only(frozen_broker, capsys):
    start = time.monotonic()
    with pytest.raises(SystemExit):
        call_command("doctor")
    assert time.monotonic() - start < 30
    assert "bad  broker     no answer" in capsys.readouterr().out


@pytest.mark.django_db
@pytest.mark.parametrize("late", [WORKER_KEY, BEAT_KEY, None])
def test_worker_and_beat_are_there_while_their_heartbeat_is_young(client, late, valkey):
    with redis_client() as broker:
        for key in (WORKER_KEY, BEAT_KEY):
            broker.set(key, time.time() - (60 if key == late else 3))
    answer = client.get("/readyz")
    told = {WORKER_KEY: "worker", BEAT_KEY: "beat"}
    expected = {"database": "ok", "broker": "ok", "worker": "ok", "beat": "ok"}
    if late:
        expected[told[late]] = "away"
    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded" if late else "ok", **expected}


def test_without_the_database_it_lives_and_is_not_ready():
    script = """
import json, django
django.setup()
from django.test import Client
answers = [Client(HTTP_HOST="127.0.0.1").get(path) for path in ("/healthz", "/readyz")]
print(json.dumps([(answer.status_code, answer.content.decode()) for answer in answers]))
"""
    away = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **away, "DJANGO_SETTINGS_MODULE": "config.settings"},
        cwd=django_settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    alive, ready = json.loads(done.stdout.splitlines()[-1])
    assert alive == [200, "ok"]
    assert ready[0] == 503
    assert json.loads(ready[1])["status"] == "down"


@pytest.mark.django_db
def test_a_signed_in_person_is_answered_alike(client):
    client.force_login(user("viewer"))
    assert client.get("/healthz").content == b"ok"
