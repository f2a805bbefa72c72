"""The board of another day, and who moved since one: read back from the ledger, and nothing on it can be moved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from functools import cached_property

from apps.crm.board import LANE_SIZE, Holding
from apps.crm.days import day
from apps.crm.filters import AccountFilter
from apps.crm.keyset import count_text
from apps.crm.months import monday
from apps.crm.past import Look, Stood
from apps.crm.pipeline import STAGES, Stage
from apps.crm.policy import Numbers
from apps.web.display import GROUPS, days_since, money
from apps.web.lanes import ALSO, Board, Card, Cell, Lane, Sizes, renewal_word, time_here
from apps.web.rights import SignedIn
from apps.web.tables import Word

_BROKEN = "“{}” is no day that has been, so this is the board as it is now."


def board_of(request: SignedIn, now: datetime) -> Board:
    """The board as it is now, or as ``as_of`` or ``since`` of the query string ask for it."""
    board = Board(request, now)
    for name, kind in LOOKS.items():
        if given := request.GET.get(name, ""):
            if on := _day(given, board.numbers):
                return kind(request, now, on)
            board.filter.notices.append(_BROKEN.format(given[:40]))
    return board


def _day(text: str, numbers: Numbers) -> date | None:
    try:
        on = monday(numbers.today) if text == "monday" else date.fromisoformat(text)
    except ValueError:
        return None
    return on if date(2000, 1, 1) <= on <= numbers.today else None


class _Past(Board):
    """A board of the ledger. Stages are of then; renewals, forecasts and owners are as they are now."""

    look: Look

    def __init__(self, request: SignedIn, now: datetime, on: date) -> None:
        super().__init__(request, now)
        self.by, self.on = "", on
        # A stage that is chosen says which lanes are open, for it means the stage of then.
        data = request.GET.copy()
        data["stage"] = ""
        self.past = AccountFilter(data, numbers=self.numbers, user=self.user, also=ALSO)

    def lanes(self, sizes: Mapping[Stage, Sizes], stages: Collection[Stage] = STAGES) -> list[Lane]:
        asked = self.past.qs
        held = self.look.holdings(asked)
        found = self.look.rows(asked, sizes)
        return [
            self._past_lane(stage, held.get(stage, Holding()), self._past_cell(found[stage], 0))
            if stage in sizes
            else self._past_lane(stage, held.get(stage, Holding()), None)
            for stage in stages
        ]

    def after(self, stage: Stage, row: str, cursor: str) -> tuple[Lane, Cell]:
        skip = int(cursor) if cursor.isdecimal() and len(cursor) < 9 else 0
        cell = self._past_cell(self.look.rows(self.past.qs, [stage], skip=skip)[stage], skip)
        return self._past_lane(stage, Holding(), cell), cell

    def _past_lane(self, stage: Stage, held: Holding, cell: Cell | None) -> Lane:
        return Lane(
            stage=stage,
            group=GROUPS[stage],
            count=self.count_of(stage, held),
            forecast=money(held.forecast) if held.forecast else "",
            limit=None,
            full=False,
            cells=[cell] if cell else None,
            query=self.query,
            drawn=self.drawn,
        )

    def _past_cell(self, found: list[Stood], skip: int) -> Cell:
        more = str(skip + LANE_SIZE) if len(found) > LANE_SIZE else ""
        return Cell("", "", [self._card(stood) for stood in found[:LANE_SIZE]], more)

    def _card(self, stood: Stood) -> Card:
        here, who = self.told(stood)
        return Card(
            pk=stood.pk,
            version=0,
            standing="",
            engaged_on="",
            name=stood.name,
            renews="",
            renewal=renewal_word(stood.renewal_on, self.numbers.today),
            here=here,
            forecast=money(stood.forecast),
            owner=who,
            badges=[],
            further=[],
        )

    def count_of(self, stage: Stage, held: Holding) -> str:
        return count_text(held.count)

    def told(self, stood: Stood) -> tuple[Word, str]:
        """The card's second line: what the ledger says of it, and a name."""
        raise NotImplementedError


class _AsOf(_Past):
    """Where everybody stood when a day was over."""

    def __init__(self, request: SignedIn, now: datetime, on: date) -> None:
        super().__init__(request, now, on)
        over = self.numbers.end_of(on)
        self.look, self.until = Look.at(over), min(over, now)
        self.words = f"The board as it stood when {on:%a} {day(on, self.numbers.today)} was over."

    def told(self, stood: Stood) -> tuple[Word, str]:
        owner = self.filter.people.get(stood.owner_id, "") if stood.owner_id else ""
        return time_here(Stage(stood.stage), days_since(stood.at, self.until)), owner


class _Since(_Past):
    """Who stands elsewhere than when a day began."""

    def __init__(self, request: SignedIn, now: datetime, on: date) -> None:
        super().__init__(request, now, on)
        self.look = Look.since(self.numbers.start_of(on), now=now)
        self.words = f"Who stands elsewhere than when {on:%a} {day(on, self.numbers.today)} began."

    @cached_property
    def left(self) -> dict[Stage, int]:
        return self.look.left(self.past.qs)

    def count_of(self, stage: Stage, held: Holding) -> str:
        return f"{held.count:,} came, {self.left.get(stage, 0):,} left"

    def told(self, stood: Stood) -> tuple[Word, str]:
        on = self.numbers.day_of(stood.at)
        source = Stage(stood.stood_at)
        came = f"from {source.label.split('. ')[0]}" if source else "entered"
        by = self.filter.people.get(stood.by_id, "") if stood.by_id else stood.cause.partition(":")[0]
        return Word(came, "info"), f"{on:%a} {day(on, self.numbers.today)}, {by}"


LOOKS: dict[str, Callable[[SignedIn, datetime, date], Board]] = {"as_of": _AsOf, "since": _Since}
