"""Bills as other systems tell them: any order, any number of times, one end."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from apps.crm.models import Account, Bill
from apps.crm.models.bill import ReportedBill
from tests.factories import NOW, TODAY, account

pytestmark = pytest.mark.django_db


def told(of, status, *, at=0, **facts):
    return ReportedBill(
        external_id="in_1",
        account_id=of.pk,
        status=status,
        reported_at=NOW + timedelta(minutes=at),
        **{"amount": Decimal(120), "period_start": TODAY, **facts},
    )


def kept():
    return Bill.objects.values_list("status", "amount", "attempts").get()


def test_every_order_of_a_bills_reports_ends_the_same():
    here = account()
    story = [
        told(here, "draft", at=0, amount=Decimal(100)),
        told(here, "open", at=1),
        told(here, "open", at=2, attempts=1),
        told(here, "open", at=3, attempts=2),
        told(here, "paid", at=4, attempts=2, paid_at=NOW),
    ]
    for order in permutations(story):
        Bill.objects.all().delete()
        for report in order:
            Bill.objects.all().report([report])
        assert kept() == ("paid", Decimal(120), 2)


def test_of_two_reports_of_the_same_time_the_one_further_along_holds():
    here = account()
    for order in permutations(
        [told(here, "draft"), told(here, "open", attempts=1), told(here, "uncollectible")]
    ):
        Bill.objects.all().delete()
        for report in order:
            Bill.objects.all().report([report])
        assert kept()[0] == "uncollectible"


@pytest.mark.parametrize("final", ["paid", "void"])
def test_paid_and_void_are_final(final):
    here = account()
    Bill.objects.all().report([told(here, final)])
    assert Bill.objects.all().report([told(here, "open", at=9, attempts=1)])["unchanged"] == 1
    assert kept()[0] == final


def test_the_same_report_again_is_unchanged_and_counts_are_kept_on_the_account():
    here = account()
    paid = told(here, "paid", amount=Decimal("500.00"), paid_at=NOW)
    later = replace(paid, external_id="in_2", status="open", period_start=TODAY + timedelta(days=31))
    assert Bill.objects.all().report([paid, later]) == {"created": 2, "updated": 0, "unchanged": 0}
    assert Bill.objects.all().report([paid, later]) == {"created": 0, "updated": 0, "unchanged": 2}
    again = replace(later, attempts=1, reported_at=NOW + timedelta(hours=1))
    assert Bill.objects.all().report([again]) == {"created": 0, "updated": 1, "unchanged": 0}
    here.refresh_from_db()
    assert (here.bills_held, here.bills_paid, here.first_bill) == (1, 1, Decimal(500))
    assert not Account.objects.all().recount()


def test_a_bill_stays_with_its_account():
    here, other = account(), account()
    Bill.objects.all().report([told(here, "open")])
    assert Bill.objects.all().report([told(other, "paid", at=9)])["unchanged"] == 1
    assert Bill.objects.get().account == here
