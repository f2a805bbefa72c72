"""What other systems report about accounts: how a value is read, and how rows are written."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.crm.fields import FIELDS, IMPORTED, Unreadable, read_account, read_value
from apps.crm.models import Account, Contact, Label
from apps.crm.reporting import BadRows, Report, report_accounts
from tests.factories import NOW, account, days, snapshot

LATER = NOW + days(1)


def told(*rows, now=NOW):
    return report_accounts(enumerate(rows), source="api", now=now)


def counts(reported):
    return reported.created, reported.updated, reported.unchanged


FULL = {
    "external_id": "a-1",
    "name": "=1+1 \u202eLtd",
    "domain": "one.example",
    "plan": "yc",
    "mrr": Decimal("10.00"),
    "forecast": Decimal("120.50"),
    "forecast_at": NOW,
    "credit_use": Decimal("3.10"),
    "bills_paid": 2,
    "next_renewal_on": date(2026, 12, 1),
    "contract_renewal_on": date(2027, 1, 1),
    "plan_ends_on": date(2027, 2, 1),
    "users_count": 12,
    "stripe_customer_id": "cus_1",
    "sales_contact": {"kind": "AE", "name": "Ann", "email": "ann@onramp.example"},
    "contacted_sales": True,
    "contacts": [{"email": "kim@one.example", "name": "Kim", "role": "CTO"}],
    "labels": ["Hype", "vip"],
}


@pytest.mark.parametrize(
    ("field", "value", "clean"),
    [
        ("mrr", "1234.5", Decimal("1234.50")),
        ("mrr", "-3", Decimal("-3.00")),
        ("mrr", 12, Decimal("12.00")),
        ("mrr", None, None),
        ("bills_paid", "3", 3),
        ("bills_paid", None, 0),
        ("next_renewal_on", "2028-02-29", date(2028, 2, 29)),
        ("forecast_at", "2026-11-21T09:00:00Z", NOW),
        ("forecast_at", "2026-11-21T10:00+01:00", NOW),
        ("plan", "Pay as you go", "pay_as_you_go"),
        ("plan", "PAY-AS-YOU-GO", "pay_as_you_go"),
        ("plan", "YC", "yc"),
        ("plan", "", ""),
        ("contacted_sales", "Yes", True),
        ("contacted_sales", False, False),
        ("name", " \u202e=cmd|x\n ", " \u202e=cmd|x\n "),
        ("external_id", " a-1 ", "a-1"),
        ("stripe_customer_id", "", None),
        ("domain", "One.Example", "one.example"),
        ("sales_contact", {"kind": "csm"}, {"kind": "CSM", "name": "", "email": ""}),
        ("contacts", [{"email": "A@X.example", "name": "A"}, {"email": "a@x.example", "role": "R"}],
         [{"email": "a@x.example", "name": "A", "role": "R"}]),
        ("labels", ["A", "a", " b "], ["a", "b"]),
    ],
)  # fmt: skip
def test_a_value_is_read_in_every_plain_writing(field, value, clean):
    assert read_value(FIELDS[field], value) == clean


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("mrr", "1,234.50", "plain number"),
        ("mrr", "1.234,50", "plain number"),
        ("mrr", "NaN", "plain number"),
        ("mrr", "Infinity", "plain number"),
        ("mrr", "1e5", "plain number"),
        ("mrr", "\uff11\uff12", "plain number"),
        ("mrr", "=1+1", "plain number"),
        ("mrr", "0.001", "plain number"),
        ("mrr", "9" * 11, "plain number"),
        ("mrr", 0.1, "write money as text"),
        ("mrr", True, "not text"),
        ("mrr", 10**4000, "plain number"),
        ("users_count", "-1", "whole number"),
        ("users_count", "1.0", "whole number"),
        ("users_count", "2147483648", "whole number"),
        ("next_renewal_on", "2026-02-30", "day of the calendar"),
        ("next_renewal_on", "31/12/26", "date like 2026-12-01"),
        ("next_renewal_on", "20261201", "date like 2026-12-01"),
        ("next_renewal_on", "=TODAY()", "date like 2026-12-01"),
        ("next_renewal_on", "\uff12\uff10\uff12\uff16-12-01", "date like 2026-12-01"),
        ("next_renewal_on", "0001-01-01", "between the years 2000 and 2100"),
        ("next_renewal_on", "9999-12-31", "between the years 2000 and 2100"),
        ("forecast_at", "2026-11-21T09:00:00", "time with its zone"),
        ("forecast_at", "2026-11-21T25:00:00Z", "time of the calendar and the clock"),
        ("plan", "gold", "not a plan we know: Pay as you go, Startup, YC, Boost, Annual"),
        ("contacted_sales", "maybe", "neither true nor false"),
        ("name", None, "is missing"),
        ("name", "  ", "is missing"),
        ("name", "a\x00b", "NUL"),
        ("name", "a\ud800b", "surrogate"),
        ("name", "x" * 301, "longer than 300"),
        ("name", 5, "not text"),
        ("external_id", "", "is missing"),
        ("domain", "one example", "not a domain"),
        ("sales_contact", {"kind": "CEO"}, "needs a kind"),
        ("sales_contact", {"kind": "AE", "phone": "1"}, "nobody knows"),
        ("sales_contact", "AE", "not an object"),
        ("contacts", [{"name": "A"}], "without an e-mail"),
        ("contacts", [{"email": "nobody"}], "not an e-mail"),
        ("contacts", {"email": "a@x.example"}, "not a list"),
        ("labels", ["x" * 81], "longer than 80"),
        ("labels", [""], "empty entry"),
        ("labels", "a", "not a list"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_plain_is_refused_in_words(field, value, words):
    with pytest.raises(Unreadable, match=words):
        read_value(FIELDS[field], value)


def test_a_payment_risk_is_read_from_its_label():
    assert read_value(IMPORTED["payment_risk"], "High") == "high"


def test_an_account_is_read_whole_and_every_problem_is_named():
    clean, problems = read_account({"external_id": "a-1", "mrr": "1", "users_count": None}, 3)
    assert (clean, problems) == ({"external_id": "a-1", "mrr": Decimal("1.00"), "users_count": None}, [])
    _, problems = read_account({"name": "\x00", "stage": "new", "a\ud800": 1, "mrr": "x"}, 3)
    assert [(one.row, one.field) for one in problems] == [
        (3, "external_id"), (3, "name"), (3, "stage"), (3, "a\\ud800"), (3, "mrr"),
    ]  # fmt: skip
    assert read_account([1])[1][0].sentence == "is not an object."


@pytest.mark.django_db
def test_a_full_row_makes_an_account_with_all_it_says():
    reported = told(FULL)
    made = Account.objects.get(external_id="a-1")
    assert counts(reported) == (1, 0, 0)
    assert reported.new == {"a-1": made.pk}
    plain = [name for name in FULL if name not in ("sales_contact", "contacts", "labels")]
    assert {name: getattr(made, name) for name in plain} == {name: FULL[name] for name in plain}
    assert (made.sales_contact_kind, made.sales_contact_name, made.sales_contact_email) == (
        "AE", "Ann", "ann@onramp.example",
    )  # fmt: skip
    assert (made.stage, made.version, made.held_by, made.quarantine, made.bills_reported) == (
        "",
        0,
        "",
        "",
        2,
    )
    assert (made.reported_by, made.reported_at, made.created_at, made.changed_at) == ("api", NOW, NOW, NOW)
    assert list(made.contacts.values_list("email", "name", "role", "do_not_contact")) == [
        ("kim@one.example", "Kim", "CTO", False)
    ]
    assert {label.name for label in made.labels.all()} == {"Hype", "vip"}


@pytest.mark.django_db
def test_the_same_rows_again_write_nothing():
    told(FULL, {"external_id": "a-2", "name": "Two"})
    before = [snapshot(one) for one in Account.objects.all()]
    contacts = list(Contact.objects.values())
    assert counts(told(FULL, {"external_id": "a-2", "name": "Two"}, now=LATER)) == (0, 0, 2)
    assert [snapshot(one) for one in Account.objects.all()] == before
    assert list(Contact.objects.values()) == contacts


@pytest.mark.django_db
def test_a_field_left_out_stays_and_a_cleared_one_goes():
    told(FULL)
    reported = told(
        {"external_id": "a-1", "mrr": None, "users_count": 13},
        {"external_id": "a-2", "name": "Two", "domain": "two.example"},
        now=LATER,
    )
    made = Account.objects.get(external_id="a-1")
    assert counts(reported) == (1, 1, 0)
    assert (made.mrr, made.users_count, made.forecast, made.name) == (
        None,
        13,
        Decimal("120.50"),
        FULL["name"],
    )
    assert (made.sales_contact_kind, made.labels.count(), made.contacts.count()) == ("AE", 2, 1)
    assert (made.changed_at, made.reported_at, made.created_at) == (LATER, LATER, NOW)


@pytest.mark.django_db
def test_every_single_field_alone_makes_the_account_differ():
    other = {
        "name": "B", "domain": "b.example", "plan": "boost", "mrr": Decimal(1), "forecast": Decimal(1),
        "forecast_at": LATER, "credit_use": Decimal(1), "bills_paid": 9, "next_renewal_on": date(2026, 12, 2),
        "contract_renewal_on": None, "plan_ends_on": None, "users_count": 1, "stripe_customer_id": None,
        "sales_contact": None, "contacted_sales": False, "labels": ["vip"],
        "contacts": [{"email": "kim@one.example", "name": "Kimberly"}],
    }  # fmt: skip
    assert set(other) == set(FIELDS) - {"external_id"}
    for field, value in other.items():
        with transaction.atomic():
            told(FULL)
            row = {"external_id": "a-1", field: value}
            assert counts(told(row, now=LATER)) == (0, 1, 0), field
            assert Account.objects.get(external_id="a-1").changed_at == LATER
            assert counts(told(row, now=LATER)) == (0, 0, 1), field
            transaction.set_rollback(True)


@pytest.mark.django_db
def test_contacts_are_merged_and_never_removed():
    told(FULL)
    told({"external_id": "a-1", "contacts": [
        {"email": "kim@one.example", "role": "CEO"}, {"email": "lee@one.example"},
    ]}, {"external_id": "a-2", "name": "Two", "contacts": [{"email": "kim@one.example"}]})  # fmt: skip
    assert list(Contact.objects.order_by("account", "email").values_list("email", "name", "role")) == [
        ("kim@one.example", "Kim", "CEO"),
        ("lee@one.example", "", ""),
        ("kim@one.example", "", ""),
    ]
    assert counts(told({"external_id": "a-1", "contacts": []})) == (0, 0, 1)
    assert Contact.objects.count() == 3


@pytest.mark.django_db
def test_labels_replace_in_any_case_and_more_labels_only_add():
    told(FULL)
    assert counts(told({"external_id": "a-1", "labels": ["VIP", "hype"]})) == (0, 0, 1)
    assert counts(told({"external_id": "a-1", "more_labels": ["Third", "vip"]})) == (0, 1, 0)
    assert counts(told({"external_id": "a-1", "more_labels": ["third"]})) == (0, 0, 1)
    assert counts(told({"external_id": "a-1", "labels": ["vip"], "more_labels": ["Fourth"]})) == (0, 1, 0)
    made = Account.objects.get(external_id="a-1")
    assert {label.name for label in made.labels.all()} == {"vip", "Fourth"}
    told({"external_id": "a-1", "labels": []})
    assert made.labels.count() == 0
    assert Label.objects.count() == 4


@pytest.mark.django_db
def test_rows_that_cannot_be_written_are_named_and_nothing_is_written():
    account(external_id="here", stripe_customer_id="cus_here")
    with pytest.raises(BadRows) as bad:
        told(
            {"external_id": "a-1", "name": "One"},
            {"external_id": "a-1", "name": "One"},
            {"external_id": "a-2"},
            {"external_id": "a-3", "name": "Three", "stripe_customer_id": "cus_here"},
            {"external_id": "a-4", "name": "Four", "stripe_customer_id": "cus_4"},
            {"external_id": "a-5", "name": "Five", "stripe_customer_id": "cus_4"},
            {"external_id": "here", "name": "Changed"},
        )
    assert [(one.row, one.field, one.value, one.sentence) for one in bad.value.problems] == [
        (1, "external_id", "a-1", "stands here twice, first at 0."),
        (2, "name", "", "is missing, and the account is new."),
        (3, "stripe_customer_id", "cus_here", "belongs to the account here already."),
        (5, "stripe_customer_id", "cus_4", "stands here twice, first at 4."),
    ]
    assert [*Account.objects.values_list("external_id", "name")] == [("here", Account.objects.get().name)]


@pytest.mark.django_db
def test_a_customer_taken_while_we_write_is_named_too():
    with transaction.atomic():
        report = Report(enumerate([{"external_id": "a-1", "name": "One", "stripe_customer_id": "cus_1"}]))
        seen = report.problems
        report.problems = lambda: (account(external_id="fast", stripe_customer_id="cus_1"), setattr(
            report, "problems", seen), [])[-1]  # fmt: skip
        with pytest.raises(BadRows, match="belongs to the account fast already"):
            report.write(source="api", now=NOW)
    assert [*Account.objects.values_list("external_id", flat=True)] == ["fast"]


@pytest.mark.django_db
def test_a_preview_counts_as_writing_does_and_changes_nothing():
    told(FULL, {"external_id": "a-2", "name": "Two"})
    before = [snapshot(one) for one in Account.objects.all()]
    rows = [FULL, {"external_id": "a-2", "name": "Zwei"}, {"external_id": "a-3", "name": "Three"}]
    with transaction.atomic():
        assert counts(Report(enumerate(rows)).preview()) == (1, 1, 1)
    assert [snapshot(one) for one in Account.objects.all()] == before
    assert counts(told(*rows)) == (1, 1, 1)


@pytest.mark.django_db
def test_any_number_of_rows_takes_the_same_number_of_statements():
    def statements(number):
        rows = [{"external_id": f"{number}-{n}", "name": f"A {n}", "labels": ["x"]} for n in range(number)]
        with CaptureQueriesContext(connection) as queries:
            told(*rows)
        return len(queries)

    # One more has the database look at many rows before it chooses its way.
    new = statements(1)
    assert statements(200) - 1 == new < 25
    assert Account.objects.filter(created_at=datetime(2026, 11, 21, 9, tzinfo=UTC)).count() == 201
    # Where all are known, none is inserted, and none found that another inserted meanwhile.
    assert statements(200) - 1 == statements(1) < new - 1
