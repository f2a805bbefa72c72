"""A CSV file as it is written: its columns, each made of facts, and its lines."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from apps.crm.cells import cell

# Excel reads a file without it as if it were not UTF-8; our own import takes it.
BOM = "\ufeff"

Facts = Mapping[str, Any]


class Column(NamedTuple):
    """A column of a file: its header, the fact or facts it is made of, and how, where it is not one as it stands."""

    header: str
    facts: tuple[str, ...]
    read: Callable[..., Any] = lambda value: value

    def of(self, row: Facts) -> str:
        return cell(self.read(*(row[fact] for fact in self.facts)))


def plain(*headers: str, **renamed: str) -> tuple[Column, ...]:
    """Columns that are one fact each: of the header's own name, or of the one given to it."""
    return tuple(
        Column(name, (fact,)) for name, fact in {**{name: name for name in headers}, **renamed}.items()
    )


def written(header: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """CSV in pieces of some hundred lines: one piece a line would cost more than the line."""
    piece = _Piece()
    writer = csv.writer(piece)
    writer.writerow(header)
    for number, row in enumerate(rows, 1):
        writer.writerow(row)
        if not number % 200:
            yield piece.taken()
    yield piece.taken()


class _Piece(list[str]):
    """What a writer writes to, until it is taken."""

    write = list.append

    def taken(self) -> str:
        found = "".join(self)
        self.clear()
        return found
