"""The links of a page that is narrowed by its query string: filters with their counts, and heads that sort."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.http import HttpRequest

from apps.crm.filters import QueryFilter
from apps.crm.keyset import PAGE_SIZE, count_text, counts

# The most rows that are drawn anew at once.
DRAWN_ANEW = 500


class Choice(NamedTuple):
    """A filter a page offers: its words, what it changes in the filter, and whether it is on.

    ``query`` says it in the query string, where that differs: what a page shows by itself needs no word there.
    """

    key: str
    words: str
    changes: Mapping[str, str]
    on: bool
    query: Mapping[str, str] | None = None


class Link(NamedTuple):
    """A filter of the head: its words, how many rows it shows, the query string that asks for it."""

    key: str
    words: str
    shown: str
    query: str
    on: bool


class Head(NamedTuple):
    """A column of the page, and the sort it offers."""

    label: str
    sort: str = ""
    number: bool = False


def rows_on_screen(request: HttpRequest) -> int:
    """How many rows a page shows, which are drawn anew: it may have gone on by its cursor, up to a bound."""
    rows = request.headers.get("Rows", "")
    shown = int(rows) if rows.isascii() and rows.isdigit() and len(rows) < 5 else 0
    return min(max(shown, PAGE_SIZE), DRAWN_ANEW)


def query(asked: QueryFilter, **changes: str | None) -> str:
    """The query string of this page with some parameters changed; None takes one out, and so is the cursor."""
    found = asked.data.copy()
    for name, value in {"cursor": None, **changes}.items():
        found.pop(name, None)
        if value:
            found[name] = value
    for name in [name for name, values in found.lists() if not any(values)]:
        del found[name]
    return str(found.urlencode())


def counted(
    asked: QueryFilter, choices: Iterable[Choice], like: Callable[..., QuerySet[Any]]
) -> dict[str, Link]:
    """The links of these choices by their keys, each with what ``like`` shows of it counted. One query."""
    choices = list(choices)
    found = counts({choice.key: like(**choice.changes) for choice in choices})
    return {
        key: Link(key, words, count_text(found[key]), query(asked, **(said or changes)), on)
        for key, words, changes, on, said in choices
    }


def heads(asked: QueryFilter, columns: Iterable[Head]) -> list[tuple[Head, str, str]]:
    """The columns, each with the query string a click on its head leads to and how it is sorted now."""
    found = []
    for head in columns:
        other = head.sort.removeprefix("-") if head.sort.startswith("-") else f"-{head.sort}"
        to = other if asked.order.name == head.sort else head.sort
        sorted_now = head.sort.lstrip("-") == asked.order.name.lstrip("-") and head.sort
        now = ("descending" if asked.order.descending else "ascending") if sorted_now else ""
        found.append((head, query(asked, sort=to) if head.sort else "", now))
    return found
