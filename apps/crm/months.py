"""Months and weeks, each known by its first day."""

from __future__ import annotations

from datetime import date, timedelta


def month_of(day: date) -> date:
    """The month of a day."""
    return day.replace(day=1)


def after(month: date, number: int) -> date:
    """The month so many after this one, or before it."""
    years, place = divmod(month.month - 1 + number, 12)
    return date(month.year + years, place + 1, 1)


def monday(day: date) -> date:
    """The week of a day."""
    return day - timedelta(days=day.weekday())
