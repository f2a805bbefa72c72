"""Paging by keyset: every row once, in order, whatever the column, its direction and its gaps."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.crm.filters import SORTS
from apps.crm.keyset import BROKEN, Order, count_text, counts, page
from apps.crm.models import Account
from apps.crm.pipeline import STAGES, Stage
from tests.factories import NOW, account, in_days, user

pytestmark = pytest.mark.django_db


def order(name):
    return Order(name, SORTS[name.removeprefix("-")])


def walk(queryset, by, size):
    """All pages of a list, followed by their cursors."""
    pages, cursor = [], ""
    while True:
        found = page(queryset, by, cursor=cursor, size=size)
        assert found.notice == ""
        pages.append(found.rows)
        if not (cursor := found.next):
            return pages


@pytest.fixture
def many(db):
    """Accounts with gaps and ties in every column."""
    owners = [None, user(first_name="Ann", last_name="Ames"), user(first_name="Bo"), user(username="zed")]
    for n in range(23):
        made = account(
            STAGES[n % 5] if n % 4 else Stage.OUTSIDE,
            since=NOW - timedelta(days=n % 7),
            name=["Ärger", "acme", "Acme", "Ωmega", "zeta % _"][n % 5],
            next_renewal_on=in_days(n % 3) if n % 6 else None,
            forecast=Decimal(n % 4) if n % 5 else None,
            mrr=Decimal(n) if n % 2 else None,
            owner=owners[n % 4],
            last_outreach_at=NOW - timedelta(hours=n % 3) if n % 3 else None,
            users_count=n % 4 or None,
            bills_reported=n % 3,
        )
        if n % 3 == 0:
            made.add_task("Do it", in_days(n % 2), by=None, now=NOW)
            made.add_note("Said so", by=None, now=NOW)


@pytest.mark.parametrize("name", [direction + name for name in SORTS for direction in ("", "-")])
def test_the_pages_of_every_order_hold_every_row_once_and_in_order(many, name):
    by = order(name)
    rows, *others = (
        [row for rows in walk(Account.objects.all(), by, size) for row in rows] for size in (4, 1, 50)
    )
    assert all(other == rows for other in others), "the size of the pages changes nothing"
    assert len(rows) == len({row.pk for row in rows}) == 23
    known = [(row.sorted_by, row.pk) for row in rows if row.sorted_by is not None]
    unknown = [row.pk for row in rows if row.sorted_by is None]
    assert [row.pk for row in rows] == [pk for _, pk in known] + unknown, "unknown values stand last"
    assert unknown == sorted(unknown, reverse=by.descending)
    if not name.endswith(("name", "owner")):  # The database's own collation sorts texts.
        assert known == sorted(known, reverse=by.descending)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(st.one_of(st.none(), st.integers(-2, 2)), max_size=12),
    size=st.integers(1, 5),
    descending=st.booleans(),
)
def test_any_gaps_and_ties_are_paged_without_loss(db, days, size, descending):
    Account.objects.all().delete()
    Account.objects.bulk_create(
        Account(external_id=f"k-{n}", name=f"K {n}", next_renewal_on=None if day is None else in_days(day))
        for n, day in enumerate(days)
    )
    pages = walk(Account.objects.values("pk", "name"), order("-renewal" if descending else "renewal"), size)
    assert all(len(rows) == size for rows in pages[:-1])
    assert sorted(row["name"] for rows in pages for row in rows) == sorted(f"K {n}" for n in range(len(days)))


def test_a_row_that_moves_ahead_or_a_new_one_does_not_repeat_what_was_shown(many):
    first = page(Account.objects.all(), order("renewal"), size=5)
    account(name="Early", next_renewal_on=in_days(-50))
    second = page(Account.objects.all(), order("renewal"), cursor=first.next, size=50)
    assert {row.pk for row in first.rows}.isdisjoint(row.pk for row in second.rows)
    assert len(second.rows) == 18


@pytest.mark.parametrize("broken", ["x", "%00", "a" * 10_000, "W10:1abc:def", "🙂"])
def test_a_broken_cursor_is_the_first_page_with_a_sentence(many, broken):
    first = page(Account.objects.all(), order("renewal"), size=5)
    found = page(Account.objects.all(), order("renewal"), cursor=broken, size=5)
    assert [row.pk for row in found.rows] == [row.pk for row in first.rows]
    assert (found.next, found.notice) == (first.next, BROKEN)


def test_a_cursor_of_another_order_or_with_a_changed_sign_is_broken(many):
    cursor = page(Account.objects.all(), order("renewal"), size=5).next
    assert page(Account.objects.all(), order("-renewal"), cursor=cursor, size=5).notice == BROKEN
    assert page(Account.objects.all(), order("renewal"), cursor="x" + cursor, size=5).notice == BROKEN


def test_a_page_costs_at_most_two_queries(many):
    for name in SORTS:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page(Account.objects.values("pk"), order(name), size=5)
        assert len(queries) <= (2 if SORTS[name].nullable else 1)


def test_counts_are_exact_up_to_ten_thousand_and_cost_one_query(many, django_assert_num_queries, monkeypatch):
    with django_assert_num_queries(1):
        found = counts({"all": Account.objects.all(), "none": Account.objects.filter(name="100% of it")})
    assert found == {"all": 23, "none": 0}
    monkeypatch.setattr("apps.crm.keyset.COUNTED_UP_TO", 20)
    assert counts({"all": Account.objects.all()}) == {"all": 21}
    assert [count_text(n) for n in (0, 20, 21)] == ["0", "20", "20+"]


def test_a_count_is_written_with_its_thousands():
    assert [count_text(n) for n in (999, 1000, 10_000, 10_001)] == ["999", "1,000", "10,000", "10,000+"]
