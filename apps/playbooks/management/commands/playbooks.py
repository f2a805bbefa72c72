from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.playbooks.engine import Line, NotRun, run
from apps.playbooks.models import Switch
from apps.playbooks.registry import PLAYBOOKS

Write = Callable[[dict[str, str]], None]


class Command(BaseCommand):
    help = (
        "What beat runs, by hand, for any day. `list` names the playbooks; `due NAME` shows whom one would act on;"
        " `run` acts, on accounts that an import holds too, and prints a line for each: playbook, external id,"
        " name, because. With --json it prints one array."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", nargs="?", default="list", help="list, due or run")
        parser.add_argument("names", nargs="*", metavar="NAME")
        parser.add_argument("--on", metavar="DATE", help="take this day (YYYY-MM-DD) for the team's today")
        parser.add_argument("--dry-run", action="store_true", help="write nothing")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        action, names = options["action"], options["names"]
        if action not in ("list", "due", "run"):
            raise CommandError(f"“{action}” is none of list, due and run.")
        if action == "due" and len(names) != 1:
            raise CommandError("`due` takes the name of one playbook.")
        on = _day(options["on"])
        with self._written(as_json=options["json"]) as write:
            if action == "list":
                self._list(write)
            else:
                self._run(names or [*PLAYBOOKS], write, on=on, dry_run=action == "due" or options["dry_run"])

    def _list(self, write: Write) -> None:
        switches = {switch.playbook: switch for switch in Switch.objects.all()}
        for playbook in PLAYBOOKS.values():
            switch = switches.get(playbook.name) or Switch(playbook=playbook.name)
            last = switch.last_run_at
            write(
                {
                    "playbook": playbook.name,
                    "state": "paused" if switch.paused else "on",
                    "last_run_at": f"{last:%Y-%m-%d %H:%M:%S} UTC" if last else "not run yet",
                    "says": playbook.says,
                }
            )

    def _run(self, names: list[str], write: Write, *, on: date | None, dry_run: bool) -> None:
        def tell(line: Line) -> None:
            write({name: getattr(line, name) for name in ("playbook", "external_id", "name", "because")})

        try:
            results = run(names, now=timezone.now(), on=on, held=True, dry_run=dry_run, tell=tell)
        except NotRun as refused:
            raise CommandError(refused.sentence) from None
        for result in results:
            if result.paused:
                self.stderr.write(f"{result.playbook} is paused and was passed over.")
            for failure in result.errors:
                self.stderr.write(
                    f"{result.playbook} failed on account {failure['account']}: {failure['error']}"
                )
        if failed := sum(result.failed for result in results):
            raise CommandError(
                f"Accounts it failed on: {failed}. The others are done; these are tried again next time."
            )

    @contextmanager
    def _written(self, *, as_json: bool) -> Iterator[Write]:
        """A way to write rows as they come: a line of tab-separated columns each, or one JSON array."""
        rows = count()

        def line(row: dict[str, str]) -> None:
            self.stdout.write("\t".join(" ".join(value.split()) for value in row.values()))

        def item(row: dict[str, str]) -> None:
            self.stdout.write(
                f"{',' if next(rows) else '['}\n{json.dumps(row, ensure_ascii=False)}", ending=""
            )

        yield item if as_json else line
        if as_json:
            self.stdout.write("\n]" if next(rows) else "[]")


def _day(text: str | None) -> date | None:
    """Read a day; a sentence instead of a traceback for what is none."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise CommandError(f"“{text}” is not a day, such as 2026-12-01.") from None
