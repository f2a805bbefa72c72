"""Which accounts are ours, row by row and at every edge."""

from datetime import date, timedelta

import pytest

from apps.crm.models import Account
from apps.crm.policy import Numbers
from apps.crm.scope import FACTS, TABLE, Outcome, because, decided_row
from tests.factories import NOW, TODAY, account, in_days

OURS, SALES, OUT, WATCH = Outcome.OURS, Outcome.SALES, Outcome.OUT, Outcome.WATCH


pytestmark = pytest.mark.django_db


def decided(given, rows=(), now=NOW):
    given = {"bills_reported" if name == "bills_paid" else name: value for name, value in given.items()}
    numbers = Numbers(now, list(rows))
    here = (
        Account.objects.annotate(row=decided_row(numbers)).values(*FACTS, "row").get(pk=account(**given).pk)
    )
    return here["row"], TABLE[here["row"] - 1].outcome, because(here["row"], here, numbers)


@pytest.mark.parametrize(
    ("given", "row", "outcome", "sentence"),
    [
        ({"hand_picked": "hype startup", "bills_paid": 9}, 1, OURS, "Picked by hand: hype startup."),
        ({"bills_paid": 4, "plan": "boost"}, 2, OUT, "Has paid 4 bills, more than 3."),
        ({"bills_paid": 3, "plan": "boost"}, 10, OURS, "Boost plan."),
        (
            {"sales_contact_kind": "AE", "sales_contact_name": "Ada", "plan": "boost"},
            3,
            SALES,
            "Sales is on it: AE Ada.",
        ),
        ({"contacted_sales": True}, 4, SALES, "Has contacted Sales and has no bill yet."),
        ({"contacted_sales": True, "bills_paid": 1}, 12, WATCH, "No rule makes it ours yet."),
        (
            {"plan": "pay_as_you_go", "forecast": "2000"},
            5,
            SALES,
            "First payment forecast at $2,000, at or above $2,000.",
        ),
        ({"plan": "pay_as_you_go", "forecast": "1999.99"}, 11, OURS, "Forecast $1,999.99, above $100."),
        (
            {"plan": "pay_as_you_go", "forecast": "2000", "bills_paid": 1},
            11,
            OURS,
            "Forecast $2,000, above $100.",
        ),
        ({"plan": "yc", "plan_ends_on": in_days(30)}, 6, OURS, "YC plan rolls off on 2026-12-21."),
        ({"plan": "yc", "plan_ends_on": in_days(31)}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "yc", "plan_ends_on": in_days(-400)}, 6, OURS, "YC plan rolls off on 2025-10-17."),
        (
            {"plan": "yc", "plan_ends_on": in_days(31), "forecast": "100.01"},
            11,
            OURS,
            "Forecast $100.01, above $100.",
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
            "Startup plan with $1,500.01 of credit used a month, above $1,500.",
        ),
        ({"plan": "startup", "credit_use": "1500"}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "startup", "credit_use": "500"}, 12, WATCH, "No rule makes it ours yet."),
        (
            {"plan": "startup", "credit_use": "499.99"},
            9,
            OUT,
            "Startup plan with no bill and $499.99 of credit used a month, under $500.",
        ),
        ({"plan": "startup"}, 9, OUT, "Startup plan with no bill and $0 of credit used a month, under $500."),
        ({"plan": "startup", "bills_paid": 1}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "pay_as_you_go", "forecast": "100.01"}, 11, OURS, "Forecast $100.01, above $100."),
        ({"plan": "pay_as_you_go", "forecast": "100.00"}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "pay_as_you_go"}, 12, WATCH, "No rule makes it ours yet."),
        ({"plan": "annual", "forecast": "900"}, 12, WATCH, "No rule makes it ours yet."),
        ({}, 12, WATCH, "No rule makes it ours yet."),
    ],
)
def test_the_first_row_that_holds_decides_and_says_why(given, row, outcome, sentence):
    assert decided(given) == (row, outcome, sentence)


def test_a_threshold_holds_from_its_day_on():
    rows = [("scope_entry_forecast", "250", date(2026, 11, 22))]
    given = {"plan": "pay_as_you_go", "forecast": "200"}
    assert decided(given, rows)[1] == OURS
    assert decided(given, rows, NOW + timedelta(days=1))[1] == WATCH


def test_the_day_is_the_teams_own():
    given = {"plan": "yc", "plan_ends_on": in_days(31)}
    late = NOW.replace(hour=23)
    assert decided(given, now=late)[1] == WATCH
    assert decided(given, [("time_zone", "Pacific/Auckland", TODAY)], late)[1] == OURS


def test_each_decision_is_kept_once_with_the_facts_it_saw():
    here = account(plan="pay_as_you_go", forecast="101")
    numbers = Numbers(NOW, [])
    everybody = Account.objects.all()
    assert everybody.to_decide(numbers).decide(numbers, now=NOW) == 1
    assert everybody.decide(numbers, now=NOW) == 0
    assert not everybody.to_decide(numbers).exists()
    here.edit(now=NOW, forecast="99")
    here.edit(now=NOW, forecast="98")
    assert everybody.to_decide(numbers).decide(numbers, now=NOW) == 1
    here.refresh_from_db()
    assert (here.scope, here.scope_row, here.route) == (WATCH, 12, "No rule makes it ours yet.")
    kept = list(here.decisions.order_by("pk").values_list("outcome", "row", "because", "facts__forecast"))
    assert kept == [(OURS, 11, "Forecast $101, above $100.", "101.00"), (WATCH, 12, here.route, "98.00")]


def test_deciding_again_is_due_the_day_after():
    account(plan="yc", plan_ends_on=in_days(31))
    everybody = Account.objects.all()
    everybody.decide(Numbers(NOW, []), now=NOW)
    tomorrow = NOW + timedelta(days=1)
    assert everybody.to_decide(Numbers(tomorrow, [])).decide(Numbers(tomorrow, []), now=tomorrow) == 1
    assert everybody.get().scope == OURS
