"""A sender with its own clock, before a Slack and a mail server on loopback."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from apps.outbox import send
from apps.outbox.models import SLACK, Gate, Message
from tests.factories import NOW


class Clock:
    """The time as the sender is told it; sleeping moves it on."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(send, "time", SimpleNamespace(sleep=clock.sleep))
    return clock


def note(subject, **more):
    return Message.slack(subject, kind="test", subject=subject, **{"now": NOW} | more)


def letter(subject="Hello", to="ann@acme.example", **more):
    return Message.mail(subject, to=to, kind="test", subject=subject, text="Hi.", **{"now": NOW} | more)


def write(*messages):
    return Message.objects.write(messages)


def gate(name=SLACK):
    return Gate.objects.get(name=name)


def tried(clock, channel=SLACK):
    """Sweeps every quarter of an hour, for half a day."""
    for _ in range(48):
        send.drain(channel, clock=clock)
        clock.sleep(900)
