"""The board: a lane a stage, cards by renewal, and the lanes that a move touched drawn anew."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template import engines
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from apps.crm.board import (
    COLUMNS,
    GUARDS,
    LANE_SIZE,
    LIMITS,
    Holding,
    Row,
    first_rows,
    holdings,
    rules,
    standing,
    with_next_call,
)
from apps.crm.filters import SORTS, AccountFilter, Chosen
from apps.crm.keyset import Order, count_text, cursor_after, page
from apps.crm.models import Account, StageTransition
from apps.crm.pipeline import OPEN, STAGES, TOO_LONG_AFTER, Stage
from apps.crm.policy import Numbers, Policy
from apps.web import display
from apps.web.rights import SignedIn
from apps.web.tables import Word

BY_RENEWAL = Order("renewal", SORTS["renewal"])
# However far somebody scrolled, a move draws no more cards of a lane than this.
MOST_REDRAWN = 500
SHOWN_BADGES = 3


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
class Lane:
    """A column of the board. ``cards`` is None where it is folded; ``more`` is the cursor of the cards below."""

    stage: Stage
    group: str
    count: str
    forecast: str
    limit: int | None
    full: bool
    cards: list[Card] | None
    more: str
    query: str
    drawn: int


class Board:
    """The board one person asked for: its filter, its numbers, and its lanes drawn from the database."""

    def __init__(self, request: SignedIn, now: datetime) -> None:
        self.user = request.user
        self.numbers = Policy.at(now)
        self.filter = AccountFilter(request.GET, numbers=self.numbers, user=self.user, also=["after"])
        query = request.GET.copy()
        query.pop("after", None)
        self.query = query.urlencode()
        # Names this drawing, so that an answer meant for an older one finds no place any more.
        self.drawn = time.monotonic_ns()

    @property
    def unfolded(self) -> list[Stage]:
        """Closed stages are folded until somebody asks for them."""
        asked = self.filter.form.cleaned_data.get("stage", ())
        return [stage for stage in STAGES if stage in OPEN or stage in asked]

    @property
    def chips(self) -> list[tuple[str, str]]:
        """The filters that are on, in words, each with the query string without it."""
        return [(chosen.words, self._without(chosen)) for chosen in self.filter.chosen]

    def _without(self, chosen: Chosen) -> str:
        query = self.filter.data.copy()
        # What is not chosen several times over goes as a whole: a search was shortened before it was used.
        others = [value for value in query.getlist("stage") if value != chosen.value]
        query.setlist(chosen.name, others if chosen.name == "stage" else [])
        return query.urlencode()

    def lanes(self, sizes: Mapping[Stage, int], stages: Collection[Stage] = STAGES) -> list[Lane]:
        """These stages' lanes; those that ``sizes`` names hold as many cards, the others are folded."""
        everything = Account.objects.all()
        asked = self.filter.qs
        every = holdings(everything, stages)
        here = holdings(asked, stages) if self.filter.chosen else every
        rows = first_rows(asked, {stage: size + 1 for stage, size in sizes.items()}, self.numbers)
        return [
            self._lane(stage, here[stage], every[stage], rows.get(stage), sizes.get(stage, 0))
            for stage in stages
        ]

    def _lane(self, stage: Stage, here: Holding, every: Holding, rows: list[Row] | None, size: int) -> Lane:
        limit = LIMITS.get(stage)
        count = count_text(here.count)
        return Lane(
            stage=stage,
            group=display.GROUPS[stage],
            count=f"{count} of {count_text(every.count)}" if self.filter.chosen else count,
            forecast=display.money(here.forecast) if here.forecast else "",
            limit=limit,
            full=limit is not None and every.count > limit,
            cards=None if rows is None else self._cards(rows[:size]),
            more=self._cursor(rows[size - 1]) if rows and len(rows) > size else "",
            query=self.query,
            drawn=self.drawn,
        )

    def after(self, stage: Stage, cursor: str) -> Lane:
        """The next cards of one lane."""
        asked = with_next_call(self.filter.qs.filter(stage=stage), self.numbers).values(*COLUMNS)
        found = page(asked, BY_RENEWAL, cursor=cursor, size=LANE_SIZE)
        rows = [Row(**{name: row[name] for name in COLUMNS}) for row in found.rows]
        return Lane(stage, "", "", "", None, False, self._cards(rows), found.next, self.query, self.drawn)

    def _cards(self, rows: Iterable[Row]) -> list[Card]:
        return [_card(row, self.numbers, self.filter.people, self.user.looked_at) for row in rows]

    @staticmethod
    def _cursor(row: Row) -> str:
        return cursor_after(BY_RENEWAL, row.renewal_on, row.pk)


def _card(row: Row, numbers: Numbers, people: Mapping[int, str], looked_at: datetime | None) -> Card:
    """A card as strings: nothing is left for the template to work out."""
    stage = Stage(row.stage)
    badges = [*_badges(row, numbers, looked_at)]
    return Card(
        pk=row.pk,
        version=row.version,
        standing=standing(row),
        engaged_on=row.engaged_at.date().isoformat() if row.engaged_at and GUARDS[stage] else "",
        name=row.name,
        renews=row.renewal_on.isoformat() if row.renewal_on else "",
        renewal=_renewal(row.renewal_on, numbers.today),
        here=_time_here(stage, display.days_since(row.stage_since, numbers.now)),
        forecast=display.money(row.forecast),
        owner=people.get(row.owner_id, "") if row.owner_id else "",
        badges=badges[:SHOWN_BADGES],
        further=badges[SHOWN_BADGES:],
    )


@lru_cache(maxsize=2048)
def _renewal(on: date | None, today: date) -> Word:
    if on is None:
        return Word("No renewal")
    return Word(f"{display.day(on, today)} · {display.away_short(on, today)}", "bad" if on < today else "")


def _time_here(stage: Stage, days: int) -> Word:
    """How long an account stands at its stage, and how bad that is: past its limit, or past twice that."""
    most = TOO_LONG_AFTER.get(stage)
    if most is None or days <= most:
        return Word(f"{days} d here")
    return Word(f"{days} d here, {days - most} over", "bad" if days > 2 * most else "wait")


def _badges(row: Row, numbers: Numbers, looked_at: datetime | None) -> Iterator[Word]:
    """The small words on a card, each with its meaning; what wants a person first."""
    today = numbers.today
    if row.open_alerts:
        yield Word(f"{row.open_alerts} alerts" if row.open_alerts > 1 else "Alert", "bad")
    if row.next_task_on and row.next_task_on < today:
        yield Word("Task overdue", "bad")
    if row.call_at:
        yield Word(f"Call {display.day(numbers.day_of(row.call_at), today)}", "info")
    if looked_at and row.entered_at and row.entered_at > looked_at:
        yield Word("New", "accent")
    if row.stage != Stage.PAID_CALL and (row.engaged_via == "purchase" or row.stage_before_paid_call):
        yield Word("Paid call", "accent")
    if row.sales_contact_kind:
        yield Word(row.sales_contact_kind)


@require_safe
def board(request: SignedIn) -> HttpResponse:
    asked = Board(request, timezone.now())
    lanes = asked.lanes(dict.fromkeys(asked.unfolded, LANE_SIZE))
    return render(
        request,
        "web/board.html",
        {
            "board": asked,
            "lanes": lanes,
            "may_move": asked.user.may("move"),
            "rules_mark": _rules()[1],
        },
    )


@require_safe
def board_column(request: SignedIn, stage: str) -> HttpResponse:
    """One lane; with ``after`` only the cards below those already shown, to be put at its end."""
    here, asked = _stage(stage), Board(request, timezone.now())
    if cursor := request.GET.get("after", ""):
        return HttpResponse(_drawn("cards", asked.after(here, cursor)))
    lane = asked.lanes({here: LANE_SIZE}, [here])[0]
    return HttpResponse(_drawn("lane", lane))


@require_safe
def board_rules(request: SignedIn) -> HttpResponse:
    """Where a card of each standing may be dropped. Its address names its content, so it is asked for once."""
    body, mark = _rules()
    answer = HttpResponse(body, content_type="application/json", headers={"ETag": f'"{mark}"'})
    patch_cache_control(answer, private=True, max_age=365 * 24 * 3600, immutable=True)
    return answer


def board_parts(request: SignedIn, account: Account, *, now: datetime, moved: StageTransition | None) -> str:
    """The lanes a move touched, as they really are: where the page saw the card, where it was to go, where it is.

    ``shown`` of the form says how many cards the page holds in each lane ("new:25,churned:0"), so that nothing
    that was scrolled to goes away; a lane that is not named, or holds none, stays folded.
    """
    shown = _shown(request.POST.get("shown", ""))
    last = moved or account.transitions.first()
    touched = {request.POST.get("seen"), request.POST.get("to"), account.stage}
    touched |= {last.from_stage, last.to_stage} if last else set()
    stages = [stage for stage in STAGES if stage in touched]
    asked = Board(request, now)
    lanes = asked.lanes({stage: shown[stage] for stage in stages if shown.get(stage)}, stages)
    return _drawn("parts", lanes)


def _shown(text: str) -> dict[str, int]:
    """How many cards of each lane to draw: at least a lane's first cards, at most a bound; 0 for a folded lane."""
    found = {}
    for part in text.split(","):
        stage, _, number = part.partition(":")
        if number.isdecimal():
            cards = int(number[:6])
            found[stage] = min(max(cards, LANE_SIZE), MOST_REDRAWN) if cards else 0
    return found


def _stage(name: str) -> Stage:
    if name not in set(STAGES):
        raise Http404(f"There is no stage {name}.")
    return Stage(name)


def _drawn(macro: str, *values: Any) -> str:
    """A macro of the board's template, rendered alone."""
    macros = engines["jinja2"].env.get_template("web/board_lanes.html").module  # type: ignore[attr-defined]
    return str(getattr(macros, macro)(*values))


@cache
def _rules() -> tuple[str, str]:
    """The rules as JSON, and a mark of just this content."""
    body = json.dumps(rules(), ensure_ascii=False, separators=(",", ":"))
    return body, hashlib.sha256(body.encode()).hexdigest()[:16]
