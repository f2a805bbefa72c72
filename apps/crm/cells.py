"""Text in the cells of a CSV file: inert on its way out, and as it was typed on its way back in."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

# What a spreadsheet takes for a formula, and what is written in front of it so that it does not. A text that begins
# like that already gets one more, so that reading takes back just what writing put there.
_ACTS = re.compile(r"'*[=+\-@\t\r\n]")
_SHIELD = "'"


def inert(text: str) -> str:
    """A text as a cell that no spreadsheet computes."""
    return _SHIELD + text if _ACTS.match(text) else text


def as_typed(cell: str) -> str:
    """The text that a cell made by ``inert`` stands for; any other cell as it is."""
    return cell[1:] if cell[:1] == _SHIELD and _ACTS.match(cell) else cell


def cell(value: Any) -> str:
    """A value as a cell: ISO days, UTC moments, decimal strings; nothing is an empty cell.

    Only text can be a formula. A negative number is one, and stays one.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case int():
            return str(value)
    return inert(str(value))
