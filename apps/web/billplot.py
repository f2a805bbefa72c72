"""The last bills of an account as a small plot: geometry in, nothing looked up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from apps.crm.days import day
from apps.crm.models import Bill
from apps.web.display import amount

HEIGHT, BAR, GAP = 40, 14, 6
# Void bills were never owed.
LEFT_OUT = (Bill.Status.VOID,)


class Bar(NamedTuple):
    """One bill: where its bar stands, how high from zero, and its words."""

    x: int
    y: float
    height: float
    look: str
    words: str


class Plot(NamedTuple):
    """The bars, oldest first, with the width they take and the whole in words."""

    bars: list[Bar]
    width: int
    words: str


def words(bill: Bill, today: date) -> str:
    """A bill in words: "1 Nov: $120, open, 2 failed attempts"."""
    when = day(bill.due_on or bill.period_start, today)
    failed = f", {bill.attempts} failed attempt{'' if bill.attempts == 1 else 's'}" if bill.attempts else ""
    of = amount(bill.amount, bill.currency)
    return f"{when + ': ' if when else ''}{of}, {bill.get_status_display().lower()}{failed}"


def plot(bills: Sequence[Bill], today: date) -> Plot | None:
    """A plot of bills given newest first; None for none. One currency only, the newest bill's: sums must compare."""
    shown = [bill for bill in bills if bill.status not in LEFT_OUT and bill.currency == bills[0].currency]
    if not shown:
        return None
    most = max([Decimal(1), *(bill.amount for bill in shown)])
    bars = []
    for number, bill in enumerate(reversed(shown)):
        height = round(float(max(bill.amount, Decimal(0)) / most) * HEIGHT, 1)
        bars.append(Bar(number * (BAR + GAP), HEIGHT - height, height, _look(bill), words(bill, today)))
    return Plot(bars, len(bars) * (BAR + GAP) - GAP, "; ".join(bar.words for bar in bars))


def _look(bill: Bill) -> str:
    if bill.status in (Bill.Status.UPCOMING, Bill.Status.DRAFT):
        return "ahead"
    return "failed" if bill.attempts and bill.status != Bill.Status.PAID else "due"
