"""The board as it is drawn: lanes of cards by renewal, cut into rows where somebody asked for them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.http import QueryDict

from apps.crm import swims
from apps.crm.board import (
    COLUMNS,
    GUARDS,
    LANE_SIZE,
    LIMITS,
    Holding,
    Row,
    first_rows,
    holdings,
    standing,
    with_next_call,
)
from apps.crm.days import day
from apps.crm.filters import SORTS, AccountFilter
from apps.crm.keyset import Order, count_text, cursor_after, page
from apps.crm.models import Account, User
from apps.crm.pipeline import OPEN, STAGES, TOO_LONG_AFTER, Stage
from apps.crm.policy import Numbers, Policy
from apps.crm.swims import CELL_SIZE, SWIMS, first_cells
from apps.web.display import GROUPS, away_short, days_since, money, on_it
from apps.web.rights import SignedIn
from apps.web.tables import Word

BY_RENEWAL = Order("renewal", SORTS["renewal"])
SHOWN_BADGES = 3
# What the board reads of the query string besides the filters.
ALSO = ("after", "row", "by", "as_of", "since")
# How many cards to draw of each row of a lane, by the row's key; of one not named, as many as usual.
Sizes = Mapping[str, int]


class Card(NamedTuple):
    """A card of the board, ready to be shown."""

    pk: int
    version: int
    standing: str
    engaged_on: str
    name: str
    renews: str
    renewal: Word
    here: Word
    forecast: str
    owner: str
    badges: list[Word]
    further: list[Word]


@dataclass(frozen=True)
class Cell:
    """The cards of a lane, or of one row of it where the board has rows; ``more`` is the cursor of those below."""

    row: str
    title: str
    cards: list[Card]
    more: str


@dataclass(frozen=True)
class Lane:
    """A column of the board. ``cells`` is None where it is folded; ``rows`` marks the rows it was drawn with."""

    stage: Stage
    group: str
    count: str
    forecast: str
    limit: int | None
    full: bool
    cells: list[Cell] | None
    query: str
    drawn: int
    rows: str = ""


class Board:
    """The board one person asked for: its filter, its numbers, its rows, and its lanes drawn from the database."""

    # What it is looked at as; empty for as it is now.
    words = ""
    on: date | None = None

    def __init__(self, request: SignedIn, now: datetime) -> None:
        self.user = request.user
        self.numbers = Policy.at(now)
        self.filter = AccountFilter(request.GET, numbers=self.numbers, user=self.user, also=ALSO)
        self.by = request.GET.get("by", "") if request.GET.get("by") in SWIMS else ""
        query = request.GET.copy()
        query.pop("after", None)
        query.pop("row", None)
        self.query = query.urlencode()
        # Names this drawing, so that an answer meant for an older one finds no place any more.
        self.drawn = time.monotonic_ns()

    @cached_property
    def rows(self) -> dict[str, str]:
        """The rows in order, each by its key; one without a name where the board has none."""
        return SWIMS[self.by].rows(self.numbers) if self.by else {"": ""}

    @cached_property
    def rows_mark(self) -> str:
        """Names the rows: lanes drawn with other rows than the page's would not stand beside them."""
        return hashlib.sha256(json.dumps([*self.rows.items()]).encode()).hexdigest()[:12] if self.by else ""

    @property
    def titles(self) -> list[tuple[str, str]]:
        """The rows' names, each with how many of the accounts asked for it holds."""
        held = swims.held(self.filter.qs, SWIMS[self.by], self.numbers)
        return [(name, count_text(held.get(row, 0))) for row, name in self.rows.items()]

    @property
    def unfolded(self) -> dict[Stage, Sizes]:
        """Closed stages are folded until somebody asks for them."""
        asked = self.filter.form.cleaned_data.get("stage", ())
        return {stage: {} for stage in STAGES if stage in OPEN or stage in asked}

    @property
    def chips(self) -> list[tuple[str, str]]:
        """The filters that are on, in words, each with the query string without it."""
        return [(chosen.words, self.filter.without(chosen)) for chosen in self.filter.chosen]

    @property
    def ways(self) -> list[tuple[str, str, bool]]:
        """How the board can be cut into rows, in words, each with its query string and whether it is on."""
        named = {"": "No rows", **{key: swims.label for key, swims in SWIMS.items()}}
        return [(name, self.query_with(by=key), key == self.by) for key, name in named.items()]

    def query_with(self, **values: str) -> str:
        """The query string with these values instead; an empty one goes."""
        query = QueryDict(self.query, mutable=True)
        for name, value in values.items():
            query.setlist(name, [value] if value else [])
        return query.urlencode()

    def lanes(self, sizes: Mapping[Stage, Sizes], stages: Collection[Stage] = STAGES) -> list[Lane]:
        """These stages' lanes; those in ``sizes`` hold as many cards a row as it says, the others are folded."""
        every = holdings(Account.objects.all, stages, by="every")
        here = holdings(self._asked, stages, by=self.filter.same) if self.filter.chosen else every
        cells = self._cells(sizes)
        return [self._lane(stage, here[stage], every[stage], cells.get(stage)) for stage in stages]

    def _asked(self) -> QuerySet[Any]:
        accounts: QuerySet[Any] = self.filter.qs
        return accounts

    def _cells(self, sizes: Mapping[Stage, Sizes]) -> dict[Stage, list[Cell]]:
        if self.by:
            found = first_cells(self.filter.qs, SWIMS[self.by], sizes, self.rows, self.numbers)
        else:
            wanted = {stage: size.get("", LANE_SIZE) + 1 for stage, size in sizes.items()}
            rows = first_rows(self._asked, wanted, self.numbers, by=self.filter.same)
            found = {(stage, ""): rows[stage] for stage in sizes}
        return {
            stage: [
                self._cell(row, found[stage, row], size.get(row, CELL_SIZE if self.by else LANE_SIZE))
                for row in self.rows
            ]
            for stage, size in sizes.items()
        }

    def _cell(self, row: str, rows: list[Row], size: int) -> Cell:
        more = self._cursor(rows[size - 1]) if len(rows) > size else ""
        return Cell(row, self.rows.get(row, ""), self._cards(rows[:size]), more)

    def _lane(self, stage: Stage, here: Holding, every: Holding, cells: list[Cell] | None) -> Lane:
        limit = LIMITS.get(stage)
        count = count_text(here.count)
        return Lane(
            stage=stage,
            group=GROUPS[stage],
            count=f"{count} of {count_text(every.count)}" if self.filter.chosen else count,
            forecast=money(here.forecast) if here.forecast else "",
            limit=limit,
            full=limit is not None and every.count > limit,
            cells=cells,
            query=self.query,
            drawn=self.drawn,
            rows=self.rows_mark,
        )

    def after(self, stage: Stage, row: str, cursor: str) -> tuple[Lane, Cell]:
        """The next cards of one lane, or of one of its rows."""
        asked = self.filter.qs.filter(stage=stage)
        if self.by:
            asked = swims.in_rows(asked, SWIMS[self.by], self.numbers).filter(swim=row)
        found = page(
            with_next_call(asked, self.numbers).values(*COLUMNS), BY_RENEWAL, cursor=cursor, size=LANE_SIZE
        )
        rows = [Row(**{name: values[name] for name in COLUMNS}) for values in found.rows]
        cell = Cell(row, self.rows.get(row, ""), self._cards(rows), found.next)
        return self._lane(stage, Holding(), Holding(), [cell]), cell

    def _cards(self, rows: Iterable[Row]) -> list[Card]:
        return [_card(row, self.numbers, self.filter.people, self.user) for row in rows]

    @staticmethod
    def _cursor(row: Row) -> str:
        return cursor_after(BY_RENEWAL, row.renewal_on, row.pk)


def _card(row: Row, numbers: Numbers, people: Mapping[int, str], reader: User) -> Card:
    """A card as strings: nothing is left for the template to work out."""
    stage = Stage(row.stage)
    claim = on_it(people.get(row.claimed_by_id or 0, ""), row.claimed_at, numbers)
    badges = [*([Word(claim, "claim")] if claim else []), *_badges(row, numbers, reader)]
    return Card(
        pk=row.pk,
        version=row.version,
        standing=standing(row),
        engaged_on=row.engaged_at.date().isoformat() if row.engaged_at and GUARDS[stage] else "",
        name=row.name,
        renews=row.renewal_on.isoformat() if row.renewal_on else "",
        renewal=renewal_word(row.renewal_on, numbers.today),
        here=time_here(stage, days_since(row.stage_since, numbers.now)),
        forecast=money(row.forecast),
        owner=people.get(row.owner_id, "") if row.owner_id else "",
        badges=badges[:SHOWN_BADGES],
        further=badges[SHOWN_BADGES:],
    )


@lru_cache(maxsize=2048)
def renewal_word(on: date | None, today: date) -> Word:
    if on is None:
        return Word("No renewal")
    return Word(f"{day(on, today)} · {away_short(on, today)}", "bad" if on < today else "")


def time_here(stage: Stage, days: int) -> Word:
    """How long an account stands at its stage, and how bad that is: past its limit, or past twice that."""
    most = TOO_LONG_AFTER.get(stage)
    if most is None or days <= most:
        return Word(f"{days} d here")
    return Word(f"{days} d here, {days - most} over", "bad" if days > 2 * most else "wait")


def _badges(row: Row, numbers: Numbers, reader: User) -> Iterator[Word]:
    """The small words on a card, each with its meaning; what wants a person first."""
    today, looked_at = numbers.today, reader.looked_at
    if row.open_alerts:
        yield Word(f"{row.open_alerts} alerts" if row.open_alerts > 1 else "Alert", "bad")
    if row.next_task_on and row.next_task_on < reader.today(numbers.now):
        yield Word("Task overdue", "bad")
    if row.call_at:
        yield Word(f"Call {day(numbers.day_of(row.call_at), today)}", "info")
    if row.snoozed_until and row.snoozed_until > today:
        yield Word(f"Snoozed to {day(row.snoozed_until, today)}")
    if looked_at and row.entered_at and row.entered_at > looked_at:
        yield Word("New", "accent")
    if row.stage != Stage.PAID_CALL and (row.engaged_via == "purchase" or row.stage_before_paid_call):
        yield Word("Paid call", "accent")
    if row.sales_contact_kind:
        yield Word(row.sales_contact_kind)
