"""What the import commands answer: lines of text, or one JSON object."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from apps.crm.fields import Problem
from apps.crm.pipeline import Stage
from apps.intake.imports import error_as_json
from apps.intake.loading import Outcome
from apps.playbooks.engine import run
from apps.playbooks.registry import PLAYBOOKS


class ImportCommand(BaseCommand):
    """A command that takes something in, asks nothing, and exits with 1 where it wrote nothing."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
        parser.add_argument(
            "--run-playbooks", action="store_true", help="let the playbooks act on the new accounts"
        )
        parser.add_argument("--json", action="store_true", help="answer with one JSON object")

    def handle(self, *args: Any, dry_run: bool, run_playbooks: bool, **options: Any) -> None:
        now = timezone.now()
        outcome, mapping = self.taken(options, dry_run=dry_run, held=not run_playbooks, now=now)
        if run_playbooks and not dry_run and not outcome.errors:
            run([*PLAYBOOKS], now=timezone.now())
        for line in as_json(outcome) if options["json"] else as_text(outcome, mapping):
            self.stdout.write(line)
        if outcome.errors:
            raise SystemExit(1)

    @abstractmethod
    def taken(
        self, options: Mapping[str, Any], *, dry_run: bool, held: bool, now: datetime
    ) -> tuple[Outcome, Mapping[str, str]]:
        """Take it in, or say what that would do; also what each column was imported as."""


def unusable(sentence: str, line: int = 0) -> Outcome:
    return Outcome(errors=[Problem(line, "", "", sentence)])


def counts(outcome: Outcome) -> dict[str, int]:
    """How many rows met which end. Where a line is rejected, none was or would be written."""
    written = not outcome.errors
    return {
        "created": outcome.created * written,
        "updated": outcome.updated * written,
        "unchanged": outcome.unchanged * written,
        "rejected": outcome.rejected,
        "quarantined": outcome.quarantined.total * written,
    }


def as_json(outcome: Outcome) -> Iterator[str]:
    answer: dict[str, Any] = {
        **counts(outcome),
        "errors": [error_as_json(problem) for problem in outcome.errors],
    }
    yield json.dumps(answer | ({"files": _files(outcome)} if outcome.files else {}))


def as_text(outcome: Outcome, mapping: Mapping[str, str]) -> Iterator[str]:
    for header, column in mapping.items():
        yield _inert(f"column “{header}” → {column or 'not imported'}")
    for header in outcome.ignored:
        yield _inert(f"column “{header}” → not imported")
    for problem in outcome.errors:
        where = " ".join(
            part for part in (problem.file, f"line {problem.row}" if problem.row else "") if part
        )
        place = f"{where}: " if where else ""
        yield _inert(
            f"{place}{problem.field} {_quoted(problem.value)}{problem.sentence}".replace(":  ", ": ")
        )
    for line, external_id, name, theirs, ours in outcome.differing.rows:
        yield _inert(
            f"line {line}: their stage differs: {external_id} “{name}”: “{theirs}”, here “{Stage(ours).label}”"
        )
    for line, external_id, name, theirs in outcome.quarantined.rows:
        yield _inert(
            f"line {line}: quarantined, to be placed by a person: {external_id} “{name}”: “{theirs}”"
        )
    for owner, accounts in outcome.without_login.rows:
        yield _inert(f"no login here, kept as text: owner “{owner}” of {accounts} accounts")
    for role, who, rows, things in outcome.others_without_login.rows:
        yield _inert(f"no login here, kept as text: {role} “{who}” of {rows} {things}")
    for listing in (
        outcome.differing,
        outcome.quarantined,
        outcome.without_login,
        outcome.others_without_login,
    ):
        if listing.total > len(listing.rows):
            yield f"and {listing.total - len(listing.rows)} more like the last"
    for name, of_file in _files(outcome).items():
        yield f"{name}: " + ", ".join(f"{end} {number}" for end, number in of_file.items())
    yield ", ".join(f"{name} {number}" for name, number in counts(outcome).items())


def _files(outcome: Outcome) -> dict[str, dict[str, int]]:
    written = not outcome.errors
    return {
        name: {end: number * written for end, number in of_file.items()}
        for name, of_file in outcome.files.items()
    }


def _quoted(value: str) -> str:
    return f"“{value}” " if value else ""


def _inert(text: str) -> str:
    """Text that cannot steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
