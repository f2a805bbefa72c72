"""Two at once: a bill that comes while sums and entries are written, and none of them goes wrong."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from django.db import connection, transaction

from apps.crm.models import Bill, Billed, Entry
from tests.counting import S
from tests.factories import NOW, account, days

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def one():
    return account(S.NEW, since=NOW - days(140))


def bill(of, month, amount):
    return Bill.objects.create(
        account=of,
        external_id=f"in_{month}-{amount}",
        period_start=date(2026, month, 1),
        period_end=date(2026, month + 1, 1),
        amount=amount,
        status="paid",
        reported_at=NOW,
    )


def is_waited_for():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
            " AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        )
        return cursor.fetchone()[0]


def at_once(first, second):
    """The second begins, on a connection of its own, when the first has written and is not done; what it returned."""

    def other():
        try:
            return second()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        first()
        done, patience = pool.submit(other), time.monotonic() + 60
        while not (done.done() or is_waited_for()) and time.monotonic() < patience:
            time.sleep(0.01)
        transaction.on_commit(lambda: done.result(60))
    return done.result()


BILL, OTHER, MEND = "bill", "another bill", "the nightly repair"


@pytest.mark.parametrize(("first", "second"), [(BILL, MEND), (MEND, BILL), (BILL, OTHER), (OTHER, BILL)])
def test_the_sums_are_those_of_all_bills_whoever_was_first(one, first, second):
    bill(one, 7, 100)
    Billed.objects.update(cohort_billed=Decimal("0.01"))
    done = {
        BILL: lambda: bill(one, 7, 250),
        OTHER: lambda: bill(one, 10, 300),
        MEND: lambda: Billed.objects.mend(),
    }
    at_once(done[first], done[second])
    found = Billed.objects.values_list("cohort_on", "cohort_billed", "kept_billed", "kept").get(account=one)
    late = 300 if OTHER in (first, second) else 0
    assert found == (date(2026, 7, 1), 350, late, bool(late))
    assert Billed.objects.mend() == (0, 0)


def test_an_entry_that_is_written_while_a_bill_comes_knows_its_end(one):
    at_once(Entry.objects.bring_up_to_date, lambda: bill(one, 7, 100))
    assert Entry.objects.get().renewed_on == date(2026, 8, 1)


def test_an_entry_of_an_account_whose_bill_is_being_written_is_left_for_the_next_time(one):
    assert at_once(lambda: bill(one, 7, 100), Entry.objects.bring_up_to_date) == 0
    assert Entry.objects.bring_up_to_date() == 1
    assert Entry.objects.get().renewed_on == date(2026, 8, 1)
