"""What a column of a file can be imported as, how its cells are read, and which headers suggest it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.functions import Lower

from apps.crm.fields import (
    FIELDS,
    IMPORTED,
    SALES_CONTACT_KINDS,
    Field,
    Unreadable,
    contacts,
    day_or_moment,
    labels,
    read_value,
    sales_contact,
    text,
    words,
)
from apps.crm.models import Policy, User
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers
from apps.crm.spelling import is_quarantined, stage_from_text

# Segments are shown from the stage and the facts (the handbook's names); any other comes in as a label.
DERIVED_SEGMENTS = frozenset(
    {"onboarding lead", "onboarding lead 100-500mrr", "create ae lead", "onboarding completed"}
)
LEGACY = "legacy: "

_PERSON = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]+)>")


@dataclass(frozen=True)
class Context:
    """What reading a cell may depend on: the team's day, and who has a login here, by e-mail."""

    numbers: Numbers
    users: Mapping[str, int]

    @classmethod
    def at(cls, now: datetime) -> Context:
        """Now, with each active colleague."""
        people = User.objects.filter(is_active=True).exclude(email="")
        return cls(Policy.at(now), dict(people.values_list(Lower("email"), "pk")))


Read = Callable[[str, Context], dict[str, Any]]


@dataclass(frozen=True)
class Column:
    """Something a column can be imported as; ``read`` turns a cell into fields of a row.

    An empty cell says nothing and is passed over, but where one is ``needed``.
    """

    name: str
    label: str
    read: Read
    headers: tuple[str, ...] = ()
    needed: bool = False


def _parts(cell: str) -> list[str]:
    return [part for part in (part.strip() for part in re.split(r"[;,]", cell)) if part]


def _listed(cell: str) -> Any:
    """What a cell says as JSON, as our own export writes what commas would tear apart; None where it is no JSON."""
    try:
        return json.loads(cell) if cell[:1] in ("[", "{") else None
    except (ValueError, RecursionError):
        return None


def _person(written: str) -> dict[str, str]:
    """“Ann <ann@x.example>”, an address alone, or a name alone."""
    if found := _PERSON.fullmatch(written):
        return {"name": found["name"].strip(), "email": found["email"].strip()}
    return {"email": written} if "@" in written else {"name": written}


def one_field(name: str, field: Field) -> Read:
    """A reader of a cell that is one field."""
    return lambda cell, context: {name: read_value(field, cell)}


def _contacts(cell: str, context: Context) -> dict[str, Any]:
    return {"contacts": contacts([_person(part) for part in _parts(cell)])}


def _labels(cell: str, context: Context) -> dict[str, Any]:
    return {"labels": labels(_listed(cell) or _parts(cell))}


def _sales_contact(cell: str, context: Context) -> dict[str, Any]:
    """“AE”, “AE: Ann” or “AE: Ann <ann@x.example>”."""
    if said := _listed(cell):
        return {"sales_contact": sales_contact(said)}
    kind, _, person = cell.partition(":")
    return {
        "sales_contact": sales_contact({"kind": kind, **(_person(person.strip()) if person.strip() else {})})
    }


def _sales_person(kind: str) -> Read:
    return lambda cell, context: {"sales_contact": sales_contact({"kind": kind, **_person(cell)})}


def colleague(name: str) -> Read:
    """A reader of a colleague, by the e-mail of their login.

    Anybody else is kept as text, and nobody is made a user.
    """

    def read(cell: str, context: Context) -> dict[str, Any]:
        written = text(200)(cell)
        address = _person(written).get("email", "").lower()
        if address in context.users:
            return {name: context.users[address], f"{name}_reported": ""}
        return {f"{name}_reported": written}

    return read


def _segments(cell: str, context: Context) -> dict[str, Any]:
    """Segments we do not derive ourselves, as “Onboarding - engaged”, become the label “legacy: SEGMENT”."""
    old = [segment for segment in _parts(cell) if segment.casefold() not in DERIVED_SEGMENTS]
    return {"more_labels": labels([LEGACY + segment for segment in old])}


def _stage(cell: str, context: Context) -> dict[str, Any]:
    """A stage, or a retired value that a person must place; the file's words are kept for the lists."""
    written = text(200)(cell)
    if stage := stage_from_text(written):
        return {"stage": stage, "stage_written": written}
    if is_quarantined(written):
        return {"quarantine": written, "stage_written": written, "more_labels": [LEGACY + written]}
    raise Unreadable(f"is no stage: there are {', '.join(one.label for one in Stage if one)}.")


def _stage_since(cell: str, context: Context) -> dict[str, Any]:
    """A day, which begins at the team's midnight, or a moment."""
    since = day_or_moment(cell)
    return {"stage_since": since if isinstance(since, datetime) else context.numbers.start_of(since)}


_EXPORTED_AS = {
    "external_id": ("Account ID", "Organization ID"),
    "name": ("Account Name", "Account", "Company"),
    "domain": ("Website",),
    "forecast": ("Forecasted MRR", "Forecast MRR"),
    "bills_paid": ("Paid Invoices", "Invoices Paid"),
    "next_renewal_on": ("Next Renewal Date", "Renewal Date"),
    "contract_renewal_on": ("Contract Renewal Date",),
    "plan_ends_on": ("Plan End Date", "Rolls off"),
    "users_count": ("Users Count", "Number of Users"),
    "stripe_customer_id": ("Stripe Customer ID", "Stripe ID"),
    "payment_risk": ("Payment Risk Assessment",),
}
_READ_OTHERWISE: dict[str, Read] = {"contacts": _contacts, "labels": _labels, "sales_contact": _sales_contact}
_ROLES = {"AE": "Account Executive", "CSM": "Customer Success Manager", "AM": "Account Manager"}

COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        *(
            Column(
                name,
                field.label,
                _READ_OTHERWISE.get(name) or one_field(name, field),
                _EXPORTED_AS.get(name, ()),
                needed=name == "external_id",
            )
            for name, field in (FIELDS | IMPORTED).items()
        ),
        Column("stage", "Stage", _stage, ("Onboarding Pipeline", "Pipeline stage")),
        Column("stage_since", "At this stage since", _stage_since, ("Onboarding Pipeline: updated",)),
        Column("owner", "Owner", colleague("owner"), ("Onboarding Specialist", "Specialist")),
        Column("segments", "Segments (of old, as labels)", _segments),
        *(Column(kind.lower(), f"{kind} (name or e-mail)", _sales_person(kind), (kind, _ROLES[kind]))
          for kind in SALES_CONTACT_KINDS),
    )
}  # fmt: skip

_BY_HEADER = {
    words(header): column.name
    for column in COLUMNS.values()
    for header in (column.name, column.label, *column.headers)
}


def suggested(header: Iterable[str]) -> dict[str, str]:
    """For each header the name of the column it most likely is, or nothing; none is suggested twice."""
    mapping: dict[str, str] = {}
    for name in header:
        column = _BY_HEADER.get(words(name), "")
        mapping[name] = "" if column in mapping.values() else column
    return mapping


def mapping_refusal(mapping: Mapping[str, str]) -> str:
    """What keeps a mapping from being used, in a sentence; empty when nothing does."""
    used = [column for column in mapping.values() if column]
    for column in used:
        if column not in COLUMNS:
            return "A column is imported as something nobody knows."
        if used.count(column) > 1:
            return f"Two columns are imported as “{COLUMNS[column].label}”: choose one."
    if "external_id" not in used:
        return "No column is imported as “External id”, by which accounts are told apart."
    return ""


def read_cell(column: Column, cell: str, context: Context, row: dict[str, Any]) -> None:
    """Read one cell into its row; labels of several columns come together. Raises ``Unreadable``."""
    for name, value in column.read(cell, context).items():
        if name == "more_labels":
            value = [*row.get("more_labels", []), *value]
        # Of several contacts at Sales the first column with one counts.
        if name != "sales_contact" or name not in row:
            row[name] = value
