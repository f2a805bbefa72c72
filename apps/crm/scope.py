"""Which accounts are ours: the decision table, read from an account's facts and the policy of the day.

The rows and their order are the team's ("Which customers get onboarding?" in its handbook); the first that
holds decides. Each row is one condition of a query, so that the same rule answers for one account, for all of
them, and for a day to come. Thresholds hold from a day on: yesterday's decision stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from django.db import models
from django.db.models import Case, ExpressionWrapper, F, Q, Value, When

from apps.crm.pipeline import ONBOARDED, OPEN, Stage
from apps.crm.policy import Numbers


class Outcome(models.TextChoices):
    """What becomes of an account. Empty: not decided yet."""

    UNDECIDED = "", "Not decided yet"
    OURS = "ours", "Ours"
    SALES = "sales", "Sales"
    OUT = "out", "Out of scope"
    WATCH = "watch", "Watch"


@dataclass(frozen=True)
class Row:
    """One row: the condition under which it holds, what it decides, and its sentence with the facts to fill in."""

    where: Callable[[Numbers], Q]
    outcome: Outcome
    because: str


# The facts a decision looks at, by their columns on the account; kept with each decision.
FACTS = (
    "plan",
    "forecast",
    "first_bill",
    "bills_paid",
    "credit_use",
    "plan_ends_on",
    "sales_contact_kind",
    "sales_contact_name",
    "sales_contact_email",
    "contacted_sales",
    "hand_picked",
)

_NO_BILL = Q(bills_paid=0, first_bill__isnull=True)
_WITH_SALES = ~Q(sales_contact_kind="", sales_contact_name="", sales_contact_email="")


def _rolls_off(numbers: Numbers) -> Q:
    """The plan ends soon or has ended."""
    return Q(plan_ends_on__lte=numbers.today + timedelta(days=numbers.scope_rolloff_days))


def _first_payment_between(low: int, high: int) -> Q:
    """The first bill, once there is one, else what it is forecast to be."""
    return Q(first_bill__range=(low, high)) | Q(first_bill__isnull=True, forecast__range=(low, high))


TABLE: tuple[Row, ...] = (
    Row(lambda _: ~Q(hand_picked=""), Outcome.OURS, "Picked by hand: {hand_picked}"),
    Row(
        lambda n: Q(bills_paid__gt=n.scope_bills_paid),
        Outcome.OUT,
        "Has paid {bills_paid} bills, more than {n.scope_bills_paid}.",
    ),
    Row(lambda _: _WITH_SALES, Outcome.SALES, "Sales is on it: {sales_contact}."),
    Row(
        lambda _: _NO_BILL & Q(contacted_sales=True),
        Outcome.SALES,
        "Has contacted Sales and has no bill yet.",
    ),
    Row(
        lambda n: Q(bills_paid=0, forecast__gte=n.scope_sales_forecast),
        Outcome.SALES,
        "First payment forecast at {forecast}, at or above ${n.scope_sales_forecast:,}.",
    ),
    Row(lambda n: Q(plan="yc") & _rolls_off(n), Outcome.OURS, "YC plan rolls off on {plan_ends_on}."),
    Row(
        lambda n: (
            Q(plan="startup")
            & _rolls_off(n)
            & _first_payment_between(n.scope_startup_bill_from, n.scope_startup_bill_to)
        ),
        Outcome.OURS,
        "Startup plan rolls off on {plan_ends_on} with a first bill of {first_payment}.",
    ),
    Row(
        lambda n: Q(plan="startup", credit_use__gt=n.scope_credit_high),
        Outcome.OURS,
        "Startup plan with {credit_use} of credit used a month, above ${n.scope_credit_high:,}.",
    ),
    Row(
        lambda n: (
            Q(plan="startup") & _NO_BILL & (Q(credit_use__isnull=True) | Q(credit_use__lt=n.scope_credit_low))
        ),
        Outcome.OUT,
        "Startup plan with no bill and {credit_use} of credit used a month, under ${n.scope_credit_low:,}.",
    ),
    Row(lambda _: Q(plan="boost"), Outcome.OURS, "Boost plan."),
    Row(
        lambda n: Q(plan__in=("pay_as_you_go", "yc"), forecast__gt=n.scope_entry_forecast),
        Outcome.OURS,
        "Forecast {forecast}, above ${n.scope_entry_forecast:,}.",
    ),
    Row(lambda _: Q(), Outcome.WATCH, "No rule makes it ours yet."),
)


class Asks(models.TextChoices):
    """What a decision asks to be done with an account outside the pipeline."""

    NOTHING = "", "Nothing"
    ENTER = "enter", "Enter the pipeline"
    REFER = "refer", "Tell Sales"


# The rows that ask for it. The fifth makes an account a lead for Sales before its first payment.
ASKING: dict[Asks, tuple[int, ...]] = {
    Asks.ENTER: tuple(number for number, row in enumerate(TABLE, start=1) if row.outcome == Outcome.OURS),
    Asks.REFER: (5,),
}


def decided_row(numbers: Numbers) -> Case:
    """The number of the row that decides for an account (1 to 12), as an expression of a query."""
    rows = [When(row.where(numbers), then=Value(number)) for number, row in enumerate(TABLE[:-1], start=1)]
    return Case(*rows, default=Value(len(TABLE)), output_field=models.PositiveSmallIntegerField())


def edition(numbers: Numbers) -> int:
    """The table with its numbers, the day left aside, as a number above 0: another one means to decide anew."""
    dayless = copy(numbers)
    dayless.today = date(2000, 1, 1)
    read = [numbers.time_zone, *((row.where(dayless), row.outcome, row.because) for row in TABLE)]
    return int.from_bytes(blake2b(repr(read).encode(), digest_size=7).digest()) + 1


def holds_until(numbers: Numbers) -> Case:
    """The first day on which another row may hold though no fact and no number changes, as an expression."""
    window = timedelta(days=numbers.scope_rolloff_days)
    return Case(
        When(
            plan_ends_on__gt=numbers.today + window,
            then=ExpressionWrapper(F("plan_ends_on") - Value(window.days), models.DateField()),
        ),
        default=Value(date.max),
        output_field=models.DateField(),
    )


def dollars(amount: Decimal | None) -> str:
    """An amount for a sentence: "$2,000", "$100.01"; unknown is nothing."""
    return f"${amount or Decimal(0):,.2f}".removesuffix(".00")


def because(row: int, facts: Mapping[str, Any], numbers: Numbers) -> str:
    """Why row ``row`` of the table holds, in a sentence; ``facts`` has the columns of ``FACTS``."""
    contact = (facts[f"sales_contact_{part}"] for part in ("kind", "name"))
    return TABLE[row - 1].because.format(
        n=numbers,
        hand_picked=facts["hand_picked"].rstrip(".") + ".",
        bills_paid=facts["bills_paid"],
        sales_contact=" ".join(filter(None, contact)) or facts["sales_contact_email"],
        forecast=dollars(facts["forecast"]),
        first_payment=dollars(facts["forecast"] if facts["first_bill"] is None else facts["first_bill"]),
        credit_use=dollars(facts["credit_use"]),
        plan_ends_on=facts["plan_ends_on"],
    )


def segments(stage: str, forecast: Decimal | None, numbers: Numbers) -> tuple[str, ...]:
    """The segments an account stands in, by the team's names; derived, never stored, and no rule reads them."""
    in_band = forecast is not None and numbers.scope_entry_forecast < forecast <= numbers.scope_band_to
    found = {
        "Onboarding Lead": stage in OPEN,
        "Onboarding Lead 100-500MRR": stage in OPEN and in_band,
        "Create AE Lead": stage == Stage.SALES_HANDOFF,
        "Onboarding Completed": stage in ONBOARDED,
    }
    return tuple(name for name, holds in found.items() if holds)
