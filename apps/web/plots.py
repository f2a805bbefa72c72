"""Plots of the reports: geometry and words in, nothing looked up. The template draws what these say.

A mark is told from its neighbour by its place, its label and its look (filled, hatched, outlined), never by colour
alone; its words are shown when it is pointed at or focused, and read aloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil, log10
from typing import NamedTuple

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 92, 22, 24
BAR, BAR_GAP, NAMES = 14, 10, 190
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
    shown: str = ""


class Label(NamedTuple):
    """A word beside an axis."""

    x: float
    y: float
    words: str
    anchor: str = "middle"


class Swatch(NamedTuple):
    """What a look stands for, beside the marks that have it."""

    x: float
    y: float
    look: str
    words: str


class Plot(NamedTuple):
    """What is drawn: ``lines`` join dots, ``rules`` are the axis' thin lines, ``goal`` is a height and its name."""

    kind: str
    width: int
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
    step = (WIDTH - LEFT - RIGHT) / max(len(points) - 1, 1)

    def place(number: int, value: Figure) -> tuple[float, float]:
        return round(LEFT + number * step, 1), round(_height(float(value or 0), most), 1)

    marks, labels, lines = (
        [],
        _along([(LEFT + number * step, point.label) for number, point in enumerate(points)]),
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
            marks.append(Mark(x, y, 0, 0, LOOKS[place_of], words, _inside(x), max(y - 10, 12)))
        if known:
            x, y, point = known[-1]
            while any(abs(y - other) < 14 for other in ends):
                y += 14
            ends.append(y)
            labels.append(Label(x + 10, y + 4, f"{point.words[place_of]} {title}".strip(), "start"))
    rules = {part * most: _height(part * most, most) for part in (0, 0.5, 1)}
    labels += [Label(LEFT - 8, y + 4, f"{value:.0%}", "end") for value, y in rules.items()]
    line_of = (round(_height(goal[0], most), 1), goal[1]) if goal else None
    return Plot(
        "line", WIDTH, HEIGHT, marks, labels, [*rules.values()], lines, line_of, _spoken(name, marks), []
    )


def columns(points: Sequence[Point], series: Sequence[str], name: str, *, stacked: bool = False) -> Plot:
    """Bars that stand side by side at each point, or on one another; they start at zero."""
    totals = [
        sum(found) if stacked else max(found)
        for found in ([0.0, *(float(value or 0) for value in point.values)] for point in points)
    ]
    most = _round_up(max([1.0, *totals]))
    step = (WIDTH - LEFT - RIGHT) / max(len(points), 1)
    width = step * 0.7 / (1 if stacked else max(len(series), 1))
    marks = []
    for number, point in enumerate(points):
        base = _height(0, most)
        for place, value in enumerate(point.values):
            top = base - (_height(0, most) - _height(float(value or 0), most))
            x = LEFT + number * step + step * 0.15 + (0 if stacked else place * width)
            words = _said(point, series, place)
            marks.append(
                Mark(
                    round(x, 1),
                    round(top, 1),
                    round(width - 1, 1),
                    round(base - top, 1),
                    LOOKS[place],
                    words,
                    _inside(x + width / 2),
                    max(round(top - 6, 1), 12),
                )
            )
            base = top if stacked else base
    named = list(zip(LOOKS, series, strict=False))[::-1] if len(series) > 1 else []
    swatches = [Swatch(WIDTH - RIGHT + 8, TOP + 16 * place, *one) for place, one in enumerate(named)]
    labels = _along([(LEFT + (number + 0.5) * step, point.label) for number, point in enumerate(points)])
    rules = {part * most: _height(part * most, most) for part in (0, 0.5, 1)}
    labels += [Label(LEFT - 8, y + 4, _short(value), "end") for value, y in rules.items()]
    return Plot(
        "columns", WIDTH, HEIGHT, marks, labels, [*rules.values()], [], None, _spoken(name, marks), swatches
    )


def bars(
    points: Sequence[Point], series: Sequence[str], name: str, *, goal: tuple[float, str] | None = None
) -> Plot:
    """Lying bars, a line of them for each point with its name before it and its value behind it, from zero."""
    most = max(
        [float(value or 0) for point in points for value in point.values] + [goal[0] if goal else 0, 0.0001]
    )
    room = WIDTH - NAMES - 70
    each = BAR * len(series) + BAR_GAP
    marks, labels = [], []
    for number, point in enumerate(points):
        y = TOP + number * each
        labels.append(Label(NAMES - 10, y + 11, point.label, "end"))
        for place, value in enumerate(point.values):
            top = y + place * BAR
            if value is None:
                labels.append(Label(NAMES + 6, top + 11, point.words[place], "start"))
                continue
            width = round(float(value) / most * room, 1)
            marks.append(
                Mark(
                    NAMES,
                    top,
                    width,
                    BAR - 2,
                    LOOKS[place],
                    _said(point, series, place),
                    NAMES + width + 6,
                    top + 11,
                    point.words[place],
                )
            )
    line_of = (round(NAMES + goal[0] / most * room, 1), goal[1]) if goal else None
    swatches = [Swatch(NAMES + 150 * place, 4, LOOKS[place], title) for place, title in enumerate(series)]
    swatches = swatches if len(series) > 1 else []
    height = TOP + len(points) * each + 4
    return Plot("bars", WIDTH, height, marks, labels, [], [], line_of, _spoken(name, marks), swatches)


def _height(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)


def _along(places: list[tuple[float, str]]) -> list[Label]:
    """The words under an axis, as many as fit."""
    every = ceil(len(places) * 52 / (WIDTH - LEFT - RIGHT)) or 1
    return [Label(round(x, 1), HEIGHT - 6, words) for x, words in places[::-1][::every]]


def _said(point: Point, series: Sequence[str], place: int) -> str:
    """A mark in words: "Aug 2026: 92.3%", with its series where there are several."""
    of = f"{series[place]} " if len(series) > 1 else ""
    return f"{point.label}: {of}{point.words[place]}"


def _inside(x: float) -> float:
    return round(min(max(x, 90), WIDTH - 90), 1)


def _round_up(most: float) -> float:
    size = 10 ** int(log10(most))
    return next(step * size for step in (1, 2, 5, 10) if step * size >= most)


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _spoken(name: str, marks: list[Mark]) -> str:
    return f"{name}. {'; '.join(mark.words for mark in marks)}"
