"""Other systems as they send webhooks: at a pace, some of it twice, each again until it is answered by 200."""

import os
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from itertools import count
from queue import PriorityQueue
from threading import Event, Lock, Thread
from time import monotonic, sleep

from django.utils import timezone

from apps.intake.doors import DOORS
from apps.intake.samples import About, Signed, sample

THREADS, ATTEMPT_SECONDS, RETRY_SECONDS = 32, 5, 1
# What is told about one account lies two seconds apart in what it says, however fast it is sent.
APART, BEFORE = timedelta(seconds=2), timedelta(seconds=100)


@dataclass
class Told:
    """One event of a door about an account; it is the same, however often it is sent."""

    door: str
    type: str
    about: About
    number: int
    signed: Signed | None = None
    lock: Lock = field(default_factory=Lock)

    def sign(self):
        with self.lock:
            if self.signed is None:
                now = timezone.now() - BEFORE + self.number * APART
                secret = os.environ[DOORS[self.door].setting]
                self.signed = sample(self.door, self.type, replace(self.about, now=now), secret)
            return self.signed

    def name(self):
        """What the event is known by: door and id."""
        door, signed = DOORS[self.door], self.sign()
        return self.door, door.identify(signed.headers, door.parse(signed.body))[0]


class Sender:
    """Sends from the moment it is made; ``answers`` counts statuses, 0 where there was no answer."""

    def __init__(self, port, told, *, rate, twice, seed):
        chance = random.Random(seed)
        self.port, self.told = port, told
        self.answers, self.seconds, self.counting = Counter(), [], Lock()
        self.began, self.ended, self.over = monotonic(), None, Event()
        self.again = {number for number in range(len(told)) if chance.random() < twice}
        self.wanted = len(told) + len(self.again)
        self.planned = len(told) / rate
        self.queue, self.order = PriorityQueue(), count()
        for number, event in enumerate(told):
            due = self.began + number / rate
            self._plan(due, event)
            if number in self.again:
                self._plan(due + chance.uniform(0.1, 5), event)
        for _ in range(THREADS):
            Thread(target=self._send, daemon=True).start()

    def _plan(self, due, event):
        self.queue.put((due, next(self.order), event))

    @property
    def kept(self):
        """How many were answered by 200, those sent twice counted twice."""
        return self.answers[200]

    def is_done(self):
        return self.kept >= self.wanted

    def _send(self):
        while not self.over.is_set():
            due, _, event = self.queue.get()
            sleep(max(due - monotonic(), 0))
            began = monotonic()
            status = self._attempt(event)
            with self.counting:
                self.answers[status] += 1
            if status == 200:
                self.seconds.append(monotonic() - began)
                self.ended = monotonic()
            else:
                self._plan(monotonic() + RETRY_SECONDS, event)

    def _attempt(self, event):
        signed = event.sign()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ATTEMPT_SECONDS)
        try:
            connection.request("POST", f"/hooks/{event.door}/", signed.body, signed.headers)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return 0
        finally:
            connection.close()

    def stop(self):
        self.over.set()

    def within(self, share):
        """The seconds in which this share of those that were kept was answered."""
        return sorted(self.seconds)[int((len(self.seconds) - 1) * share)]
