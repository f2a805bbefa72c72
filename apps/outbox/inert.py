"""Text that other people wrote, made fit to leave: nothing in it acts on a reader."""

import re

# Marks that turn the direction of what follows, and controls; a tab and a line's end are the only ones that stay.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]"
)


def inert(text: str) -> str:
    """Any text, of any number of lines, without marks that reorder, hide or end it."""
    return _ACTING.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """Any text as one line, such as the subject of a mail."""
    return " ".join(inert(text).split())
