"""`manage.py drain`: what the worker does, by hand."""

from __future__ import annotations

import time
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

    def handle(self, *args: Any, **options: Any) -> None:
        while True:
            applied = apply_due(now=timezone.now())
            if applied:
                self.stdout.write(f"events: tried {applied}")
            for channel in WAYS:
                tried = drain(channel, clock=timezone.now)
                if tried:
                    self.stdout.write(f"{channel}: tried {tried}")
            if options["once"]:
                return
            time.sleep(SECONDS_BETWEEN)
