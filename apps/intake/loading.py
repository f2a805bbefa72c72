"""Takes the accounts of a file in: reads every line, and writes all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.crm.fields import Problem, Unreadable, shown
from apps.crm.models import User
from apps.crm.reporting import BadRows, Listing, Report, Reported
from apps.intake.columns import COLUMNS, Column, Context, mapping_refusal, read_cell
from apps.intake.files import Line, Table, Unusable

# Every bad line of the largest file can be named once; what is shown and kept is less.
MOST_PROBLEMS = 50_000
MOST_LISTED = 1_000
TELL_EVERY = 500
NOTHING = Listing([], 0)

Tell = Callable[[int], object]


@dataclass(frozen=True)
class Outcome:
    """What taking a file in did, or would do. With errors nothing was written, and the rest says what would be."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    errors: list[Problem] = field(default_factory=list)
    differing: Listing = NOTHING
    quarantined: Listing = NOTHING
    without_login: Listing = NOTHING
    # Of a folder: who wrote or has what, without a login here; and for each other file what became of its rows.
    others_without_login: Listing = NOTHING
    files: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ignored: Sequence[str] = ()


def preview(
    table: Table, mapping: Mapping[str, str], *, now: datetime, tell: Tell = lambda rows: None
) -> Outcome:
    """What taking the file in would do now; changes nothing. Raises ``Unusable`` as reading the file does."""
    with transaction.atomic():
        reading = Accounts(table, mapping, now, tell=tell)
        report = Report(reading.rows())
        reading.refuse(report.problems())
        return reading.outcome(report, report.preview(without=reading.rejected))


def take_in(
    table: Table,
    mapping: Mapping[str, str],
    *,
    now: datetime,
    by: User | None,
    held_by: str,
    tell: Tell = lambda rows: None,
) -> Outcome:
    """Write every account of the file, or none and name what is wrong. Raises ``Unusable`` as reading does.

    ``tell`` hears how many rows have been read; ``held_by`` keeps the playbooks from accounts the file creates.
    """
    with transaction.atomic():
        reading = Accounts(table, mapping, now, tell=tell)
        report = Report(reading.rows())
        reading.refuse(report.problems())
        if not reading.rejected:
            try:
                return reading.outcome(report, report.write(source="import", now=now, by=by, held_by=held_by))
            except BadRows as bad:
                reading.refuse(bad.problems)
        return reading.outcome(report, report.preview(without=reading.rejected))


class Lines:
    """One pass over the lines of a file: what could be read, and what is wrong with the rest.

    ``mapping`` gives for each header the name of one of ``columns``, or nothing.
    """

    def __init__(
        self,
        table: Table,
        mapping: Mapping[str, str],
        columns: Mapping[str, Column],
        context: Context,
        *,
        tell: Tell = lambda rows: None,
        file: str = "",
    ) -> None:
        named = [(place, name, mapping.get(name, "")) for place, name in enumerate(table.header)]
        self._columns = [(place, name, columns[column]) for place, name, column in named if column]
        self._headers = {column.name: name for _, name, column in self._columns}
        self.ignored = [name for name in table.header if not mapping.get(name)]
        self._table = table
        self._tell = tell
        self._context = context
        self._file = file
        self._errors: list[Problem] = []
        self.rejected: set[int] = set()

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line number and clean fields of each line that could be read; the others are kept as errors."""
        for count, line in enumerate(self._table.lines(), 1):
            row, problems = self._read(line)
            if problems:
                self.refuse(problems)
            else:
                yield line.number, row
            if count % TELL_EVERY == 0:
                self._tell(count)

    def refuse(self, problems: list[Problem]) -> None:
        self.rejected.update(problem.row for problem in problems)
        self._errors.extend(problems[: MOST_PROBLEMS - len(self._errors)])

    def errors(self) -> list[Problem]:
        """All that is wrong, by line, with the file's own names of its columns."""
        return [
            replace(problem, field=self._headers.get(problem.field, problem.field), file=self._file)
            for problem in sorted(self._errors, key=lambda problem: problem.row)
        ]

    def _read(self, line: Line) -> tuple[dict[str, Any], list[Problem]]:
        if line.wrong:
            return {}, [Problem(line.number, "", shown(",".join(line.cells[:3])), line.wrong)]
        row: dict[str, Any] = {}
        problems: list[Problem] = []
        for place, _, column in self._columns:
            cell = line.cells[place]
            if cell or column.needed:
                try:
                    read_cell(column, cell, self._context, row)
                except Unreadable as error:
                    problems.append(Problem(line.number, column.name, shown(cell), error.sentence))
        return row, problems


class Accounts(Lines):
    """One pass over a file of accounts. Raises ``Unusable`` for a mapping that cannot be used."""

    def __init__(
        self,
        table: Table,
        mapping: Mapping[str, str],
        now: datetime,
        *,
        tell: Tell = lambda rows: None,
        file: str = "",
    ) -> None:
        if sentence := mapping_refusal(mapping):
            raise Unusable(sentence)
        super().__init__(table, mapping, COLUMNS, Context.at(now), tell=tell, file=file)

    def outcome(self, report: Report, done: Reported) -> Outcome:
        return Outcome(
            done.created,
            done.updated,
            done.unchanged,
            len(self.rejected),
            self.errors(),
            report.differing(MOST_LISTED),
            report.quarantined(MOST_LISTED),
            report.without_login(MOST_LISTED),
        )
