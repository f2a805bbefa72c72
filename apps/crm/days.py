"""Days as people say them, on pages and in mails alike."""

from __future__ import annotations

import re
from datetime import date, datetime, tzinfo
from functools import lru_cache


@lru_cache(maxsize=2048)
def day(when: date | None, today: date) -> str:
    """A day as "1 Dec", with the year where it is not this one; empty for none."""
    if when is None:
        return ""
    return f"{when.day} {when:%b}" if when.year == today.year else f"{when.day} {when:%b %Y}"


@lru_cache(maxsize=2048)
def away(when: date | None, today: date) -> str:
    """How far a day is, in words: "today", "tomorrow", "in 10 days", "3 days ago"."""
    if when is None:
        return ""
    days = (when - today).days
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}
    return near.get(days) or (f"in {days} days" if days > 0 else f"{-days} days ago")


def moment(when: datetime | None, today: date, zone: tzinfo) -> str:
    """A moment on the reader's clock, as "21 Nov, 09:00"; empty for none."""
    if when is None:
        return ""
    local = when.astimezone(zone)
    return f"{day(local.date(), today)}, {local:%H:%M}"


_WRITTEN_DAY = re.compile(r"\b20\d\d-[01]\d-[0-3]\d\b(?!T)")


def spoken(text: str, today: date) -> str:
    """A line that we wrote ourselves, such as why a playbook acted, with its days as people say them.

    The ledger, the API and the files keep them as they are: "Renews 2026-12-01, in 10 days".
    """
    return _WRITTEN_DAY.sub(lambda found: _spoken_day(found[0], today), text)


def _spoken_day(written: str, today: date) -> str:
    try:
        return day(date.fromisoformat(written), today)
    except ValueError:
        return written
