"""`manage.py import_accounts FILE`: the CSV import without the page, asking nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from apps.crm.fields import Problem, shown
from apps.crm.pipeline import Stage
from apps.intake.columns import suggested
from apps.intake.files import Table, Unusable
from apps.intake.imports import Import, error_as_json
from apps.intake.loading import Outcome, preview, take_in
from apps.playbooks.engine import run
from apps.playbooks.registry import PLAYBOOKS


class Command(BaseCommand):
    help = "Imports a CSV file of accounts: all of it, or nothing and the reasons by line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
        parser.add_argument(
            "--run-playbooks", action="store_true", help="let the playbooks act on the new accounts"
        )
        parser.add_argument("--json", action="store_true", help="answer with one JSON object")

    def handle(self, *args: Any, file: Path, dry_run: bool, run_playbooks: bool, **options: Any) -> None:
        try:
            content = file.read_bytes()
            table = Table(content)
            mapping = suggested(table.header)
            if dry_run:
                outcome = preview(table, mapping, now=timezone.now())
            else:
                outcome = _import(file.name, content, table, mapping, held=not run_playbooks)
            if run_playbooks and not dry_run and not outcome.errors:
                run([*PLAYBOOKS], now=timezone.now())
        except OSError as error:
            outcome, mapping = _unusable(f"{file} cannot be read: {error.strerror}."), {}
        except Unusable as error:
            outcome, mapping = _unusable(error.sentence, error.line), {}
        for line in _as_json(outcome) if options["json"] else _as_text(outcome, mapping):
            self.stdout.write(line)
        if outcome.errors:
            raise SystemExit(1)


def _import(name: str, content: bytes, table: Table, mapping: dict[str, str], *, held: bool) -> Outcome:
    """Write the file's accounts and a record of the import, or neither."""
    now = timezone.now()
    with transaction.atomic():
        made = Import.objects.create(
            file_name=shown(name),
            file=content,
            header=table.header,
            mapping=mapping,
            held=held,
            state=Import.State.RUNNING,
            created_at=now,
            confirmed_at=now,
        )
        outcome = take_in(table, mapping, now=now, by=None, held_by=made.hold if held else "")
        made.finish(outcome, now=now)
        transaction.set_rollback(bool(outcome.errors))
    return outcome


def _unusable(sentence: str, line: int = 0) -> Outcome:
    return Outcome(errors=[Problem(line, "", "", sentence)])


def _counts(outcome: Outcome) -> dict[str, int]:
    """How many rows met which end. Where a line is rejected, none was or would be written."""
    written = not outcome.errors
    return {
        "created": outcome.created * written,
        "updated": outcome.updated * written,
        "unchanged": outcome.unchanged * written,
        "rejected": outcome.rejected,
        "quarantined": outcome.quarantined.total * written,
    }


def _as_json(outcome: Outcome) -> Iterator[str]:
    yield json.dumps({**_counts(outcome), "errors": [error_as_json(problem) for problem in outcome.errors]})


def _as_text(outcome: Outcome, mapping: dict[str, str]) -> Iterator[str]:
    for header, column in mapping.items():
        yield _inert(f"column “{header}” → {column or 'not imported'}")
    for problem in outcome.errors:
        place = f"line {problem.row}: " if problem.row else ""
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
    for listing in (outcome.differing, outcome.quarantined, outcome.without_login):
        if listing.total > len(listing.rows):
            yield f"and {listing.total - len(listing.rows)} more like the last"
    yield ", ".join(f"{name} {number}" for name, number in _counts(outcome).items())


def _quoted(value: str) -> str:
    return f"“{value}” " if value else ""


def _inert(text: str) -> str:
    """Text that cannot steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
