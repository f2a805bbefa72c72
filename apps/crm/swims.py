"""Swimlanes: what the board's rows can be, and which cards stand in each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from django.db.models import Case, Count, Exists, F, OuterRef, QuerySet, TextField, Value, When, Window
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, NullIf, RowNumber

from apps.crm.board import BY_RENEWAL, COLUMNS, Row, with_next_call
from apps.crm.models import Account, User
from apps.crm.models.account import PaymentRisk
from apps.crm.months import monday
from apps.crm.pipeline import OPEN, Stage
from apps.crm.policy import Numbers

CELL_SIZE = 8
NOBODY = "none"
_WEEKS = 5


def _named(key: Combinable) -> Combinable:
    return Coalesce(key, Value(NOBODY), output_field=TextField())


class Swims(NamedTuple):
    """A way to cut the board into rows: its name, a row's key for each account, and the rows in order by their key."""

    label: str
    key: Callable[[Numbers], Combinable]
    rows: Callable[[Numbers], dict[str, str]]


def _owners(numbers: Numbers) -> dict[str, str]:
    """Who owns any account, by name, and nobody."""
    owning = User.objects.filter(Exists(Account.objects.filter(owner=OuterRef("pk"))))
    return {str(pk): name for pk, name in owning.names().items()} | {NOBODY: "Nobody"}


def _week_starts(numbers: Numbers) -> list[date]:
    this_week = monday(numbers.today)
    return [this_week + timedelta(weeks=week) for week in range(_WEEKS + 1)]


def _week(numbers: Numbers) -> Case:
    _, *ends = _week_starts(numbers)
    return Case(
        When(renewal_on__isnull=True, then=Value(NOBODY)),
        When(renewal_on__lt=numbers.today, then=Value("overdue")),
        *(When(renewal_on__lt=end, then=Value(str(week))) for week, end in enumerate(ends)),
        default=Value("later"),
        output_field=TextField(),
    )


def _weeks(numbers: Numbers) -> dict[str, str]:
    starts = _week_starts(numbers)[2:_WEEKS]
    named = ["This week", "Next week", *(f"Week of {start.day} {start:%b}" for start in starts)]
    weeks = {str(week): title for week, title in enumerate(named)}
    return {"overdue": "Overdue", **weeks, "later": "Later", NOBODY: "No date"}


def _risks(numbers: Numbers) -> dict[str, str]:
    return {risk.value or NOBODY: str(risk.label) for risk in reversed(PaymentRisk)}


SWIMS: dict[str, Swims] = {
    "owner": Swims(
        "Owner",
        lambda numbers: Coalesce(Cast("owner_id", TextField()), Value(NOBODY), output_field=TextField()),
        _owners,
    ),
    "week": Swims("Renewal week", _week, _weeks),
    "risk": Swims("Payment risk", lambda numbers: _named(NullIf("payment_risk", Value(""))), _risks),
}


def in_rows(accounts: QuerySet[Any], swims: Swims, numbers: Numbers) -> QuerySet[Any]:
    """The accounts with ``swim``, the key of their row."""
    return accounts.annotate(swim=swims.key(numbers))


def held(accounts: QuerySet[Any], swims: Swims, numbers: Numbers) -> dict[str, int]:
    """How many accounts of open stages each row holds."""
    rows = in_rows(accounts.order_by(), swims, numbers).filter(stage__in=OPEN).values_list("swim")
    return dict(rows.annotate(count=Count("*")))


def first_cells(
    accounts: QuerySet[Any],
    swims: Swims,
    sizes: Mapping[Stage, Mapping[str, int]],
    rows: Collection[str],
    numbers: Numbers,
) -> dict[tuple[Stage, str], list[Row]]:
    """The first accounts of each stage and row by renewal, one more than ``sizes`` asks for. Two queries.

    A row that ``sizes`` does not name gives ``CELL_SIZE``.
    """
    wanted = {(stage, row): sizes[stage].get(row, CELL_SIZE) + 1 for stage in sizes for row in rows}
    place = Window(RowNumber(), partition_by=[F("stage"), F("swim")], order_by=BY_RENEWAL)
    placed = in_rows(accounts.order_by(), swims, numbers).filter(stage__in=[*sizes], swim__in=rows)
    placed = placed.annotate(place=place).filter(place__lte=max(wanted.values(), default=0))
    cells = {pk: (Stage(stage), row) for pk, stage, row in placed.values_list("pk", "stage", "swim")}
    found: dict[tuple[Stage, str], list[Row]] = {cell: [] for cell in wanted}
    cards = with_next_call(Account.objects.filter(pk__in=cells), numbers).order_by(*BY_RENEWAL)
    for values in cards.values_list(*COLUMNS):
        cell = cells[values[0]]
        if len(found[cell]) < wanted[cell]:
            found[cell].append(Row(*values))
    return found
