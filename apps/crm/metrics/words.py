"""A figure in words: the same on the pages and in the mails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apps.crm.metrics.base import Kind, Metric, Row


def _dollars(value: Any) -> str:
    """Dollars and cents: figures that stand under one another have one precision."""
    return f"{'−' if round(value, 2) < 0 else ''}${abs(value):,.2f}"


def _may(value: int) -> str:
    return f"{value:,} more" if value >= 0 else f"missed by {-value:,}"


_WORDS: dict[Kind, Callable[[Any], str]] = {
    "count": lambda value: f"{value:,}",
    "money": _dollars,
    "share": lambda value: f"{value * 100:.1f}%".replace(".0%", "%"),
    "days": lambda value: f"{value:,} d",
    "may": _may,
}


def words(kind: Kind, value: Any, currency: str = "USD") -> str:
    """A figure as it is shown; "–" for unknown."""
    if value is None:
        return "–"
    said = _WORDS.get(kind, str)(value)
    return said if kind != "money" or currency == "USD" else said.replace("$", f"{currency} ")


def told(metric: Metric, row: Row, name: str) -> str:
    """A figure of a row as it is shown, in the row's currency."""
    kind = next(column.kind for column in metric.columns if column.name == name)
    return words(kind, row.values[name], currency_of(row))


def currency_of(row: Row) -> str:
    """What the dollars of a row are in: some tables tell other currencies beside."""
    named = row.values.get("currency", row.values.get("who", ""))
    return named if named.isupper() else "USD"
