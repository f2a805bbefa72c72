"""Plots of the reports: geometry and words in, nothing looked up. The template draws what these say.

A plot is as wide as there is room: what lies along is told in percent of it, what stands in pixels.

A mark is told from its neighbour by its place, its label and its look (filled, hatched, outlined), never by colour
alone; its words are shown when it is pointed at or focused, and read aloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil, log10
from typing import NamedTuple

HEIGHT, TOP, BOTTOM = 200, 22, 24
BAR, BAR_GAP = 14, 10
# What words take under an axis, and how much room it has: on a wide window, and on a phone.
WORD, WIDE, NARROW = 52, 504, 200
LOOKS = ("filled", "hatched", "outlined")

Figure = Decimal | int | float | None


class Point(NamedTuple):
    """One thing along an axis: its label, and a value and its words for each series. ``faint``: not decided yet."""

    label: str
    values: Sequence[Figure]
    words: Sequence[str]


class Mark(NamedTuple):
    """A bar or a dot with its words, shown at ``text_x``, ``text_y``; ``shown`` also where nobody points at it."""

    x: float
    y: float
    width: float
    height: float
    look: str
    words: str
    text_x: float
    text_y: float
    anchor: str = "start"
    shown: str = ""


class Label(NamedTuple):
    """A word beside an axis: ``aside`` so many pixels from its place, and left out on a phone where it is ``spare``."""

    x: float
    y: float
    words: str
    anchor: str = "middle"
    aside: int = 0
    spare: bool = False


class Swatch(NamedTuple):
    """What a look stands for, told above the marks that have it."""

    look: str
    words: str


class Plot(NamedTuple):
    """What is drawn: ``lines`` join dots, ``rules`` are the axis' thin lines, ``goal`` is a height and its name."""

    kind: str
    height: int
    marks: list[Mark]
    labels: list[Label]
    rules: list[float]
    lines: list[str]
    goal: tuple[float, str] | None
    words: str
    swatches: list[Swatch]


def line(
    points: Sequence[Point], series: Sequence[str], name: str, *, goal: tuple[float, str] | None = None
) -> Plot:
    """Shares over time, one line a series, labelled at its end; an unknown value leaves a gap. From 0 to 100%."""
    most = max([1.0, *(float(value) for point in points for value in point.values if value is not None)])
    step = 100 / max(len(points) - 1, 1)

    def place(number: int, value: Figure) -> tuple[float, float]:
        return round(number * step, 1), round(_height(float(value or 0), most), 1)

    marks, labels, lines = (
        [],
        _along([(number * step, point.label) for number, point in enumerate(points)]),
        [],
    )
    ends: list[float] = []
    for place_of, title in enumerate(series):
        known = [
            (*place(number, point.values[place_of]), point)
            for number, point in enumerate(points)
            if point.values[place_of] is not None
        ]
        lines.append(" ".join(f"{x},{y}" for x, y, _ in known))
        for x, y, point in known:
            words = _said(point, series, place_of)
            marks.append(Mark(x, y, 0, 0, LOOKS[place_of], words, x, max(y - 10, 12), _anchor(x)))
        if known:
            x, y, point = known[-1]
            while any(abs(y - other) < 14 for other in ends):
                y += 14
            ends.append(y)
            labels.append(Label(x, y + 4, f"{point.words[place_of]} {title}".strip(), "start", 10))
    rules = {part * most: _height(part * most, most) for part in (0, 0.5, 1)}
    labels += [Label(0, y + 4, f"{value:.0%}", "end", -8) for value, y in rules.items()]
    line_of = (round(_height(goal[0], most), 1), goal[1]) if goal else None
    return Plot("line", HEIGHT, marks, labels, [*rules.values()], lines, line_of, _spoken(name, marks), [])


def columns(points: Sequence[Point], series: Sequence[str], name: str, *, stacked: bool = False) -> Plot:
    """Bars that stand side by side at each point, or on one another; they start at zero."""
    totals = [
        sum(found) if stacked else max(found)
        for found in ([0.0, *(float(value or 0) for value in point.values)] for point in points)
    ]
    most = _round_up(max([1.0, *totals]))
    step = 100 / max(len(points), 1)
    width = step * 0.7 / (1 if stacked else max(len(series), 1))
    marks = []
    for number, point in enumerate(points):
        base = _height(0, most)
        for place, value in enumerate(point.values):
            top = base - (_height(0, most) - _height(float(value or 0), most))
            x = number * step + step * 0.15 + (0 if stacked else place * width)
            words = _said(point, series, place)
            marks.append(
                Mark(
                    round(x, 1),
                    round(top, 1),
                    round(width * 0.94, 1),
                    round(base - top, 1),
                    LOOKS[place],
                    words,
                    round(x + width / 2, 1),
                    max(round(top - 6, 1), 12),
                    _anchor(x + width / 2),
                )
            )
            base = top if stacked else base
    labels = _along([((number + 0.5) * step, point.label) for number, point in enumerate(points)])
    rules = {part * most: _height(part * most, most) for part in (0, 0.5, 1)}
    labels += [Label(0, y + 4, _short(value), "end", -8) for value, y in rules.items()]
    return Plot(
        "columns", HEIGHT, marks, labels, [*rules.values()], [], None, _spoken(name, marks), _swatches(series)
    )


def bars(
    points: Sequence[Point], series: Sequence[str], name: str, *, goal: tuple[float, str] | None = None
) -> Plot:
    """Lying bars, a line of them for each point with its name before it and its value behind it, from zero."""
    most = max(
        [float(value or 0) for point in points for value in point.values] + [goal[0] if goal else 0, 0.0001]
    )
    each = BAR * len(series) + BAR_GAP
    marks, labels = [], []
    for number, point in enumerate(points):
        y = TOP + number * each
        labels.append(Label(0, y + 11, point.label, "end", -10))
        for place, value in enumerate(point.values):
            top = y + place * BAR
            if value is None:
                labels.append(Label(0, top + 11, point.words[place], "start", 6))
                continue
            width, words = round(float(value) / most * 100, 1), _said(point, series, place)
            shown = point.words[place]
            marks.append(Mark(0, top, width, BAR - 2, LOOKS[place], words, width, top + 11, shown=shown))
    line_of = (round(goal[0] / most * 100, 1), goal[1]) if goal else None
    height = TOP + len(points) * each + 4
    return Plot("bars", height, marks, labels, [], [], line_of, _spoken(name, marks), _swatches(series))


def _swatches(series: Sequence[str]) -> list[Swatch]:
    named = zip(LOOKS, series, strict=False)
    return [Swatch(*one) for one in named] if len(series) > 1 else []


def _height(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)


def _along(places: list[tuple[float, str]]) -> list[Label]:
    """The words under an axis, as many as fit; the last one always, and the others of a phone counted from it."""
    every, seldom = (ceil(len(places) * WORD / room) or 1 for room in (WIDE, NARROW))
    kept = places[::-1][::every]
    among = ceil(seldom / every)
    return [
        Label(round(x, 1), HEIGHT - 6, words, spare=number % among > 0)
        for number, (x, words) in enumerate(kept)
    ]


def _said(point: Point, series: Sequence[str], place: int) -> str:
    """A mark in words: "Aug 2026: 92.3%", with its series where there are several."""
    of = f"{series[place]} " if len(series) > 1 else ""
    return f"{point.label}: {of}{point.words[place]}"


def _anchor(x: float) -> str:
    """From which end words are written at a place, so that they stay within the plot."""
    return "start" if x < 33 else "end" if x > 67 else "middle"


def _round_up(most: float) -> float:
    size = 10 ** int(log10(most))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= most)


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _spoken(name: str, marks: list[Mark]) -> str:
    return f"{name}. {'; '.join(mark.words for mark in marks)}"
