"""What fast means, as data: the limits of each operation, and whether a result keeps to them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from apps.crm.metrics import METRICS

DEFAULT_SIZES = (10_000, 100_000)


# What a person does at a browser, and the interaction to next paint is measured of.
ACTS = (
    "open an account",
    "move by key",
    "move by drag",
    "filter",
    "type in a note",
    "type in Find",
    "keys on a long board",
)


class Limit(NamedTuple):
    """The most that a figure of a result may be, and how it is written."""

    figure: str
    most: float
    unit: str = "×"

    def __str__(self) -> str:
        return f"{self.most:g}{self.unit}"


def kilobytes(page: float, compressed: float) -> tuple[Limit, Limit]:
    return Limit("bytes", page * 1000, " B"), Limit("compressed", compressed * 1000, " B gz")


LIST = Limit("ratio", 2.2)
MOVE = Limit("ratio", 2.5)
MEMORY = Limit("peak_mb", 80, " MB")

PAINTED = (Limit("p50_ms", 1200, " ms"), Limit("shift", 0, " CLS"), Limit("requests", 6, " requests"))
FELT = (Limit("p75_ms", 100, " ms p75"),)

# Of an operation that is not named here only the figures are shown.
GOALS: dict[str, tuple[Limit, ...]] = {
    "list, first page": (LIST, *kilobytes(25, 4)),
    "list, filtered": (LIST,),
    "list, sorted by forecast": (LIST,),
    "list, page deep inside": (LIST,),
    "list, deep among all accounts": (LIST,),
    "list, deep page beside the first": (Limit("ratio", 1.25),),
    "search, four letters": (Limit("ratio", 2.5),),
    "search, three letters": (Limit("ratio", 8),),
    "board": kilobytes(75, 11),
    "board beside exact GROUP BY": (Limit("ratio", 0.33),),
    "one move, from the list": (MOVE,),
    "one move, on the board": (MOVE,),
    "16 people moving at once": (MOVE,),
    "sweep that moves 1%": (Limit("ratio", 1.3), MEMORY),
    "tick with a tenth due": (MEMORY,),
    "idle tick": (Limit("p50_ms", 5, " ms"),),
    "import, reporting step": (Limit("ratio", 1.5), MEMORY),
    "import, CSV file": (Limit("ratio", 1.5), MEMORY),
    "accounts by the API": (MEMORY,),
    "webhook accepted": (Limit("ratio", 3, "× p95"),),
    "webhook applied": (Limit("p50_ms", 2, " ms"),),
    "browser: list, first visit": PAINTED,
    "browser: board, first visit": PAINTED,
    **{f"browser: {what}": FELT for what in ACTS},
    "browser: drop to next frame": (Limit("p50_ms", 100, " ms"),),
    "browser: drop to answer": (Limit("p50_ms", 100, " ms"),),
    **{f"report: {name}": (Limit("p50_ms", 500, " ms"),) for name in METRICS},
    **{
        f"report {what}: {name}": (Limit("p50_ms", 500, " ms"),)
        for what in ("file", "rows")
        for name in METRICS
    },
    **{
        f"reports page: {name}": (Limit("p50_ms", 500, " ms"),)
        for name in ("retention", "pipeline", "team", "revenue", "since Monday")
    },
    # Each size beside the one before it.
    "list, first page: grown": (Limit("ratio", 1.15),),
    "board: grown": (Limit("ratio", 1.15),),
}
GROWING = ("list, first page", "board")


@dataclass
class Result:
    """The figures of one operation at one size; those that make no sense for it are None."""

    name: str
    size: int
    p50_ms: float
    p95_ms: float | None = None
    floor_ms: float | None = None
    ratio: float | None = None
    cpu_ms: float | None = None
    floor_cpu_ms: float | None = None
    queries: int | None = None
    rows_read: int | None = None
    bytes: int | None = None
    compressed: int | None = None
    p75_ms: float | None = None
    shift: float | None = None
    requests: int | None = None
    peak_mb: float | None = None
    note: str = ""
    limits: tuple[Limit, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.limits = GOALS.get(self.name, ())

    @property
    def missed(self) -> list[Limit]:
        return [limit for limit in self.limits if (getattr(self, limit.figure) or 0) > limit.most]

    @property
    def met(self) -> bool | None:
        """Whether all limits are kept; None where there is none."""
        return not self.missed if self.limits else None

    @property
    def goal(self) -> str:
        return ", ".join(map(str, self.limits))

    def as_json(self) -> dict[str, Any]:
        names = (
            "name",
            "size",
            "p50_ms",
            "p95_ms",
            "floor_ms",
            "ratio",
            "goal",
            "met",
            "queries",
            "rows_read",
        )
        more = (
            "bytes",
            "compressed",
            "p75_ms",
            "shift",
            "requests",
            "peak_mb",
            "cpu_ms",
            "floor_cpu_ms",
            "note",
        )
        return {name: getattr(self, name) for name in (*names, *more)}


def sizes(most: int) -> list[int]:
    """The sizes to measure: the usual ones below the largest, and the largest."""
    return sorted({most, *(size for size in DEFAULT_SIZES if size < most)})


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def compared(rounds: list[tuple[list[float], list[float]]], share: float = 0.5) -> dict[str, Any]:
    """Figures from rounds of (ours, floor), in seconds: the median over the rounds of each round's own figure.

    ``share`` is the percentile of both that the floor and the ratio are of.
    """
    pairs = [(percentile(ours, share), percentile(floor, share)) for ours, floor in rounds]
    return {
        "p50_ms": 1000 * median(median(ours) for ours, _ in rounds),
        "p95_ms": 1000 * median(percentile(ours, 0.95) for ours, _ in rounds),
        "floor_ms": 1000 * median(floor for _, floor in pairs),
        "ratio": median(ours / floor for ours, floor in pairs),
    }


def grown(results: list[Result]) -> list[Result]:
    """What an operation costs at a size beside what it costs at the next smaller one."""
    found = []
    for name in GROWING:
        of = [result for result in results if result.name == name]
        for small, large in itertools.pairwise(of):
            made = Result(f"{name}: grown", large.size, large.p50_ms, floor_ms=small.p50_ms)
            made.ratio = large.p50_ms / small.p50_ms
            made.note = f"beside {small.size:,}"
            found.append(made)
    return found


COLUMNS: tuple[tuple[str, str], ...] = (
    ("p50 ms", "{0.p50_ms:.1f}"),
    ("p75 ms", "{0.p75_ms:.1f}"),
    ("p95 ms", "{0.p95_ms:.1f}"),
    ("floor ms", "{0.floor_ms:.1f}"),
    ("ratio", "{0.ratio:.2f}"),
    ("cpu ms", "{0.cpu_ms:.1f}"),
    ("floor", "{0.floor_cpu_ms:.1f}"),
    ("queries", "{0.queries}"),
    ("rows read", "{0.rows_read:,}"),
    ("bytes", "{0.bytes:,}"),
    ("gzip", "{0.compressed:,}"),
    ("requests", "{0.requests}"),
    ("CLS", "{0.shift:.3f}"),
    ("MB", "{0.peak_mb:.0f}"),
)


def table(results: list[Result]) -> str:
    """The results as text, a line each."""
    head = ["operation", "accounts", *(label for label, _ in COLUMNS), "met", "goal", ""]
    lines = [head]
    for result in results:
        cells = [
            ""
            if getattr(result, pattern.split(".")[1].split(":")[0].rstrip("}")) is None
            else pattern.format(result)
            for _, pattern in COLUMNS
        ]
        met = {None: "", True: "yes", False: f"no: {', '.join(map(str, result.missed))}"}[result.met]
        lines.append([result.name, f"{result.size:,}", *cells, met, result.goal, result.note])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = {0, len(head) - 3, len(head) - 2, len(head) - 1}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
