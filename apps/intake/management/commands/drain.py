"""`manage.py drain`: what the worker does, by hand."""

from __future__ import annotations

import signal
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from apps.intake.drain import apply_due
from apps.outbox.send import WAYS, drain

SECONDS_BETWEEN = 2


class Command(BaseCommand):
    help = "Applies accepted events and sends due messages, as the worker does, until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="Stop when nothing is due any more.")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        stop = Event()
        # Whatever is at hand is finished first: an event or a message is done or was not begun.
        before = {
            number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            while not stop.is_set():
                if not self._pass(stop) and (once or stop.wait(SECONDS_BETWEEN)):
                    return
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass(self, stop: Event) -> int:
        """Go through both queues once; how many were tried. What one pass tells is the next one's to send."""
        tried = {"events": apply_due(now=timezone.now(), enough=stop.is_set)}
        for channel in WAYS:
            tried[channel] = drain(channel, clock=timezone.now, enough=stop.is_set)
        for queue, number in tried.items():
            if number:
                self.stdout.write(f"{queue}: tried {number}")
        # Whoever reads along through a pipe sees it now, not when it ends.
        self.stdout.flush()
        return sum(tried.values())
