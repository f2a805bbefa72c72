"""Each number against plain Python over the exported files, on three seeded data sets, and without its guards."""

from collections import defaultdict
from decimal import Decimal

import pytest
import time_machine
from django.db import connection

from apps.crm import demo
from apps.crm.metrics import METRICS
from apps.crm.models import Account, Bill, Billed, Entry, User
from apps.playbooks import jobs
from apps.web import doctor
from tests.counting import numbers, plus, signed_in
from tests.edges import add_edges, add_the_days_that_decide, hand_over_some, undo_some
from tests.factories import NOW, TODAY
from tests.of_files import Files, least, ratio, shares

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[1, 2, 3])
def seeded(request):
    demo.add_logins(now=NOW)
    demo.add_accounts(150, seed=request.param, now=NOW)
    add_edges(request.param)
    undo_some()
    hand_over_some(request.param)
    add_the_days_that_decide()
    Entry.objects.bring_up_to_date()
    client = signed_in("admin")
    with time_machine.travel(NOW, tick=False):
        yield Files(client)


@pytest.fixture
def billed():
    """Accounts with bills, and nothing else that a number counts."""
    demo.add_logins(now=NOW)
    demo.add_accounts(60, seed=1, now=NOW)
    add_edges(1)
    Entry.objects.bring_up_to_date()


LISTS = (
    *("retention", "retention-by-path", "funnel", "outreach", "throughput"),
    *("load", "handoffs", "survey", "alerts", "payment-risk"),
)
SUMS = ("ndr", "bills-due", "bills-by-risk")


def by_hand(files, name):
    """A number as the files have it: the accounts by cell, and what is no list of accounts."""
    if name == "alerts":
        found, took = files.alerts_by_kind()
        return found, {
            key: {"median": least(times, 5), "p90": least(times, 9)} for key, times in took.items()
        }
    if name == "survey":
        found, means = files.survey()
        return found, {
            key: {"mean": means.get(key), "share": ratio(len(cells["answered"]), len(cells["sent"]))}
            for key, cells in found.items()
        }
    found = getattr(files, name.replace("-", "_"))()
    if name == "retention":
        undecided = {"share": None}
        return found, {
            key: shares(cells) | ({} if key[0] <= str(plus(TODAY.replace(day=1), -4)) else undecided)
            for key, cells in found.items()
        }
    if name == "retention-by-path":
        few = {key: len(cells["accounts"]) < 20 for key, cells in found.items()}
        small = "Only {}: a chance more or less says little"
        return found, {
            key: {
                "share": shares(cells)["share"],
                "small": small.format(len(cells["accounts"])) if few[key] else "",
            }
            for key, cells in found.items()
        }
    if name == "outreach":
        return found, {
            key: {
                "week_share": ratio(len(cells["in_week"]), len(cells["due_week"])),
                "time_share": ratio(len(cells["in_time"]), len(cells["due_time"])),
            }
            for key, cells in found.items()
        }
    if name != "load":
        return found, {}
    logins = {person.username: str(person.pk) for person in User.objects.all()}
    found = {(logins.get(login, ""),): cells for login, cells in found.items()}
    for pk in User.objects.holding("specialist", "lead", "admin").values_list("pk", flat=True):
        found.setdefault((str(pk),), defaultdict(list))
    a_day = {
        key: {"a_day": (Decimal(len(cells["outreaches"])) / 20).quantize(Decimal("0.1"), "ROUND_HALF_UP")}
        for key, cells in found.items()
    }
    return found, a_day


def behind(metric, column, key):
    counted, accounts, ids = metric.accounts(column, key, numbers())
    found = {int(pk) for pk in ids.strip("{}").split(",") if pk}
    assert counted >= accounts == len(found)
    return found


def holds_list(files, name, pks):
    """Each count of a table, and the accounts behind it."""
    metric, (expected, others) = METRICS[name], by_hand(files, name)
    rows = {row.key: row.values for row in metric.read(numbers())}
    # A person has a row, months and the like have one from the first that was counted on.
    assert {*expected} - {*rows} == set(), name
    assert name != "load" or {*rows} == {*expected}
    for key, values in rows.items():
        cells = expected.get(key, {})
        for column in (column for column in metric.figures if column.where):
            counted = [pks[one] for one in cells.get(column.name, ())]
            assert values[column.name] == len(counted), (name, key, column.name)
            if counted:
                assert behind(metric, column.name, key) == {*counted}, (name, key, column.name)
        for column, value in others.get(key, {}).items():
            assert values[column] == value, (name, key, column)


def holds_sums(files, name, pks):
    """Each sum of a table to the cent, and the accounts behind it."""
    metric, expected = METRICS[name], getattr(files, name.replace("-", "_"))()
    rows = {row.key: row.values for row in metric.read(numbers())}
    assert {*expected} <= {*rows}
    for key, values in rows.items():
        sums = expected.get(key, {})
        for column in metric.figures:
            assert values[column.name] == sums.get(column.name, 0), (name, key, column.name)
            accounts = {pks[one] for one in sums.get(column.name.upper(), ())}
            if accounts:
                assert behind(metric, column.name, key) == accounts, (name, key, column.name)
        if name == "ndr":
            assert values["share"] == ratio(sums["third"], sums["first"]) if sums else values["share"] is None


def holds_times(files, pks):
    metric, (expected, accounts) = METRICS["time-in-stage"], files.time_in_stage()
    rows = {row.key: row.values for row in metric.read(numbers())}
    nothing = {"stays": 0, "median": None, "p90": None}
    assert {*expected} <= {*rows}
    assert {key: {name: values[name] for name in nothing} for key, values in rows.items()} == {
        key: expected.get(key, nothing) for key in rows
    }
    for key, names in accounts.items():
        assert behind(metric, "stays", key) == {pks[one] for one in names}, key


def has_every_edge(files):
    cohorts = files.retention()
    assert {who for _, who in cohorts} >= {"entered", "others", "EUR"}
    # Cohorts of November are decided by February, those of August are not yet.
    months = {month for month, _ in cohorts}
    assert {"2025-11-01", "2026-08-01"} <= months
    bills = [bill for of in files.bills.values() for bill in of]
    assert {bill["status"] for bill in bills} >= {"void", "upcoming", "open", "paid", "uncollectible"}
    came_back = [name for name, moves in files.moves.items() if [to for _, to, *_ in moves].count("new") > 1]
    uses_credit = [name for name, facts in files.accounts.items() if float(facts["credit_use"] or 0) > 0]
    assert all((came_back, uses_credit, any(bill["amount"] == 0 for bill in bills)))
    handed = {column for cells in files.handoffs().values() for column, names in cells.items() if names}
    assert handed >= {"taken", "waiting", "refused", "returned", "churned", "other"}


def test_every_number_is_what_the_exported_files_say_to_the_cent_and_the_account(seeded):
    has_every_edge(seeded)
    pks = {name: pk for pk, name in Account.objects.values_list("pk", "external_id")}
    for name in LISTS:
        holds_list(seeded, name, pks)
    for name in SUMS:
        holds_sums(seeded, name, pks)
    holds_times(seeded, pks)
    assert {*LISTS, *SUMS, "time-in-stage"} == {*METRICS}


def without_the_trigger():
    """Until the test's transaction is taken back."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE crm_bill DISABLE TRIGGER bill_told_update")


def test_without_the_trigger_the_sums_are_wrong_and_the_nightly_repair_finds_it(billed):
    without_the_trigger()
    metric = METRICS["ndr"]
    before, decided = metric.read(numbers()), [plus(TODAY, -back) for back in (16, 4)]
    [one, *_] = Billed.objects.filter(cohort_on__range=decided, kept_billed__gt=0).order_by("pk")
    renews = Entry.objects.filter(account=one.pk).values_list("renewed_on", flat=True)
    Bill.objects.filter(account=one.pk).update(status="void")
    assert metric.read(numbers()) == before
    assert (False, "the sums of bills are kept wrong of 1 accounts") in [*doctor.CHECKS["counts"]()]
    assert Billed.objects.mend() == (1, 0)
    assert metric.read(numbers()) != before
    assert Billed.objects.get(pk=one.pk).cohort_on is None
    assert {*renews} <= {None}
    assert Billed.objects.mend() == (0, 0)


def test_the_repair_goes_on_where_it_stopped(billed, monkeypatch):
    monkeypatch.setattr("apps.crm.models.billed.SLICE", 20)
    Billed.objects.filter(cohort_on__isnull=False).update(kept_billed=Decimal("0.01"))
    wrong, rung, again = Billed.objects.exclude(kept_billed=0).count(), [], iter([False, True] * 10)
    monkeypatch.setattr(jobs, "ring", lambda name, *args: rung.append((name, *args)))
    mended, reached = Billed.objects.mend(enough=lambda: next(again))
    assert (0 < mended < wrong, reached) == (True, [*Account.objects.order_by("pk")[:20]][-1].pk)
    jobs.mend_sums(reached)
    assert (Billed.objects.mend(), rung) == ((0, 0), [])
