"""Failed payments and large invoices: one alert each, kept true until the cause is gone."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.crm.models import Alert, Bill
from apps.crm.models.bill import ReportedBill
from apps.crm.pipeline import CLOSED, ONBOARDED, OPEN, Stage
from apps.playbooks.engine import run
from tests.factories import NOW, account, days, in_days, user

pytestmark = pytest.mark.django_db

FAILED, LARGE = "failed-payment", "large-invoice"
S = Stage


def bill(of, status="open", *, name="in_1", amount="120", at=NOW, due=10, **facts):
    told = ReportedBill(
        external_id=name,
        account_id=of.pk,
        status=status,
        amount=Decimal(amount),
        reported_at=at,
        due_on=in_days(due) if due is not None else None,
        **facts,
    )
    Bill.objects.all().report([told])


def tick(name, later=timedelta(0)):
    run([name], now=NOW + later)


def alerts(of):
    return list(of.alerts.order_by("pk").values_list("subject", "attempts", "resolved_at", "resolution"))


def test_a_failed_bill_raises_one_alert_that_counts_its_attempts_and_closes_when_it_is_paid():
    here = account(S.ENGAGED_EMAIL)
    for attempt in (1, 2, 3):
        now = NOW + days(attempt)
        bill(here, attempts=attempt, at=now)
        tick(FAILED, days(attempt))
        tick(FAILED, days(attempt))
        assert alerts(here) == [("bill:in_1", attempt, None, "")]
    here.refresh_from_db()
    assert here.open_alerts == 1
    bill(here, "paid", attempts=3, at=NOW + days(4))
    tick(FAILED, days(4))
    here.refresh_from_db()
    assert alerts(here) == [("bill:in_1", 3, NOW + days(4), "The bill is paid.")]
    assert here.open_alerts == 0


@pytest.mark.parametrize("status", ["paid", "void", "uncollectible"])
def test_a_bill_that_is_settled_before_anybody_looked_raises_nothing(status):
    here = account(S.ENGAGED_EMAIL)
    bill(here, attempts=1)
    bill(here, status, attempts=1, at=NOW + days(1))
    bill(here, attempts=2, at=NOW)
    tick(FAILED, days(1))
    assert alerts(here) == []


def test_a_further_attempt_reopens_an_alert_that_was_resolved():
    here = account(S.ENGAGED_EMAIL)
    bill(here, attempts=1)
    tick(FAILED)
    here.alerts.get().resolve(by=user(), now=NOW, resolution="wrote to them")
    tick(FAILED, days(1))
    assert [alert.resolution for alert in here.alerts.all()] == ["wrote to them"]
    bill(here, attempts=2, at=NOW + days(2))
    tick(FAILED, days(2))
    here.refresh_from_db()
    assert alerts(here) == [("bill:in_1", 2, None, "")]
    assert here.open_alerts == 1


def test_two_failed_bills_of_one_account_raise_an_alert_each():
    here = account(S.ENGAGED_EMAIL)
    bill(here, attempts=1)
    bill(here, name="in_2", attempts=2)
    tick(FAILED)
    tick(FAILED)
    assert [(subject, attempts) for subject, attempts, *_ in alerts(here)] == [
        ("bill:in_1", 1),
        ("bill:in_2", 2),
    ]


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.number)
def test_only_accounts_in_an_open_stage_or_onboarded_are_alerted(stage):
    here = account(stage, forecast="5000", next_renewal_on=in_days(3))
    bill(here, attempts=1)
    run([FAILED, LARGE], now=NOW)
    expected = {FAILED} if stage in (*OPEN, *ONBOARDED) else set()
    assert set(here.alerts.values_list("kind", flat=True)) == expected
    assert set(OPEN) | set(CLOSED) | {S.OUTSIDE} == set(Stage)


@pytest.mark.parametrize(
    ("forecast", "renews", "last_paid", "expected"),
    [
        ("1000", 14, None, True),
        ("999.99", 14, None, False),
        ("1000", 15, None, False),
        ("1000", 0, None, True),
        ("1000", -1, None, False),
        ("500", 5, "250", True),
        ("500", 5, "250.01", False),
        ("499.99", 5, "100", False),
        ("900", 5, None, False),
        (None, 5, "100", False),
    ],
)
def test_an_invoice_is_large_at_these_edges(forecast, renews, last_paid, expected):
    here = account(S.INITIATED, forecast=forecast, next_renewal_on=in_days(renews))
    if last_paid:
        bill(here, "paid", name="in_0", amount=last_paid, due=-25)
    tick(LARGE)
    assert bool(alerts(here)) is expected


def test_an_upcoming_bill_counts_before_the_forecast_and_by_its_own_day():
    high, low, later = (
        account(S.INITIATED, forecast=f, next_renewal_on=in_days(5)) for f in ("10", "5000", "5000")
    )
    bill(high, "upcoming", name="a", amount="1200", due=5)
    bill(low, "draft", name="b", amount="90", due=5)
    bill(later, "upcoming", name="c", amount="5000", due=15)
    tick(LARGE)
    assert [bool(alerts(here)) for here in (high, low, later)] == [True, False, False]
    assert high.alerts.get().text.startswith("A bill of $1,200 is due on 2026-11-26.")


def test_once_the_period_has_its_bill_the_forecast_says_no_more():
    here = account(S.INITIATED, forecast="5000", next_renewal_on=in_days(5))
    bill(here, "open", amount="90", due=5)
    tick(LARGE)
    assert alerts(here) == []


def test_one_alert_whatever_becomes_of_forecast_upcoming_and_final_bill():
    here = account(S.INITIATED, forecast="1500", next_renewal_on=in_days(12))
    bill(here, "paid", name="in_0", amount="300", due=-20)
    tick(LARGE)
    here.edit(now=NOW, forecast="900")
    tick(LARGE, days(1))
    here.edit(now=NOW, forecast="1700")
    bill(here, "upcoming", amount="1650", at=NOW + days(2), due=13)
    tick(LARGE, days(2))
    here.edit(now=NOW, next_renewal_on=in_days(13))
    bill(here, "draft", amount="1660", at=NOW + days(12), due=13)
    tick(LARGE, days(12))
    bill(here, "open", amount="1660", at=NOW + days(13), due=13)
    tick(LARGE, days(13))
    assert alerts(here) == [("period:2026-12-03", 0, None, "")]
    assert here.alerts.get().text == (
        "A bill of $1,500 is due on 2026-12-03. Touch base so that it is no surprise. Their last bills: $300."
    )
    bill(here, "paid", amount="1660", at=NOW + days(14), due=13)
    tick(LARGE, days(14))
    here.refresh_from_db()
    assert alerts(here) == [("period:2026-12-03", 0, NOW + days(14), "The bill is paid.")]
    assert here.open_alerts == 0


def test_the_next_period_is_another_occasion():
    here = account(S.INITIATED, forecast="1500", next_renewal_on=in_days(5))
    tick(LARGE)
    here.edit(now=NOW, next_renewal_on=in_days(35))
    tick(LARGE, days(30))
    assert Alert.objects.filter(account=here, kind=LARGE).count() == 2


def test_bills_in_other_currencies_are_not_measured_in_dollars():
    here = account(S.INITIATED, next_renewal_on=in_days(5))
    bill(here, "upcoming", amount="900000", due=5, currency="JPY")
    tick(LARGE)
    assert alerts(here) == []
