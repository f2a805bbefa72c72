"""CSV files as other systems export them: opened strictly, and read a line at a time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from apps.crm.cells import as_typed

MOST_BYTES = 32 * 1024 * 1024
MOST_ROWS = 50_000
MOST_COLUMNS = 200
LONGEST_HEADER = 200
DELIMITERS = ",;\t"

# How a file that is no CSV begins, and what to say of it.
_NOT_CSV = (
    (b"PK\x03\x04", "This is a spreadsheet (.xlsx), not a CSV file: save it as CSV, UTF-8."),
    (b"\xd0\xcf\x11\xe0", "This is a spreadsheet (.xls), not a CSV file: save it as CSV, UTF-8."),
    (b"\xff\xfe", "The file is written in UTF-16: save it as CSV, UTF-8."),
    (b"\xfe\xff", "The file is written in UTF-16: save it as CSV, UTF-8."),
)


class Unusable(Exception):
    """A file that cannot be read as a whole; ``sentence`` says why, ``line`` where it stopped (0: nowhere)."""

    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.line = line


@dataclass(frozen=True)
class Line:
    """One row of the file: where it begins, its cells, and what is wrong with it as a whole."""

    number: int
    cells: list[str]
    wrong: str = ""


class Table:
    """A CSV file: its header, and its lines as often as asked for. Raises ``Unusable`` for what is none.

    A file without a row is none either, unless it ``may_be_empty``.
    """

    def __init__(self, file: bytes, *, may_be_empty: bool = False) -> None:
        self._file = file
        self._may_be_empty = may_be_empty
        if sentence := _refused(file):
            raise Unusable(sentence)
        try:
            with self._open() as stream:
                self.delimiter = _delimiter(stream.readline())
        except UnicodeDecodeError:
            raise _not_utf8(file) from None
        header = next(self._cells(), None)
        if header is None:
            raise Unusable("The file is empty.")
        self._header_ends, cells = header
        self.header = [cell.strip() or f"Column {place}" for place, cell in enumerate(cells, 1)]
        _usable(self.header)

    def lines(self) -> Iterator[Line]:
        """The rows after the header, blank ones passed over. Raises ``Unusable`` where reading stops."""
        count, before = 0, self._header_ends
        for number, (end, cells) in enumerate(self._cells()):
            begins, before = before + 1, end
            if not number or not any(cells):
                continue
            count += 1
            if count > MOST_ROWS:
                raise Unusable(f"The file has more than {MOST_ROWS:,} rows: import it in parts.", begins)
            yield Line(begins, [as_typed(cell) for cell in cells], self._wrong(cells))
        if not count and not self._may_be_empty:
            raise Unusable("The file has a header and no rows.")

    def count(self) -> int:
        """How many rows there are. Reads the file once, and raises ``Unusable`` where that stops."""
        return sum(1 for _ in self.lines())

    def _wrong(self, cells: list[str]) -> str:
        if len(cells) != len(self.header):
            return f"has {len(cells)} cells where the header has {len(self.header)}."
        if any("\x00" in cell for cell in cells):
            return "holds a NUL character."
        return ""

    def _open(self) -> IO[str]:
        return io.TextIOWrapper(io.BytesIO(self._file), encoding="utf-8-sig", newline="")

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        """Each record with the number of the line it ends on."""
        with self._open() as stream:
            reader = csv.reader(stream, delimiter=self.delimiter, strict=True)
            try:
                for cells in reader:
                    yield reader.line_num, cells
            except csv.Error as error:
                raise _unreadable(error, reader.line_num) from None
            except UnicodeDecodeError:
                raise _not_utf8(self._file) from None


def _refused(file: bytes) -> str:
    if not file.strip(b"\xef\xbb\xbf \t\r\n"):
        return "The file is empty."
    if len(file) > MOST_BYTES:
        return f"The file is larger than {MOST_BYTES // 1024**2} MB: import it in parts."
    for magic, sentence in _NOT_CSV:
        if file.startswith(magic):
            return sentence
    if file[:1000].count(0) > len(file[:1000]) // 5:
        return "The file is written in UTF-16 or is no text: save it as CSV, UTF-8."
    return ""


def _not_utf8(file: bytes) -> Unusable:
    try:
        file.decode()
    except UnicodeDecodeError as error:
        line = len(file[: error.start].splitlines())
        return Unusable("The file is not UTF-8 here: save it as CSV, UTF-8.", line)
    raise AssertionError("This is UTF-8.")


def _delimiter(header: str) -> str:
    """The one of comma, semicolon and tab that stands most often in the header, outside quotes."""
    bare = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


def _usable(header: list[str]) -> None:
    if len(header) > MOST_COLUMNS:
        raise Unusable(f"The file has more than {MOST_COLUMNS} columns.", 1)
    seen: set[str] = set()
    for name in header:
        if "\x00" in name or len(name) > LONGEST_HEADER:
            raise Unusable(f"The name of column {len(seen) + 1} is too long or holds a NUL character.", 1)
        if name.casefold() in seen:
            raise Unusable(f"The column “{name}” stands in the header twice.", 1)
        seen.add(name.casefold())


# The csv module's words for what is wrong, and ours.
_WORDS = {
    "unexpected end of data": "A quote is opened and never closed.",
    "field larger than field limit": "A cell is longer than 131,072 characters: most likely its quote is never closed.",
    "expected after": "A quote stands in the middle of a cell: quotes inside a quoted cell are doubled.",
}


def _unreadable(error: csv.Error, line: int) -> Unusable:
    for words, sentence in _WORDS.items():
        if words in str(error):
            return Unusable(sentence, line)
    return Unusable(f"The file cannot be read as CSV: {error}.", line)
