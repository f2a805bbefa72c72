"""How facts are written for a reader: days, money, and the stage's colour group. Strings in, strings out."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers

GROUPS: dict[str, str] = {
    Stage.OUTSIDE: "churned",
    Stage.NEW: "new",
    Stage.INITIATED: "initiated",
    Stage.ENGAGED_EMAIL: "engaged",
    Stage.CALL_BOOKED: "engaged",
    Stage.INTRO_CALL_COMPLETED: "calls",
    Stage.SECOND_CALL_COMPLETED: "calls",
    Stage.HOMEWORK_OFFERED: "calls",
    Stage.AWAITING_FINAL_OUTREACH: "final",
    Stage.ONBOARDED_NO_ENGAGEMENT: "onboarded",
    Stage.ONBOARDED_ENGAGED: "onboarded",
    Stage.SALES_HANDOFF: "handoff",
    Stage.CHURNED: "churned",
    Stage.PAID_CALL: "paid",
}

RUNWAY_WIDTH = 60
RUNWAY_DAYS = 30


@lru_cache(maxsize=2048)
def away_short(when: date | None, today: date) -> str:
    """How far a day is, for a table: "10 d", "today", "−3 d"."""
    if when is None:
        return ""
    days = (when - today).days
    return "today" if days == 0 else f"{days} d".replace("-", "−")


def in_days(today: date, days: int) -> str:
    """The day so many days ahead, as a date field takes it."""
    return (today + timedelta(days=days)).isoformat()


def money(amount: Decimal | None) -> str:
    """Whole dollars with thousands set apart; empty for unknown."""
    return "" if amount is None else f"${amount:,.0f}"


def amount(sum_: Decimal, currency: str) -> str:
    """A bill's sum to the cent: "$120", "$99.50", "EUR 120"."""
    figure = f"{sum_:,.2f}".removesuffix(".00")
    return f"${figure}" if currency == "USD" else f"{currency} {figure}"


def days_since(when: datetime | None, now: datetime) -> int:
    """Whole days gone by; 0 for unknown."""
    return max((now - when).days, 0) if when else 0


def ago(when: datetime, now: datetime) -> str:
    """How long ago a moment was: "just now", "12 minutes ago", "2 hours ago", "3 days ago"."""
    minutes = max(int((now - when).total_seconds() // 60), 0)
    for size, word in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            number = minutes // size
            return f"{number} {word}{'s' if number > 1 else ''} ago"
    return "just now"


def on_it(name: str, claimed_at: datetime | None, numbers: Numbers) -> str:
    """Who is on an account and for how long: "Dan is on this, 12 min"; empty where the claim has ended."""
    if claimed_at is None:
        return ""
    minutes = max(int((numbers.now - claimed_at).total_seconds() // 60), 0)
    return f"{name} is on this, {minutes} min" if minutes < numbers.claim_minutes else ""


def runway_at(days: int) -> int:
    """Where on the strip a day stands that is so many days before the renewal."""
    gone = 1 - min(max(days, 0), RUNWAY_DAYS) / RUNWAY_DAYS
    return round(4 + gone * (RUNWAY_WIDTH - 8))
