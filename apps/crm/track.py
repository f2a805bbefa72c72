"""The eight weeks of an onboarding: what is planned for which week, held against what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import CharField, Exists, Min, OuterRef, Q, Value
from django.db.models.functions import Cast, Concat

from apps.crm.models import Account, Call, StageTransition
from apps.crm.pipeline import CLOSED, ONBOARDED, Stage
from apps.crm.policy import Numbers

WEEK = 7


class Milestone(NamedTuple):
    """What is planned: its weeks as numbers of the policy, the stages and the kind of call that fulfil it.

    ``needed``: it is due whether or not the customer engages.
    """

    key: str
    label: str
    stages: tuple[Stage, ...]
    call: str = ""
    needed: bool = False


MILESTONES = (
    Milestone("outreach", "Outreach", (Stage.INITIATED,), needed=True),
    Milestone("first_call", "First call", (Stage.INTRO_CALL_COMPLETED,), call=Call.Kind.INTRO),
    Milestone("second_call", "Second call", (Stage.SECOND_CALL_COMPLETED,), call=Call.Kind.SECOND),
    Milestone("homework", "Homework", (Stage.HOMEWORK_OFFERED,)),
    Milestone("final", "Final outreach", ONBOARDED, needed=True),
)


class Step(NamedTuple):
    """A milestone in its place: its days, when it happened, when a call is booked, and how it stands.

    ``state`` is "done", "late" (done, but after its days), "booked", "now", "ahead", "overdue", "passed" (it need not
    happen) or "off" (the account is closed).
    """

    label: str
    weeks: str
    first: date
    last: date
    done_on: date | None
    booked_on: date | None
    state: str


class Track(NamedTuple):
    """The steps from the day the account entered to the last day planned; ``week`` is today's, ``extended`` in days."""

    starts_on: date
    ends_on: date
    week: int
    extended: int
    steps: list[Step]


def track(account: Account, reached: Mapping[Stage, datetime | None], numbers: Numbers) -> Track | None:
    """The track of an account since it entered; None before. One query.

    ``reached`` is what ``reached_since_entry`` found. An extension moves what has not happened by its planned end.
    """
    if account.entered_at is None:
        return None
    start = numbers.day_of(account.entered_at)
    planned_end = _last_day(start, numbers.track_final_to)
    extended = max(((account.extended_until or planned_end) - planned_end).days, 0)
    calls = _calls(account)
    steps = [_step(account, one, start, extended, reached, calls, numbers) for one in MILESTONES]
    return Track(
        starts_on=start,
        ends_on=planned_end + timedelta(days=extended),
        week=max((numbers.today - start).days, 0) // WEEK + 1,
        extended=extended,
        steps=steps,
    )


def reached_since_entry(account: Account) -> dict[Stage, datetime | None]:
    """Every stage the account was ever in, with when it first came there since it last entered, undone moves aside.

    One query.
    """
    undone = StageTransition.objects.filter(
        account=OuterRef("account"), cause=Concat(Value("undo:"), Cast(OuterRef("pk"), CharField()))
    )
    counts: Any = Q(at__gte=account.entered_at) & ~Exists(undone) if account.entered_at else Q(pk=None)
    rows = account.transitions.order_by().values_list("to_stage").annotate(first=Min("at", filter=counts))
    return {Stage(stage): first for stage, first in rows}


def _calls(account: Account) -> list[Call]:
    kinds = [one.call for one in MILESTONES if one.call]
    standing = (Call.Status.BOOKED, Call.Status.HELD)
    found = account.calls.filter(kind__in=kinds, status__in=standing, starts_at__gte=account.entered_at)
    return list(found.order_by("starts_at").only("kind", "status", "starts_at")[:50])


def _step(
    account: Account,
    one: Milestone,
    start: date,
    extended: int,
    reached: Mapping[Stage, Any],
    calls: Iterable[Call],
    numbers: Numbers,
) -> Step:
    from_week, to_week = (getattr(numbers, f"track_{one.key}_{end}") for end in ("from", "to"))
    first, last = start + timedelta(days=WEEK * (from_week - 1)), _last_day(start, to_week)
    theirs = [call for call in calls if one.call and call.kind == one.call]
    held = [call.starts_at for call in theirs if call.status == Call.Status.HELD]
    happened = [at for at in (*(reached.get(stage) for stage in one.stages), *held) if at]
    booked = [call.starts_at for call in theirs if call.status == Call.Status.BOOKED]
    done_on = numbers.day_of(min(happened)) if happened else None
    booked_on = numbers.day_of(booked[-1]) if booked and not done_on else None
    if done_on is None or done_on > last:
        first, last = first + timedelta(days=extended), last + timedelta(days=extended)
    return Step(
        label=one.label,
        weeks=f"week {from_week}" if from_week == to_week else f"weeks {from_week}–{to_week}",
        first=first,
        last=last,
        done_on=done_on,
        booked_on=booked_on,
        state=_state(first, last, done_on, booked_on, one.needed, account.stage in CLOSED, numbers.today),
    )


def _state(
    first: date,
    last: date,
    done_on: date | None,
    booked_on: date | None,
    needed: bool,
    closed: bool,
    today: date,
) -> str:
    rules = (
        ("done", done_on is not None and done_on <= last),
        ("late", done_on is not None),
        ("off", closed),
        ("booked", booked_on is not None),
        ("ahead", today < first),
        ("now", today <= last),
        ("overdue", needed),
    )
    return next((state for state, holds in rules if holds), "passed")


def _last_day(start: date, week: int) -> date:
    return start + timedelta(days=WEEK * week - 1)
