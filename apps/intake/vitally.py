"""Vitally's CSV exports, a folder of four files: read and checked together, taken in whole or not at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from apps.crm.fields import MUST, Field, Problem, day, day_or_moment, email, moment, shown, text, words
from apps.crm.models import Account, Contact, Note, Task, User
from apps.crm.reporting import BadRows, Listing, Report, Reported
from apps.intake.columns import Column, Context, colleague, one_field, suggested
from apps.intake.files import Table, Unusable
from apps.intake.loading import MOST_LISTED, Accounts, Lines, Outcome
from apps.intake.markdown import escaped, markdown

SOURCE = "vitally"
LONGEST_NOTE = 20_000
ABSENT = "is no account of accounts.csv, nor one that is here."

Row = dict[str, Any]


def _columns(**fields: Field) -> dict[str, Column]:
    return {
        name: Column(name, field.label, one_field(name, field), needed=field.cleared is MUST)
        for name, field in fields.items()
    }


_ID = Field("ID", text(200), MUST)
_ACCOUNT = Field("Account External ID", text(200), MUST)
USERS = _columns(
    email=Field("Email", email, MUST),
    name=Field("Name", text(200), ""),
    account=_ACCOUNT,
    role=Field("Role", text(100), ""),
    last_seen=Field("Last Seen", day_or_moment),
)
NOTES = {
    **_columns(
        id=_ID,
        account=_ACCOUNT,
        created_at=Field("Created At", moment, MUST),
        subject=Field("Subject", text(300), ""),
        note=Field("Note", markdown, ""),
    ),
    "author": Column("author", "Author", colleague("author")),
}
TASKS = {
    **_columns(
        id=_ID,
        account=_ACCOUNT,
        title=Field("Name", text(300), MUST),
        due_on=Field("Due Date", day, MUST),
        done_at=Field("Completed At", moment),
    ),
    "assignee": Column("assignee", "Assignee", colleague("assignee")),
}


def take_in(
    folder: Path, *, now: datetime, by: User | None = None, held_by: str = "", dry_run: bool = False
) -> Outcome:
    """Write all that the four files say, or nothing and name what is wrong; a dry run never writes.

    Notes and tasks are known by their id: those that are here stay as they are. ``held_by`` keeps the playbooks
    from accounts the folder creates.
    """
    with transaction.atomic():
        export = Export(folder, now)
        if export.accounts.lines is None:
            return export.refused()
        report = Report(export.reported())
        export.accounts.refuse(report.problems())
        if not dry_run and not export.errors():
            try:
                done = report.write(source=SOURCE, now=now, by=by, held_by=held_by)
            except BadRows as bad:
                export.accounts.refuse(bad.problems)
            else:
                export.write_notes_and_tasks(now=now)
                return export.outcome(report, done)
        return export.outcome(report, report.preview(without=export.accounts.rejected))


class Sheet:
    """One file of the folder: its rows that could be read, and what is wrong with the rest.

    ``lines`` is None for a file that cannot be read as a whole.
    """

    def __init__(self, path: Path, read: Callable[[Table], Lines], *, may_be_empty: bool = True) -> None:
        self.name = path.name
        self.rows: list[tuple[int, Row]] = []
        self.lines: Lines | None = None
        self._whole: list[Problem] = []
        try:
            self.table = Table(path.read_bytes(), may_be_empty=may_be_empty)
            lines = read(self.table)
            self.rows = list(lines.rows())
            self.lines = lines
        except OSError as error:
            self._whole = [Problem(0, "", "", f"The file cannot be read: {error.strerror}.")]
        except Unusable as error:
            self._whole = [Problem(error.line, "", "", error.sentence)]

    @property
    def rejected(self) -> set[int]:
        return self.lines.rejected if self.lines else set()

    def refuse(self, problems: list[Problem]) -> None:
        assert self.lines is not None
        self.lines.refuse(problems)

    def errors(self) -> Iterator[Problem]:
        for problem in [*self._whole, *(self.lines.errors() if self.lines else ())]:
            yield replace(problem, file=self.name)

    def refuse_twice(self) -> None:
        """Refuse each row whose id stands in a row above."""
        first: dict[str, int] = {}
        for number, row in self.rows:
            above = first.setdefault(row["id"], number)
            if above != number:
                self.refuse(
                    [Problem(number, "id", shown(row["id"]), f"stands here twice, first at {above}.")]
                )

    def refuse_strangers(self, known: set[str]) -> None:
        """Refuse each row of an account that nobody knows."""
        for number, row in self.rows:
            if row["account"] not in known:
                self.refuse([Problem(number, "account", shown(row["account"]), ABSENT)])

    def without_login(self, who: str) -> Counter[str]:
        """Colleagues without a login here, with the number of their rows."""
        return Counter(row[who] for _, row in self.rows if row.get(who))


class Export:
    """The four files, checked one by one and against each other."""

    def __init__(self, folder: Path, now: datetime) -> None:
        context = Context.at(now)
        self.accounts = Sheet(
            folder / "accounts.csv",
            lambda table: Accounts(table, suggested(table.header), now),
            may_be_empty=False,
        )
        self.users = Sheet(folder / "users.csv", lambda table: _lines(table, USERS, context))
        self.notes = Sheet(folder / "notes.csv", lambda table: _lines(table, NOTES, context))
        self.tasks = Sheet(folder / "tasks.csv", lambda table: _lines(table, TASKS, context))
        self._others = (self.users, self.notes, self.tasks)
        # Accounts that the other files speak of, and accounts.csv does not.
        self._only_here: set[str] = set()
        self._check_notes()
        for sheet in (self.notes, self.tasks):
            sheet.refuse_twice()
        if self.accounts.lines:
            self._check_accounts()
        self._new_people = self._unknown_people()
        self._new_notes = _unknown(self.notes, Note)
        self._new_tasks = _unknown(self.tasks, Task)

    def errors(self) -> list[Problem]:
        return [problem for sheet in (self.accounts, *self._others) for problem in sheet.errors()]

    def reported(self) -> Iterator[tuple[int, Row]]:
        """The accounts with their people, and those that only the other files speak of."""
        contacts: dict[str, dict[str, Row]] = defaultdict(dict)
        for _, user in self.users.rows:
            said = {part: user[part] for part in ("email", "name", "role") if user.get(part)}
            contacts[user["account"]].setdefault(user["email"], {}).update(said)
        bare = ((0, {"external_id": external_id}) for external_id in sorted(self._only_here))
        for number, row in (*self.accounts.rows, *bare):
            said = {person["email"]: person for person in row.get("contacts", ())}
            people = said | contacts.get(row["external_id"], {})
            yield number, {**row, "contacts": [*people.values()]} if people else row

    def write_notes_and_tasks(self, *, now: datetime) -> None:
        """Add those that are not here, and bring the counts of their accounts up to date."""
        named = {row["account"] for row in (*self._new_notes, *self._new_tasks)}
        ids = dict(Account.objects.filter(external_id__in=named).values_list("external_id", "pk"))
        # Another import may have brought one meanwhile.
        Note.objects.bulk_create(
            [
                Note(
                    account_id=ids[row["account"]],
                    external_id=row["id"],
                    text=row["text"],
                    author_id=row.get("author"),
                    author_reported=row.get("author_reported", ""),
                    created_at=row["created_at"],
                )
                for row in self._new_notes
            ],
            batch_size=1000,
            ignore_conflicts=True,
        )
        Task.objects.bulk_create(
            [
                Task(
                    account_id=ids[row["account"]],
                    external_id=row["id"],
                    title=row["title"],
                    due_on=row["due_on"],
                    assignee_id=row.get("assignee"),
                    assignee_reported=row.get("assignee_reported", ""),
                    created_at=min(now, row.get("done_at") or now),
                    done_at=row.get("done_at"),
                )
                for row in self._new_tasks
            ],
            batch_size=1000,
            ignore_conflicts=True,
        )
        Account.objects.filter(pk__in=ids.values()).recount()

    def outcome(self, report: Report, done: Reported) -> Outcome:
        assert isinstance(self.accounts.lines, Accounts)
        return replace(
            self.accounts.lines.outcome(report, done),
            rejected=self._rejected(),
            errors=self.errors(),
            others_without_login=self._without_login(),
            ignored=[
                f"{sheet.name}: {header}"
                for sheet in (self.accounts, *self._others)
                for header in (sheet.lines.ignored if sheet.lines else ())
            ],
            files={
                "users": _ends(self.users, self._new_people),
                "notes": _ends(self.notes, self._new_notes),
                "tasks": _ends(self.tasks, self._new_tasks),
            },
        )

    def refused(self) -> Outcome:
        """What came of a folder whose accounts cannot be read at all."""
        return Outcome(rejected=self._rejected(), errors=self.errors())

    def _rejected(self) -> int:
        return sum(len(sheet.rejected) for sheet in (self.accounts, *self._others))

    def _check_notes(self) -> None:
        for number, row in self.notes.rows:
            row["text"] = _text(row)
            if not row["text"]:
                self.notes.refuse([Problem(number, "note", "", "is missing, and there is no subject.")])
            elif len(row["text"]) > LONGEST_NOTE:
                says = f"is longer than {LONGEST_NOTE:,} characters."
                self.notes.refuse([Problem(number, "note", shown(row["text"]), says)])

    def _check_accounts(self) -> None:
        """Refuse the rows of accounts that nobody knows. One whose own line is bad is known, and named there."""
        place = next(
            place
            for place, name in enumerate(suggested(self.accounts.table.header).values())
            if name == "external_id"
        )
        lines = (line for line in self.accounts.table.lines() if not line.wrong)
        listed = {line.cells[place].strip() for line in lines}
        others = {row["account"] for sheet in self._others for _, row in sheet.rows} - listed
        here = Account.objects.filter(external_id__in=others).values_list("external_id", flat=True)
        self._only_here = set(here)
        for sheet in self._others:
            sheet.refuse_strangers(listed | self._only_here)

    def _unknown_people(self) -> set[tuple[str, str]]:
        """Account and address of each user who is no contact yet."""
        said = {(row["account"], row["email"]) for _, row in self.users.rows}
        known = Contact.objects.filter(email__in={address for _, address in said})
        return said - set(known.values_list("account__external_id", "email"))

    def _without_login(self) -> Listing:
        """Authors and assignees who have no login here: (as what, who, how many, of what)."""
        rows = [
            (role, who, count, things)
            for role, things, sheet in (("author", "notes", self.notes), ("assignee", "tasks", self.tasks))
            for who, count in sorted(sheet.without_login(f"{role}_reported").items())
        ]
        return Listing(rows[:MOST_LISTED], len(rows))


def _lines(table: Table, columns: Mapping[str, Column], context: Context) -> Lines:
    """A reader of a table by the names of its columns. Raises ``Unusable`` where a needed one is missing."""
    known = {words(column.label): name for name, column in columns.items()}
    mapping = {header: known.get(words(header), "") for header in table.header}
    for name, column in columns.items():
        if column.needed and name not in mapping.values():
            raise Unusable(f"The file has no column “{column.label}”.", 1)
    return Lines(table, mapping, columns, context)


def _unknown(sheet: Sheet, model: type[Note | Task]) -> list[Row]:
    """The rows of a sheet whose id is not here yet."""
    ids = {row["id"] for _, row in sheet.rows}
    known = set(model.objects.filter(external_id__in=ids).values_list("external_id", flat=True))
    return [row for _, row in sheet.rows if row["id"] not in known]


def _ends(sheet: Sheet, new: Collection[Any]) -> dict[str, int]:
    return {"created": len(new), "unchanged": len(sheet.rows) - len(new)}


def _text(row: Row) -> str:
    """A note with its subject as a first bold line."""
    subject = escaped(row.get("subject", ""))
    return "\n\n".join(part for part in (f"**{subject}**" if subject else "", row.get("note", "")) if part)
