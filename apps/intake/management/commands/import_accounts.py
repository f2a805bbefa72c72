"""`manage.py import_accounts FILE`: the CSV import without the page, asking nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from apps.intake.answers import ImportCommand, unusable
from apps.intake.columns import suggested
from apps.intake.files import Table, Unusable
from apps.intake.imports import Import
from apps.intake.loading import Outcome, preview, take_in


class Command(ImportCommand):
    help = "Imports a CSV file of accounts: all of it, or nothing and the reasons by line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        super().add_arguments(parser)

    def taken(
        self, options: Mapping[str, Any], *, dry_run: bool, held: bool, now: datetime
    ) -> tuple[Outcome, Mapping[str, str]]:
        file = options["file"]
        try:
            content = file.read_bytes()
            table = Table(content)
            mapping = suggested(table.header)
            if dry_run:
                return preview(table, mapping, now=now), mapping
            return _import(file.name, content, table, mapping, held=held, now=now), mapping
        except OSError as error:
            return unusable(f"{file} cannot be read: {error.strerror}."), {}
        except Unusable as error:
            return unusable(error.sentence, error.line), {}


def _import(
    name: str, content: bytes, table: Table, mapping: dict[str, str], *, held: bool, now: datetime
) -> Outcome:
    """Write the file's accounts and a record of the import, or neither."""
    with transaction.atomic():
        made = Import.begin(name, held=held, now=now, file=content, header=table.header, mapping=mapping)
        outcome = take_in(table, mapping, now=now, by=None, held_by=made.hold if held else "")
        made.finish(outcome, now=now)
        transaction.set_rollback(bool(outcome.errors))
    return outcome
