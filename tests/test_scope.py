"""Which accounts are ours, row by row and at every edge."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from apps.crm.policy import Numbers
from apps.crm.scope import Outcome, ScopeFacts, decide
from tests.factories import NOW, TODAY, in_days

OURS, SALES, OUT, WATCH = Outcome.OURS, Outcome.SALES, Outcome.OUT, Outcome.WATCH


def facts(**given):
    money = {"forecast", "first_bill", "credit_use"}
    return ScopeFacts(**{name: Decimal(value) if name in money else value for name, value in given.items()})


def decided(given, rows=(), now=NOW):
    return decide(facts(**given), Numbers(now, list(rows)))


@pytest.mark.parametrize(
    ("given", "row", "outcome", "sentence"),
    [
        ({"hand_picked": "hype startup", "bills_paid": 9}, 1, OURS, "Picked by hand: hype startup."),
        ({"bills_paid": 4, "plan": "boost"}, 2, OUT, "Has paid 4 bills, more than 3."),
        ({"bills_paid": 3, "plan": "boost"}, 10, OURS, "Boost plan."),
        ({"sales_contact": "AE Ada", "plan": "boost"}, 3, SALES, "Sales is on it: AE Ada."),
        ({"contacted_sales": True}, 4, SALES, "Has contacted Sales and has no bill yet."),
        ({"contacted_sales": True, "bills_paid": 1}, 12, WATCH, "No rule makes it ours yet."),
        (
            {"plan": "pay_as_you_go", "forecast": "2000"},
            5,
            SALES,
            "First payment forecast at $2,000, at or above 2000.",
        ),
        ({"plan": "pay_as_you_go", "forecast": "1999.99"}, 11, OURS, "Forecast $1,999.99, above 100."),
        (
            {"plan": "pay_as_you_go", "forecast": "2000", "bills_paid": 1},
            11,
            OURS,
            "Forecast $2,000, above 100.",
        ),
        ({"plan": "yc", "plan_ends_on": in_days(30)}, 6, OURS, "YC plan rolls off on 2026-12-21."),
        ({"plan": "yc", "plan_ends_on": in_days(31)}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "yc", "plan_ends_on": in_days(-400)}, 6, OURS, "YC plan rolls off on 2025-10-17."),
        (
            {"plan": "yc", "plan_ends_on": in_days(31), "forecast": "100.01"},
            11,
            OURS,
            "Forecast $100.01, above 100.",
        ),
        (
            {"plan": "startup", "plan_ends_on": in_days(30), "first_bill": "500"},
            7,
            OURS,
            "Startup plan rolls off on 2026-12-21 with a first bill of $500.",
        ),
        (
            {"plan": "startup", "plan_ends_on": TODAY, "first_bill": "1500", "forecast": "9"},
            7,
            OURS,
            "Startup plan rolls off on 2026-11-21 with a first bill of $1,500.",
        ),
        (
            {"plan": "startup", "plan_ends_on": TODAY, "first_bill": "1500.01"},
            12,
            WATCH,
            "No rule makes it ours yet.",
        ),
        (
            {"plan": "startup", "plan_ends_on": TODAY, "first_bill": "499.99"},
            12,
            WATCH,
            "No rule makes it ours yet.",
        ),
        (
            {"plan": "startup", "plan_ends_on": TODAY, "forecast": "700"},
            7,
            OURS,
            "Startup plan rolls off on 2026-11-21 with a first bill of $700.",
        ),
        (
            {"plan": "startup", "plan_ends_on": in_days(31), "first_bill": "700"},
            12,
            WATCH,
            "No rule makes it ours yet.",
        ),
        (
            {"plan": "startup", "credit_use": "1500.01"},
            8,
            OURS,
            "Startup plan with $1,500.01 of credit used a month, above 1500.",
        ),
        ({"plan": "startup", "credit_use": "1500"}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "startup", "credit_use": "500"}, 12, WATCH, "No rule makes it ours yet."),
        (
            {"plan": "startup", "credit_use": "499.99"},
            9,
            OUT,
            "Startup plan with no bill and $499.99 of credit used a month, under 500.",
        ),
        ({"plan": "startup"}, 9, OUT, "Startup plan with no bill and $0 of credit used a month, under 500."),
        ({"plan": "startup", "bills_paid": 1}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "pay_as_you_go", "forecast": "100.01"}, 11, OURS, "Forecast $100.01, above 100."),
        ({"plan": "pay_as_you_go", "forecast": "100.00"}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "pay_as_you_go"}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "annual", "forecast": "900"}, 12, WATCH, "No rule makes it ours yet."),
        ({}, 12, WATCH, "No rule makes it ours yet."),
    ],
)
def test_the_first_row_that_holds_decides_and_says_why(given, row, outcome, sentence):
    decision = decided(given)
    assert (decision.row, decision.outcome, decision.because) == (row, outcome, sentence)


def test_a_threshold_holds_from_its_day_on():
    rows = [("scope_entry_forecast", "250", date(2026, 11, 22))]
    given = {"plan": "pay_as_you_go", "forecast": "200"}
    assert decided(given, rows).outcome == OURS
    assert decided(given, rows, NOW + timedelta(days=1)).outcome == WATCH


def test_the_day_is_the_teams_own():
    given = {"plan": "yc", "plan_ends_on": in_days(31)}
    late = NOW.replace(hour=23)
    assert decided(given, now=late).outcome == WATCH
    assert decided(given, [("time_zone", "Pacific/Auckland", TODAY)], late).outcome == OURS
