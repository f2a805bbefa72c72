"""Which accounts are ours: the decision table, a pure function of an account's facts and the policy.

The rows and their order are the team's ("Which customers get onboarding?" in its handbook); the first that
holds decides. The policy's thresholds hold from a day on, so yesterday's decision stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import models

from apps.crm.policy import Numbers


class Outcome(models.TextChoices):
    """What becomes of an account. Empty: not decided yet."""

    UNDECIDED = "", "Not decided yet"
    OURS = "ours", "Ours"
    SALES = "sales", "Sales"
    OUT = "out", "Out of scope"
    WATCH = "watch", "Watch"


@dataclass(frozen=True)
class ScopeFacts:
    """What a decision looks at. Money in dollars, ``credit_use`` a month; None is unknown."""

    plan: str = ""
    forecast: Decimal | None = None
    first_bill: Decimal | None = None
    bills_paid: int = 0
    credit_use: Decimal | None = None
    plan_ends_on: date | None = None
    sales_contact: str = ""
    contacted_sales: bool = False
    hand_picked: str = ""


@dataclass(frozen=True)
class Decision:
    """The row of the table that held (1 to 12), what it means, and why in a sentence."""

    row: int
    outcome: Outcome
    because: str


@dataclass(frozen=True)
class Row:
    """One row: when it holds, what it decides, and its sentence with the facts filled in."""

    holds: Callable[[ScopeFacts, Numbers], bool]
    outcome: Outcome
    because: str


def _dollars(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"${amount:,.2f}".removesuffix(".00")


def _rolls_off(facts: ScopeFacts, numbers: Numbers) -> bool:
    """The plan ends soon or has ended."""
    return facts.plan_ends_on is not None and (
        (facts.plan_ends_on - numbers.today).days <= numbers.scope_rolloff_days
    )


def _no_bill(facts: ScopeFacts) -> bool:
    return facts.bills_paid == 0 and facts.first_bill is None


def _first_payment(facts: ScopeFacts) -> Decimal:
    """The first bill, once there is one, else what it is forecast to be."""
    return (facts.forecast if facts.first_bill is None else facts.first_bill) or Decimal(0)


TABLE: tuple[Row, ...] = (
    Row(lambda facts, _: bool(facts.hand_picked), Outcome.OURS, "Picked by hand: {hand_picked}"),
    Row(
        lambda facts, n: facts.bills_paid > n.scope_bills_paid,
        Outcome.OUT,
        "Has paid {bills_paid} bills, more than {n.scope_bills_paid}.",
    ),
    Row(lambda facts, _: bool(facts.sales_contact), Outcome.SALES, "Sales is on it: {sales_contact}."),
    Row(
        lambda facts, _: _no_bill(facts) and facts.contacted_sales,
        Outcome.SALES,
        "Has contacted Sales and has no bill yet.",
    ),
    Row(
        lambda facts, n: facts.bills_paid == 0 and (facts.forecast or 0) >= n.scope_sales_forecast,
        Outcome.SALES,
        "First payment forecast at {forecast}, at or above {n.scope_sales_forecast}.",
    ),
    Row(
        lambda facts, n: facts.plan == "yc" and _rolls_off(facts, n),
        Outcome.OURS,
        "YC plan rolls off on {plan_ends_on}.",
    ),
    Row(
        lambda facts, n: (
            facts.plan == "startup"
            and _rolls_off(facts, n)
            and n.scope_startup_bill_from <= _first_payment(facts) <= n.scope_startup_bill_to
        ),
        Outcome.OURS,
        "Startup plan rolls off on {plan_ends_on} with a first bill of {first_payment}.",
    ),
    Row(
        lambda facts, n: facts.plan == "startup" and (facts.credit_use or 0) > n.scope_credit_high,
        Outcome.OURS,
        "Startup plan with {credit_use} of credit used a month, above {n.scope_credit_high}.",
    ),
    Row(
        lambda facts, n: (
            facts.plan == "startup" and _no_bill(facts) and (facts.credit_use or 0) < n.scope_credit_low
        ),
        Outcome.OUT,
        "Startup plan with no bill and {credit_use} of credit used a month, under {n.scope_credit_low}.",
    ),
    Row(lambda facts, _: facts.plan == "boost", Outcome.OURS, "Boost plan."),
    Row(
        lambda facts, n: (
            facts.plan in ("pay_as_you_go", "yc") and (facts.forecast or 0) > n.scope_entry_forecast
        ),
        Outcome.OURS,
        "Forecast {forecast}, above {n.scope_entry_forecast}.",
    ),
    Row(lambda facts, _: True, Outcome.WATCH, "No rule makes it ours yet."),
)


def decide(facts: ScopeFacts, numbers: Numbers) -> Decision:
    """The decision for an account with these facts under the policy of that day."""
    for number, row in enumerate(TABLE, start=1):
        if row.holds(facts, numbers):
            because = row.because.format(
                n=numbers,
                hand_picked=facts.hand_picked.rstrip(".") + ".",
                bills_paid=facts.bills_paid,
                sales_contact=facts.sales_contact,
                forecast=_dollars(facts.forecast),
                first_payment=_dollars(_first_payment(facts)),
                credit_use=_dollars(facts.credit_use or Decimal(0)),
                plan_ends_on=facts.plan_ends_on,
            )
            return Decision(number, row.outcome, because)
    raise AssertionError("The last row always holds.")
