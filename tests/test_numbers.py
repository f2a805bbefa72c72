"""The numbers: their rules at the edges, and who may see and take them out."""

from datetime import date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.metrics import METRICS
from apps.crm.models import Bill, Billed, ClosedMonth, Entry, Policy
from apps.crm.models.user import ADMIN, LEAD, REVENUE, ROLES
from tests.apis import Api, assert_error
from tests.counting import S, numbers, plus, signed_in
from tests.factories import NOW, account, days, user

pytestmark = pytest.mark.django_db


def first_bills(number, month, *, kept, amount=200):
    """So many accounts that entered, whose first bill is of a month, some of whom are billed in the third after it."""
    made = [account(S.NEW, since=NOW - days(200)) for _ in range(number)]
    for place, one in enumerate(made):
        for of in (month, *((plus(month, 3),) if place < kept else ())):
            Bill.objects.create(
                account=one,
                external_id=f"b-{one.pk}-{of}",
                period_start=of,
                period_end=plus(of, 1),
                amount=amount,
                status="paid",
                reported_at=NOW,
            )
    return made


def cohort(month, now):
    [row] = [row for row in METRICS["retention"].read(numbers(now)) if row.key == (str(month), "entered")]
    return row.values


@pytest.mark.parametrize(
    ("lost", "may_be_lost", "share"), [(0, 2, "1"), (1, 1, "0.95"), (2, 0, "0.9"), (3, -1, "0.85")]
)
def test_how_many_more_may_be_lost_is_what_still_makes_the_goal(lost, may_be_lost, share):
    first_bills(20, date(2026, 7, 1), kept=20 - lost)
    found = cohort(date(2026, 7, 1), NOW)
    assert (found["may_be_lost"], found["share"]) == (may_be_lost, Decimal(share))


def test_a_cohort_of_november_is_decided_when_february_is_over_and_not_before():
    month = date(2025, 11, 1)
    first_bills(4, month, kept=3)
    february, march = (
        datetime.fromisoformat("2026-02-28T23:59:59Z"),
        datetime.fromisoformat("2026-03-01T00:00:00Z"),
    )
    assert (cohort(month, february)["share"], cohort(month, february)["waiting"]) == (None, 1)
    assert (cohort(month, march)["share"], cohort(month, march)["lost"]) == (Decimal("0.75"), 1)


def test_the_sum_of_the_first_bill_is_the_policys_of_the_bills_month():
    Policy.objects.create(name="retention_first_bill", value="300", starts_on=date(2026, 7, 1))
    june, july = (first_bills(1, date(2026, month, 1), kept=0)[0] for month in (6, 7))
    assert [Billed.objects.get(account=one).cohort_on for one in (june, july)] == [date(2026, 6, 1), None]


def test_what_is_kept_of_bills_follows_whoever_writes_them():
    [one] = first_bills(1, date(2026, 7, 1), kept=1)
    assert Billed.objects.values("cohort_on", "cohort_billed", "kept_billed", "kept").get(account=one) == {
        "cohort_on": date(2026, 7, 1),
        "cohort_billed": 200,
        "kept_billed": 200,
        "kept": True,
    }
    one.bills.filter(period_start=date(2026, 10, 1)).update(status="void")
    assert Billed.objects.get(account=one).kept is False
    one.bills.all().delete()
    assert Billed.objects.get(account=one).cohort_on is None
    one.delete()
    assert not Billed.objects.exists()


def test_a_change_of_payment_risk_counts_and_its_confirmation_does_not():
    one, by = account(), user()
    one.edit(now=NOW, payment_risk="high", payment_risk_at=NOW, payment_risk_by=by)
    one.edit(now=NOW, payment_risk="high", payment_risk_reason="Still so.", payment_risk_at=NOW + days(1))
    one.edit(now=NOW, payment_risk="", payment_risk_at=NOW + days(2), payment_risk_by=None)
    [row] = METRICS["payment-risk"].read(numbers(NOW + days(2)))
    assert (row.values["changes"], row.values["high"], row.values["cleared"]) == (2, 1, 1)


def test_a_closed_month_is_kept_once_and_stands_beside_what_became_of_it():
    made = first_bills(3, date(2026, 7, 1), kept=3)
    first_bills(2, date(2026, 8, 1), kept=1)
    settled = datetime.fromisoformat("2026-11-04T00:30:00Z")
    assert ClosedMonth.objects.close(now=settled - days(1)) == 0
    assert ClosedMonth.objects.close(now=settled) == 2
    assert ClosedMonth.objects.close(now=NOW) == 0
    assert set(ClosedMonth.objects.values_list("metric", "month")) == {
        ("retention", date(2026, 7, 1)),
        ("ndr", date(2026, 7, 1)),
    }
    with time_machine.travel(NOW, tick=False):
        assert "When it was kept" not in signed_in().get("/reports/").text
        made[0].bills.filter(period_start=date(2026, 10, 1)).update(status="void")
        page = signed_in().get("/reports/").text
    assert "When it was kept, on 4 Nov 2026: Kept 3, Lost 0." in page
    assert "When it was kept, on 4 Nov 2026: Third month $600." in page


def test_entries_are_read_again_after_each_move_and_only_then():
    one, by = account(), user()
    made = one.move(S.NEW, by=by, now=NOW - days(1), cause="list")
    assert [Entry.objects.bring_up_to_date() for _ in range(2)] == [1, 0]
    assert list(Entry.objects.values_list("account", "next_stage", "written")) == [(one.pk, "", False)]
    one.move(S.INITIATED, by=by, now=NOW, cause="list")
    assert Entry.objects.bring_up_to_date() == 1
    assert list(Entry.objects.values_list("left_at", "next_stage", "written", "stands")) == [
        (NOW, S.INITIATED, True, S.INITIATED)
    ]
    assert made.version == Entry.objects.get().version


def test_an_entry_that_is_undone_never_was():
    one, by = account(), user()
    made = one.move(S.NEW, by=by, now=NOW, cause="list")
    Entry.objects.bring_up_to_date()
    one.undo(by=by, now=NOW, transition_id=made.pk)
    Entry.objects.bring_up_to_date()
    assert not Entry.objects.exists()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", METRICS)
def test_everybody_reads_the_pages_and_a_table_is_taken_out_by_those_who_may(role, name):
    client, metric = signed_in(role), METRICS[name]
    address = "/revenue/" if metric.page == "revenue" else f"/reports/{metric.page}/"
    page = client.get(address)
    assert (page.status_code, metric.label in page.text) == (200, True)
    may = metric.right == "read" or role in (REVENUE, LEAD, ADMIN)
    assert (f"/reports/{name}/csv/" in page.text) is may
    answer = client.get(f"/reports/{name}/csv/")
    if not may:
        assert (answer.status_code, answer.streaming) == (403, False)
        return
    header = b"".join(answer.streaming_content).decode().splitlines()[0]
    assert header == "\ufeff" + ",".join(
        [*(key.name for key in metric.keys), *(column.name for column in metric.columns)]
    )


@pytest.mark.parametrize(
    "address", ["/reports/nothing/", "/reports/nothing/csv/", "/reports/retention/nothing/"]
)
def test_a_report_that_is_none_is_not_found(address):
    assert signed_in().get(address).status_code == 404


def test_a_page_asks_the_same_number_of_queries_whatever_it_shows():
    client, asked = signed_in(), {}
    for number in (1, 30):
        first_bills(number, date(2026, 6, 1), kept=number)
        Entry.objects.bring_up_to_date()
        for address in ("/reports/", "/reports/pipeline/", "/reports/team/", "/revenue/"):
            client.get(address)
            with CaptureQueriesContext(connection) as found:
                client.get(address)
            asked.setdefault(address, []).append(len(found))
    assert all(few == many for few, many in asked.values()), asked


@time_machine.travel(NOW, tick=False)
def test_the_api_tells_each_number_with_its_definition(api):
    first_bills(3, date(2026, 7, 1), kept=2)
    ClosedMonth.objects.close(now=NOW)
    listed = api.get("/metrics").json()["results"]
    assert [one["name"] for one in listed] == [*METRICS]
    told = api.get("/metrics/retention").json()
    metric = METRICS["retention"]
    assert (told["says"], told["version"], told["keys"]) == (metric.says, metric.version, ["cohort", "who"])
    *nothing, row = told["rows"]
    assert [
        (one["values"]["cohort"], one["values"]["accounts"], one["values"]["share"]) for one in nothing
    ] == [(f"2026-{month}-01", "0", None) for month in ("11", "10", "09", "08")]
    assert row["values"] == {
        **{
            "cohort": "2026-07-01",
            "who": "entered",
            "accounts": "3",
            "kept": "2",
            "lost": "1",
            "waiting": "0",
        },
        **{"share": "0.6667", "may_be_lost": "-1"},
    }
    assert row["kept"] == {"accounts": "3", "kept": "2", "lost": "1", "waiting": "0"}
    assert api.get("/metrics/nothing").status_code == 404


def test_what_is_due_is_told_to_a_program_of_those_who_may_take_it_out():
    assert_error(Api(user("viewer")).get("/metrics/bills-due"), 403, "forbidden", "export revenue")
    assert Api(user("revenue")).get("/metrics/bills-due").status_code == 200
