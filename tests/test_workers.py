"""Five workers and two beats at once, as processes of their own, on one database and one broker."""

import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from apps.crm import demo
from apps.crm.models import Account, Alert, StageTransition, Task
from apps.outbox.models import SLACK, Message
from apps.playbooks.engine import run
from apps.playbooks.models import Act, Run
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import AddTask, RaiseAlert
from config.celery import redis_client
from config.embedded.process import spawn, stop, wait_until
from tests.crowd import TICKS
from tests.factories import user
from tests.outside import Slack

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(500)]

ROOT = Path(__file__).resolve().parent.parent
ACCOUNTS, WORKERS, BEATS, TICKS_EACH, SECONDS = 2_000, 5, 2, 2, 300


@pytest.fixture
def slack():
    with Slack() as server:
        yield server


@pytest.fixture
def start(valkey, slack, tmp_path):
    """Start a part of Celery on this test's database, broker and Slack, to be gone afterwards."""
    environment = os.environ | {
        "CROWD_DATABASE": connection.settings_dict["NAME"],
        "REDIS_URL": valkey,
        "SLACK_WEBHOOK_URL": slack.url,
        "EMAIL_URL": "",
        # Only a trial machine speaks to loopback.
        "DEBUG": "1",
    }
    with ExitStack() as running, (tmp_path / "log").open("ab") as log:

        def part(*words):
            command = [sys.executable, "-m", "celery", "--app", "tests.crowd.app", *words]
            child = spawn(command, env=environment, on_death=signal.SIGKILL, stdout=log, cwd=ROOT)
            running.callback(stop, child, by=signal.SIGKILL, within=0)
            return child

        yield part


def a_team():
    """Accounts as a team has them, of which all that are open renew soon; no playbook has run yet."""
    for role in {role for *_, role in demo.LOGINS.values()}:
        user(role)
    demo.add_logins(now=timezone.now())
    demo.add_accounts(ACCOUNTS, seed=1, now=timezone.now())
    # An alert that is open already would take the place of a playbook's.
    Alert.objects.all().delete()
    Account.objects.in_open_stages().update(next_renewal_on=timezone.now() + timedelta(days=5))


def foreseen():
    told = []
    run([*PLAYBOOKS], now=timezone.now(), dry_run=True, tell=told.append)
    return {(line.playbook, line.account) for line in told}


def ticks():
    """How many ticks each worker has ended."""
    with redis_client() as client:
        return client.hgetall(TICKS)


def all_quiet():
    """Every worker has had its ticks, everybody foreseen is acted on, and all that was said has been heard."""
    done = [number for number in ticks().values() if int(number) >= TICKS_EACH]
    return (
        len(done) == WORKERS
        and not foreseen()
        and not Message.objects.waiting().filter(channel=SLACK).exists()
    )


def made(name):
    """How many rows there are of what a playbook makes: moves, alerts, tasks, or else messages."""
    then, cause = PLAYBOOKS[name].then, f"playbook:{name}"
    if then.to is not None:
        return StageTransition.objects.filter(cause=cause).count()
    if isinstance(then, RaiseAlert):
        return Alert.objects.filter(kind=name).count()
    if isinstance(then, AddTask):
        return Task.objects.filter(cause=cause).count()
    return Message.objects.filter(kind=name).count()


def test_five_workers_and_two_beats_act_alert_and_tell_once(start, slack, tmp_path):
    a_team()
    there = {name: made(name) for name in PLAYBOOKS}
    expected = foreseen()
    parts = [
        start("beat", "--schedule", tmp_path / f"beat-{number}", "--pidfile", "") for number in range(BEATS)
    ]
    parts += [start("worker", "--pool", "solo", "--hostname", f"w{number}@here") for number in range(WORKERS)]
    died = lambda: any(part.poll() is not None for part in parts)  # noqa: E731
    assert wait_until(lambda: died() or all_quiet(), SECONDS, every=0.5), ticks()
    assert not died(), (tmp_path / "log").read_text()[-3000:]
    for part in parts:
        stop(part, by=signal.SIGTERM, within=20)

    acts = Counter(Act.objects.values_list("playbook", flat=True))
    assert expected <= set(Act.objects.values_list("playbook", "account"))
    assert len(expected) > 300
    assert not Run.objects.filter(failed__gt=0).exists()
    assert sum(Run.objects.values_list("acted", flat=True)) == acts.total()
    assert {name: made(name) - there[name] for name in PLAYBOOKS} == {name: acts[name] for name in PLAYBOOKS}
    told = Message.objects.filter(channel=SLACK)
    assert set(told.filter(sent_at=None)) == set()
    heard = Counter(body["blocks"][-1]["elements"][0]["text"] for body in slack.heard)
    assert heard == Counter(
        f"Reference {reference}" for reference in told.values_list("reference", flat=True)
    )
    assert set(heard.values()) == {1}
    assert len(heard) > 50
