"""`manage.py import_vitally --folder DIR`: Vitally's exports of accounts, users, notes and tasks, asking nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from apps.intake.answers import ImportCommand
from apps.intake.imports import Import
from apps.intake.loading import Outcome
from apps.intake.vitally import take_in


class Command(ImportCommand):
    help = "Imports a folder of Vitally's CSV exports: all four files, or nothing and the reasons by file and line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--folder",
            type=Path,
            required=True,
            help="where accounts.csv, users.csv, notes.csv and tasks.csv are",
        )
        super().add_arguments(parser)

    def taken(
        self, options: Mapping[str, Any], *, dry_run: bool, held: bool, now: datetime
    ) -> tuple[Outcome, Mapping[str, str]]:
        folder = options["folder"]
        if dry_run:
            return take_in(folder, now=now, dry_run=True), {}
        with transaction.atomic():
            made = Import.begin(folder.resolve().name, held=held, now=now, file=b"")
            outcome = take_in(folder, now=now, held_by=made.hold if held else "")
            made.finish(outcome, now=now)
            transaction.set_rollback(bool(outcome.errors))
        return outcome, {}
