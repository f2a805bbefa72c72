"""The numbers: their rules at the edges, and who may see and take them out."""

import re
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.metrics import METRICS
from apps.crm.metrics.base import counted
from apps.crm.metrics.words import words
from apps.crm.models import Bill, Billed, ClosedMonth, Entry, Policy
from apps.crm.models.user import ADMIN, LEAD, REVENUE, ROLES
from apps.web import plots
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


def test_a_closed_month_is_kept_once():
    first_bills(3, date(2026, 7, 1), kept=3)
    first_bills(2, date(2026, 8, 1), kept=1)
    settled = datetime.fromisoformat("2026-11-04T00:30:00Z")
    assert ClosedMonth.objects.close(now=settled - days(1)) == 0
    assert ClosedMonth.objects.close(now=settled) == 2
    assert ClosedMonth.objects.close(now=NOW) == 0
    assert set(ClosedMonth.objects.values_list("metric", "month")) == {
        ("retention", date(2026, 7, 1)),
        ("ndr", date(2026, 7, 1)),
    }


def closed_july(made):
    """July as it closed, and what changed since: a bill was voided, another one came late."""
    ClosedMonth.objects.close(now=datetime.fromisoformat("2026-11-04T00:30:00Z"))
    made[0].bills.filter(period_start=date(2026, 10, 1)).update(status="void")
    [late] = first_bills(1, date(2026, 7, 1), kept=0, amount=150)
    return late


def told_of(page, name):
    """The rows of a table of a page, as words; a row beneath another has but one cell."""
    table = page.partition(f'id="{name}"')[2].partition("</section>")[0].partition("<tbody>")[2]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table.split("</tr>")]
    return [[" ".join(re.sub("<[^>]+>", "", cell).split()) for cell in cells] for cells in rows if cells]


@time_machine.travel(NOW, tick=False)
def test_the_past_does_not_redraw_itself_and_what_it_would_be_today_stands_beside(api):
    made = first_bills(4, date(2026, 7, 1), kept=3)
    late = closed_july(made)
    client = signed_in()
    page = client.get("/reports/").text
    retention, ndr = told_of(page, "retention"), told_of(page, "ndr")
    assert retention[-2:] == [
        ["Jul 2026", "Entered the pipeline", "4", "3", "1", "0", "75%", "missed by 1"],
        ["As kept on 4 Nov 2026. Today it would be: Accounts 5, Kept 2, Lost 3."],
    ]
    assert ndr == [
        ["Jul 2026", "Entered the pipeline", "4", "$800.00", "$600.00", "75%"],
        ["As kept on 4 Nov 2026. Today it would be: Accounts 5, First month $950.00, Third month $400.00."],
    ]
    assert [f"Jul 2026: {share}" in page for share in ("75%", "40%")] == [True, False]
    # What is still as it was leads to its accounts, and so does what it would be; what was, is behind nothing.
    links = [link for link in re.findall(r'href="/\?cell=([^"]+)"', page) if "2026-07-01" in link]
    assert [link.split("%3A")[:2] for link in links if link.startswith("retention%3A")] == [
        ["retention", name] for name in ("accounts", "kept", "lost")
    ]
    assert late.name in client.get("/", {"cell": "retention:lost:2026-07-01:entered"}).text
    content = b"".join(client.get("/reports/retention/csv/").streaming_content).decode()
    assert content.splitlines()[-1] == "2026-07-01,entered,4,3,1,0,0.7500,-1"
    row = api.get("/metrics/retention").json()["rows"][-1]
    assert (row["values"]["kept"], row["values"]["share"], row["version"]) == ("3", "0.7500", 1)
    assert (row["kept_at"], row["now"]) == (
        "2026-11-04T00:30:00Z",
        {"accounts": "5", "kept": "2", "lost": "3"},
    )


@time_machine.travel(NOW, tick=False)
def test_a_month_stays_as_its_own_definition_told_it(monkeypatch):
    first_bills(4, date(2026, 7, 1), kept=3)
    settled = datetime.fromisoformat("2026-11-04T00:30:00Z")
    assert ClosedMonth.objects.close(now=settled) == 2
    old = METRICS["retention"]
    fresh = counted("fresh", "Fresh", "cohort_billed > 0")
    changed = replace(
        old, version=2, rows=old.rows.replace("billed.kept OR", "FALSE AND"), columns=(*old.columns, fresh)
    )
    monkeypatch.setitem(METRICS, "retention", changed)
    assert ClosedMonth.objects.close(now=NOW) == 0
    assert told_of(signed_in().get("/reports/").text, "retention")[-2:] == [
        ["Jul 2026", "Entered the pipeline", "4", "3", "1", "0", "75%", "missed by 1", "–"],
        ["As kept on 4 Nov 2026, by definition 1. Today it would be: Kept 0, Lost 4, Fresh 4."],
    ]


@time_machine.travel(NOW, tick=False)
def test_a_row_that_a_closed_month_had_or_had_not_is_told_as_it_was():
    [gone] = first_bills(1, date(2026, 7, 1), kept=1)
    gone.bills.update(currency="EUR")
    first_bills(1, date(2026, 7, 1), kept=1)
    ClosedMonth.objects.close(now=NOW)
    gone.delete()
    [come] = first_bills(1, date(2026, 7, 1), kept=1)
    come.bills.update(currency="CHF")
    rows = told_of(signed_in().get("/reports/").text, "retention")
    assert rows[-4:] == [
        ["Jul 2026", "CHF", "0", "0", "0", "0", "–", "–"],
        ["As kept on 21 Nov 2026. Today it would be: Accounts 1, Kept 1."],
        ["Jul 2026", "EUR", "1", "1", "0", "0", "100%", "0 more"],
        ["As kept on 21 Nov 2026. Today it would be: Accounts 0, Kept 0."],
    ]


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
    assert (row["kept_at"], row["version"], row["now"]) == ("2026-11-21T09:00:00Z", 1, {})
    assert api.get("/metrics/nothing").status_code == 404


def test_what_is_due_is_told_to_a_program_of_those_who_may_take_it_out():
    assert_error(Api(user("viewer")).get("/metrics/bills-due"), 403, "forbidden", "export revenue")
    assert Api(user("revenue")).get("/metrics/bills-due").status_code == 200


def test_figures_of_money_under_one_another_have_one_precision():
    told = [words("money", Decimal(of)) for of in ("31713", "9038.55", "0.4", "-12.6", "1234567.5")]
    assert told == ["$31,713.00", "$9,038.55", "$0.40", "−$12.60", "$1,234,567.50"]
    assert words("money", Decimal("-0.002")) == "$0.00"
    assert words("money", Decimal("-9.6"), "EUR") == "−EUR 9.60"


@pytest.mark.parametrize("kind", ["line", "columns", "bars"])
def test_a_plot_is_drawn_in_percent_of_the_room_there_is_and_a_phone_leaves_out_words_that_would_touch(kind):
    weeks = [plots.Point(f"{number} Nov", [number / 12, None], ["x", "–"]) for number in range(12)]
    drawn = getattr(plots, kind)(weeks, ["A", "B"], "Some weeks")
    assert all(0 <= mark.x <= mark.x + mark.width <= 100 for mark in drawn.marks)
    assert all(0 <= label.x <= 100 for label in drawn.labels)
    assert [one.words for one in drawn.swatches] == ([] if kind == "line" else ["A", "B"])
    under = [label for label in drawn.labels if label.words.endswith("Nov") and kind != "bars"]
    left = [label.words for label in under if not label.spare]
    assert len(left) * plots.WORD <= plots.NARROW
    assert kind == "bars" or left[0] == "11 Nov"
