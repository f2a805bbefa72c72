"""Sending: to a real Slack on loopback, well and not well, and by more than one sender."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from apps.intake.models import Event
from apps.outbox import jobs, send, slack, wire
from apps.outbox.models import LEASE, MOST_TRIES, SLACK, Gate, Message
from config.celery import app
from tests import sending
from tests.factories import NOW, account, user
from tests.outside import Slack
from tests.sending import gate, letter, note, tried, write

clock = sending.clock

HOUR = timedelta(hours=1)


@pytest.fixture
def stub(settings):
    settings.DEBUG = True
    with Slack() as server:
        settings.SLACK_WEBHOOK_URL = server.url
        yield server


@pytest.mark.django_db
def test_a_message_leaves_with_its_text_a_link_of_ours_and_its_reference(stub, clock, settings):
    settings.BASE_URL = "https://onramp.example"
    one = account()
    [message] = write(note("Payment failed", text="Offer help.", account_id=one.pk))
    assert send.drain(SLACK, clock=clock) == 1
    [body] = stub.taken
    head, told, foot = (block.get("text") or block["elements"][0] for block in body["blocks"])
    assert head == {
        "type": "mrkdwn",
        "text": f"*<https://onramp.example/accounts/{one.pk}/|Payment failed>*",
        "verbatim": True,
    }
    assert (told["type"], told["text"]) == ("plain_text", "Offer help.")
    assert foot["text"] == f"Reference {message.reference}"
    message.refresh_from_db()
    assert (message.sent_at, message.tries, message.claimed_until, message.kept_here) == (NOW, 1, None, False)
    assert send.drain(SLACK, clock=clock) == 0
    assert len(stub.taken) == 1


@pytest.mark.django_db
def test_slack_gets_text_in_which_nothing_acts(stub, clock):
    evil = "<!channel> <@U1> <https://evil.example|safe> & \u202egnp.exe\x07"
    write(note(evil, text=evil))
    send.drain(SLACK, clock=clock)
    [body] = stub.taken
    shown = "&lt;!channel&gt; &lt;@U1&gt; &lt;https://evil.example|safe&gt; &amp; \ufffdgnp.exe\ufffd"
    assert body["text"] == shown
    assert [block["text"]["text"] for block in body["blocks"][:2]] == [f"*{shown}*", shown]
    assert body["blocks"][1]["text"]["type"] == "plain_text"
    assert len(slack.escaped("<" * 5_000)) <= 4 * slack.MOST_SHOWN


TROUBLES = {
    "500": 500,
    "503": 503,
    "redirected inside": ("redirect", "http://127.0.0.1:1/"),
    "busy": ("busy", "7"),
    "no http": "garbage",
    "hanging": "hang",
    "dripping": "drip",
    "closed": lambda handler, body: None,
}


@pytest.mark.django_db
@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_slack_that_is_not_well_loses_nothing_and_keeps_the_order(stub, clock, monkeypatch, trouble):
    monkeypatch.setattr(slack, "SECONDS", 0.3)
    one, other = account(), account()
    write(note("a1", account_id=one.pk), note("a2", account_id=one.pk), note("b1", account_id=other.pk))
    stub.script.extend([trouble] * 3)
    send.drain(SLACK, clock=clock)
    assert stub.taken == []
    tried(clock)
    assert sorted(stub.subjects) == ["a1", "a2", "b1"]
    assert stub.subjects.index("a1") < stub.subjects.index("a2")
    assert Message.objects.sent().count() == 3
    # Each was heard with one reference however often it was tried, and nobody was led elsewhere.
    heard = {body["text"]: set() for body in stub.heard}
    for body in stub.heard:
        heard[body["text"]].add(body["blocks"][-1]["elements"][0]["text"])
    assert [len(references) for references in heard.values()] == [1, 1, 1]
    assert (gate().failures, gate().shut_at) == (0, None)


@pytest.mark.django_db
def test_a_slack_that_is_down_for_a_day_loses_nothing(stub, clock):
    write(*(note(f"m{number}", account_id=account().pk) for number in range(3)))
    stub.script.extend([500] * 10_000)
    until = NOW + timedelta(days=1)
    while clock.now < until:
        send.drain(SLACK, clock=clock)
        clock.sleep(600)
    assert (Message.objects.waiting().count(), Message.objects.failed().count()) == (3, 0)
    assert max(Message.objects.values_list("tries", flat=True)) > MOST_TRIES
    stub.script.clear()
    tried(clock)
    assert sorted(stub.subjects) == ["m0", "m1", "m2"]


@pytest.mark.django_db
def test_a_busy_slack_is_left_alone_as_long_as_it_asks(stub, clock):
    write(note("a"), note("b"))
    stub.script.append(("busy", "90"))
    assert send.drain(SLACK, clock=clock) == 1
    assert (gate().not_before, gate().failures) == (NOW + timedelta(seconds=90), 0)
    assert (
        list(Message.objects.waiting().values_list("tries", "failed_at").order_by("key")) == [(0, None)] * 2
    )
    clock.now = NOW + timedelta(seconds=87)
    assert (send.drain(SLACK, clock=clock), len(stub.heard)) == (0, 1)
    clock.now = NOW + timedelta(seconds=90)
    assert (send.drain(SLACK, clock=clock), stub.subjects) == (2, ["a", "b"])


@pytest.mark.django_db
@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_dead_channel_is_shut_its_messages_wait_and_a_lead_opens_it(stub, clock, status):
    write(note("a"), note("b"))
    stub.script.append(status)
    assert send.drain(SLACK, clock=clock) == 1
    assert (gate().shut_at, gate().by, f"answered {status}" in gate().because) == (NOW, None, True)
    assert [one.name for one in Gate.objects.dead()] == [SLACK]
    tried(clock)
    assert len(stub.heard) == 1
    assert list(Message.objects.values_list("tries", "sent_at", "failed_at")) == [(0, None, None)] * 2
    assert Gate.objects.turn(SLACK, shut=False, by=user("lead"), now=clock.now)
    assert (send.drain(SLACK, clock=clock), stub.subjects) == (2, ["a", "b"])


@pytest.mark.django_db
def test_a_message_that_slack_refuses_is_given_up_after_ten_tries_and_holds_up_no_other(stub, clock):
    one = account()
    write(note("bad", account_id=one.pk), note("good", account_id=account().pk))
    stub.script.append(400)
    send.drain(SLACK, clock=clock)
    assert stub.subjects == ["good"]
    waits = []
    while (bad := Message.objects.get(key="bad")).failed_at is None:
        waits.append((bad.due_at - clock.now).total_seconds() > 0)
        clock.now = bad.due_at
        stub.script.append(400)
        send.drain(SLACK, clock=clock)
    assert (bad.tries, len(waits), all(waits)) == (MOST_TRIES, MOST_TRIES - 1, True)
    assert bad.because.startswith("Slack answered 400")
    assert list(Message.objects.failed()) == [bad]
    assert bad.retry(now=clock.now)
    stub.script.clear()
    send.drain(SLACK, clock=clock)
    assert stub.subjects == ["good", "bad"]


@pytest.mark.django_db
def test_a_message_at_which_slack_stumbles_is_given_up_once_others_pass(stub, clock):
    def stumbles(handler, body):
        stub.script.append(stumbles)
        return 500 if body["text"] == "poison" else 200

    stub.script.append(stumbles)
    write(note("poison", account_id=account().pk))
    for number in range(40):
        write(note(f"m{number:02}", account_id=account().pk))
        send.drain(SLACK, clock=clock)
        clock.sleep(3600)
    assert Message.objects.get(key="poison").tries == MOST_TRIES
    assert list(Message.objects.failed().values_list("key", flat=True)) == ["poison"]
    assert (len(stub.taken), Message.objects.waiting().count()) == (40, 0)


@pytest.mark.django_db
def test_slack_gets_one_message_a_second_at_most(stub, clock, monkeypatch):
    left = []

    def noted(handler, body):
        stub.script.append(noted)
        left.append(clock.now)
        return 200

    stub.script.append(noted)
    write(*(note(f"m{number}") for number in range(5)))
    assert send.drain(SLACK, clock=clock) == 5
    assert [(after - before).total_seconds() for before, after in pairwise(left)] == [1.0] * 4


@pytest.mark.django_db
def test_five_senders_at_once_send_nothing_twice(transactional_db, stub, monkeypatch):
    monkeypatch.setitem(send.WAYS, SLACK, replace(send.WAYS[SLACK], pace=send.AT_ONCE))
    ours = [account().pk for _ in range(5)]
    write(*(note(f"m{number:02}", account_id=ours[number % 5], now=timezone.now()) for number in range(40)))
    start = Barrier(5)

    def sender(_):
        try:
            start.wait()
            return send.drain(SLACK, clock=timezone.now)
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(sender, range(5)))
    send.drain(SLACK, clock=timezone.now)
    assert Counter(stub.subjects) == {f"m{number:02}": 1 for number in range(40)}
    for mine in range(5):
        of_account = [subject for subject in stub.subjects if int(subject[1:]) % 5 == mine]
        assert of_account == sorted(of_account)


DRAIN = """
import sys
from config import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "drain", "--once"])
"""


@pytest.mark.django_db
def test_a_sender_killed_after_slacks_200_repeats_once_with_the_same_reference(transactional_db, stub, clock):
    [message] = write(note("a", account_id=account().pk, now=timezone.now()))
    started = []

    def taken_and_killed(handler, body):
        """Slack has it, and the sender is gone before it can say so."""
        os.kill(started[0].pid, signal.SIGSTOP)
        stub.answer(handler, body, 200)
        os.kill(started[0].pid, signal.SIGKILL)

    stub.script.append(taken_and_killed)
    environment = os.environ | {"SLACK_WEBHOOK_URL": stub.url, "DEBUG": "1", "EMAIL_URL": ""}
    name = connection.settings_dict["NAME"]
    root = Path(__file__).resolve().parent.parent
    process = subprocess.Popen([sys.executable, "-c", DRAIN, name], env=environment, cwd=root)
    started.append(process)
    assert process.wait(300) == -signal.SIGKILL
    message.refresh_from_db()
    assert (len(stub.taken), message.sent_at, message.tries) == (1, None, 1)
    clock.now = message.claimed_until - timedelta(seconds=1)
    assert (send.drain(SLACK, clock=clock), len(stub.taken)) == (0, 1)
    clock.now = message.claimed_until
    assert message.claimed_until - timezone.now() <= LEASE
    assert send.drain(SLACK, clock=clock) == 1
    assert send.drain(SLACK, clock=clock) == 0
    references = {body["blocks"][-1]["elements"][0]["text"] for body in stub.taken}
    assert (len(stub.taken), references) == (2, {f"Reference {message.reference}"})


@pytest.mark.django_db
def test_a_message_that_kills_its_sender_every_time_is_given_up(stub, clock):
    [message] = write(note("a"))
    Message.objects.update(tries=MOST_TRIES, claimed_until=NOW - HOUR, tried_from=NOW - HOUR)
    send.drain(SLACK, clock=clock)
    message.refresh_from_db()
    assert (message.failed_at, stub.heard) == (NOW, [])
    assert message.because == "Whoever sent it was gone 10 times."


@pytest.mark.django_db
def test_a_sender_that_comes_back_too_late_does_not_undo_what_another_did(stub, clock):
    [message] = write(note("a"))
    late, _ = send._claim(SLACK, now=NOW)
    clock.now = NOW + LEASE
    assert send.drain(SLACK, clock=clock) == 1
    send._keep(late, wire.NotSent("Too late.", wire.Blame.MESSAGE), now=clock.now)
    message.refresh_from_db()
    assert (message.sent_at, message.because, len(stub.taken)) == (clock.now, "", 1)


@pytest.mark.django_db
def test_the_bell_rings_after_the_commit_and_may_fail(transactional_db, monkeypatch):
    rung = []

    def ring(name, args, **options):
        rung.append((name, args))
        raise ConnectionError

    monkeypatch.setattr(app, "send_task", ring)
    with transaction.atomic():
        write(note("a"), note("b"))
        assert rung == []
    assert rung == [(jobs.send.name, (SLACK,))]
    assert Message.objects.count() == 2


@pytest.mark.django_db
def test_the_job_sends_alone_and_leaves_the_rest_to_the_next(stub):
    write(note("a", now=timezone.now()))
    jobs.send(SLACK)
    assert stub.subjects == ["a"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", [jobs.LOCK]
        )
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db
def test_the_command_applies_and_sends_what_is_due(stub, settings, capsys):
    now = timezone.now()
    Event.objects.create(
        provider="ingest", external_id="1", type="nonsense", body=b"{}", received_at=now, due_at=now
    )
    settings.EMAIL_URL = ""
    write(note("a", now=timezone.now()), letter("b", now=timezone.now()))
    call_command("drain", once=True)
    assert capsys.readouterr().out == "events: tried 1\nslack: tried 1\nmail: tried 1\n"
    assert Message.objects.sent().count() == 2
