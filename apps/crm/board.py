"""The board's questions: the first cards of each stage, what each stage holds, and where a card may be dropped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import product
from types import SimpleNamespace
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Count, F, Min, OuterRef, QuerySet, Subquery, Sum, TextField
from django.db.models.expressions import RawSQL

from apps.crm.kept import Given, Kept, Text, as_it_is, fixed
from apps.crm.keyset import counting
from apps.crm.models import Call
from apps.crm.options import likeliest_first
from apps.crm.pipeline import MOVES, OPEN, OUTSIDE, STAGES, Facts, Guard, Stage
from apps.crm.policy import Numbers

LANE_SIZE = 25
BY_RENEWAL = (F("renewal_on").asc(nulls_last=True), "pk")

# Cards a stage can hold before the team should ask why they pile up: a signal on the board, never a block.
LIMITS: dict[Stage, int] = {
    Stage.NEW: 30,
    Stage.INITIATED: 120,
    Stage.ENGAGED_EMAIL: 60,
    Stage.CALL_BOOKED: 30,
    Stage.INTRO_CALL_COMPLETED: 40,
    Stage.SECOND_CALL_COMPLETED: 40,
    Stage.HOMEWORK_OFFERED: 40,
    Stage.AWAITING_FINAL_OUTREACH: 40,
    Stage.PAID_CALL: 20,
}


@dataclass(slots=True)
class Row:
    """What a card needs of an account, and of it alone: the fields are columns of the query."""

    pk: int
    stage: str
    version: int
    name: str
    renewal_on: date | None
    stage_since: datetime
    forecast: Decimal | None
    owner_id: int | None
    open_alerts: int
    next_task_on: date | None
    sales_contact_kind: str
    entered_at: datetime | None
    engaged_at: datetime | None
    engaged_via: str
    intro_call_completed_at: datetime | None
    stage_before_paid_call: str
    claimed_by_id: int | None
    claimed_at: datetime | None
    snoozed_until: date | None
    call_at: datetime | None


COLUMNS = [field.name for field in fields(Row)]


@dataclass(frozen=True)
class Holding:
    """How many accounts stand at a stage and what they are forecast to pay; no sum where it is not counted out."""

    count: int = 0
    forecast: Decimal | None = None


def with_next_call(accounts: QuerySet[Any], numbers: Numbers) -> QuerySet[Any]:
    """The accounts with ``call_at``, the next call booked for the team's today or later."""
    booked = Call.objects.filter(
        account=OuterRef("pk"),
        status=Call.Status.BOOKED,
        starts_at__gte=numbers.start_of(numbers.today),
    )
    first = booked.order_by().values("account").annotate(first=Min("starts_at")).values("first")
    return accounts.annotate(call_at=Subquery(first))


# Accounts to be asked about, or what gives them once they are needed.
Accounts = QuerySet[Any] | Callable[[], QuerySet[Any]]


def _these(accounts: Accounts) -> QuerySet[Any]:
    return accounts() if callable(accounts) else accounts


def _first(accounts: Accounts, numbers: Numbers) -> Text:
    here = with_next_call(_these(accounts), numbers).filter(stage=RawSQL("lane.stage", ()))
    card, values = here.order_by(*BY_RENEWAL).values_list(*COLUMNS).query.sql_with_params()
    of_many = ArrayField(TextField())
    return fixed(
        "SELECT card.* FROM unnest(%s::text[], %s::int[]) WITH ORDINALITY AS lane (stage, size, place)"
        f" CROSS JOIN LATERAL ({card} LIMIT lane.size) card",
        [Given("stages", of_many), Given("sizes", of_many), *values],
    )


def _held(accounts: Accounts, stages: Collection[Stage]) -> QuerySet[Any]:
    grouped = _these(accounts).order_by().filter(stage__in=stages).values_list("stage")
    return grouped.annotate(count=Count("*"), forecasts=Sum("forecast"))


def _closed(accounts: Accounts, stages: Collection[Stage]) -> Text:
    return counting({stage.value: _these(accounts).filter(stage=stage) for stage in stages})


_FIRST, _HELD, _CLOSED = Kept(_first, into=as_it_is), Kept(_held), Kept(_closed, into=as_it_is)


def first_rows(
    accounts: Accounts, sizes: Mapping[Stage, int], numbers: Numbers, *, by: Hashable = None
) -> dict[Stage, list[Row]]:
    """The first accounts of each stage by renewal, as many as ``sizes`` asks for. One query for all stages.

    ``by`` stands for the accounts and the numbers: where it is the same, so are they.
    """
    rows: dict[Stage, list[Row]] = {stage: [] for stage in sizes}
    for values in _FIRST.rows(
        accounts, numbers, by=by, stages=[str(stage) for stage in sizes], sizes=[*sizes.values()]
    ):
        row = Row(*values)
        rows[Stage(row.stage)].append(row)
    return rows


def holdings(
    accounts: Accounts, stages: Collection[Stage] = STAGES, *, by: Hashable = None
) -> dict[Stage, Holding]:
    """What each stage holds of these accounts. Closed ones are counted to 10,001 only, and not summed up.

    ``by`` stands for the accounts, as above.
    """
    found = dict.fromkeys(stages, Holding())
    still_open = tuple(stage for stage in stages if stage in OPEN)
    closed = tuple(stage for stage in stages if stage not in OPEN)
    if still_open:
        for stage, count, forecast in _HELD.rows(accounts, still_open, by=by and (by, still_open)):
            found[Stage(stage)] = Holding(count, forecast)
    if closed:
        [counted] = _CLOSED.rows(accounts, closed, by=by and (by, closed))
        found |= {stage: Holding(count) for stage, count in zip(closed, counted, strict=True)}
    return found


# Where a card may be dropped hangs on its stage and on what the guards of the moves from there say of it.
GUARDS: dict[Stage, tuple[Guard, ...]] = {
    stage: tuple(
        dict.fromkeys(
            guard for (source, _), move in MOVES.items() if source == stage for guard in move.guards
        )
    )
    for stage in STAGES
}


def standing(account: Facts) -> str:
    """The name of everything that decides where an account may move: two of one standing may move alike."""
    stage = Stage(account.stage)
    return ".".join([stage.number, *("1" if guard(account) else "0" for guard in GUARDS[stage])])


class _TheDay:
    """Stands for the moment of engagement, and leaves a place for its day in a sentence."""

    def date(self) -> _TheDay:
        return self

    def isoformat(self) -> str:
        return "{engaged_on}"


@cache
def rules() -> dict[str, dict[str, dict[str, str]]]:
    """For each standing what every other stage answers: the move's words and needs, or the refusal.

    The likeliest move comes first. A refusal may hold ``{engaged_on}``, the day the customer engaged.
    """
    moment: Any = _TheDay()
    table: dict[str, dict[str, dict[str, str]]] = {}
    for stage, engaged_at, intro_call, before in product(
        STAGES, (None, moment), (None, moment), (OUTSIDE, Stage.NEW)
    ):
        facts: Any = SimpleNamespace(
            stage=stage,
            engaged_at=engaged_at,
            intro_call_completed_at=intro_call,
            stage_before_paid_call=before,
        )
        table[standing(facts)] = {
            str(option.to): {"refusal": option.refusal}
            if option.refusal
            else {"label": option.label, "needs": option.needs}
            for option in likeliest_first(facts)
        }
    return table
