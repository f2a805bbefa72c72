"""The pages of /settings/, in the order of their list: one line each; the frame and the palette read them here."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """A page of the settings: the name of its address, its label, what it is for, and the right its changes need."""

    name: str
    label: str
    says: str
    right: str


SECTIONS = (
    Section(
        "settings_me", "My settings", "Your time zone, your mail, the keys, and how you sign in.", "read"
    ),
)
