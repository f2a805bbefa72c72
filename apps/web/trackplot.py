"""The eight-week track as it is drawn: for each step a bar on the same weeks, and its words."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from apps.crm.days import away, day
from apps.crm.track import WEEK, Step, Track

WIDTH = 320
MOST_MARKS = 40


class Line(NamedTuple):
    """A step: where its days lie on the strip, where it happened or is booked, and how it stands in words."""

    step: Step
    x: float
    width: float
    at: float | None
    words: str


class Drawn(NamedTuple):
    """The track with its lines; ``today`` and ``weeks`` are places on the strip, ``today`` None beyond its ends."""

    track: Track
    lines: list[Line]
    today: float | None
    weeks: list[float]


def drawn(track: Track | None, today: date) -> Drawn | None:
    """A track with its places on a strip of ``WIDTH``."""
    if track is None:
        return None
    days = (track.ends_on - track.starts_on).days + 1

    def place(when: date) -> float:
        return round(min(max((when - track.starts_on).days, 0), days) * WIDTH / days, 1)

    def dot(step: Step) -> float | None:
        when = step.done_on or step.booked_on
        return min(max(place(when), 4), WIDTH - 4) if when else None

    lines = [
        Line(
            step=step,
            x=place(step.first),
            width=round(max((step.last - step.first).days + 1, 0) * WIDTH / days, 1),
            at=dot(step),
            words=_words(step, today),
        )
        for step in track.steps
    ]
    inside = track.starts_on <= today <= track.ends_on
    marks = min((days + 6) // WEEK, MOST_MARKS)
    weeks = [round(week * WEEK * WIDTH / days, 1) for week in range(1, marks)]
    return Drawn(track, lines, place(today) if inside else None, weeks)


def _words(step: Step, today: date) -> str:
    done, booked = day(step.done_on, today), day(step.booked_on, today)
    late = (step.done_on - step.last).days if step.done_on else 0
    return {
        "done": f"{done}, in time",
        "late": f"{done}, {late} {'day' if late == 1 else 'days'} late",
        "booked": f"booked for {booked}",
        "now": f"now, until {day(step.last, today)}",
        "ahead": f"from {day(step.first, today)}, {away(step.first, today)}",
        "overdue": f"was due by {day(step.last, today)}",
        "passed": "did not happen",
        "off": "did not happen",
    }[step.state]
