"""Each number against plain Python over the exported files, on three seeded data sets."""

import csv
import io
import math
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
import time_machine

from apps.crm import demo
from apps.crm.metrics import METRICS
from apps.crm.models import Account, Bill, Entry
from tests.counting import S, numbers, plus, signed_in
from tests.factories import NOW, TODAY, days, user

pytestmark = pytest.mark.django_db
MADE = ("open", "paid", "uncollectible")
ENGAGED = {
    S.ENGAGED_EMAIL,
    S.CALL_BOOKED,
    S.INTRO_CALL_COMPLETED,
    S.SECOND_CALL_COMPLETED,
    S.HOMEWORK_OFFERED,
}
CALLED = ENGAGED - {S.ENGAGED_EMAIL, S.CALL_BOOKED}
WRITTEN = ENGAGED | {S.INITIATED, S.AWAITING_FINAL_OUTREACH}


def exported(client, name):
    """The rows of an exported table."""
    answer = client.get(f"/export/{name}/")
    content = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(content[1:], newline="")))


def maybe_day(text):
    return date.fromisoformat(text) if text else None


class Files:
    """The exported files, and the numbers worked out from them row by row: accounts by cell, amounts beside them."""

    def __init__(self, client):
        self.accounts = {row["external_id"]: row for row in exported(client, "accounts")}
        self.bills = defaultdict(list)
        for row in exported(client, "bills"):
            row["amount"] = Decimal(row["amount"])
            begins, ends, due = (maybe_day(row[name]) for name in ("period_start", "period_end", "due_on"))
            last = max((day for day in (ends and ends - timedelta(days=1), begins) if day), default=due)
            row["month"] = last and last.replace(day=1)
            row["ends"], row["due"] = ends, due or ends
            self.bills[row["account"]].append(row)
        self.moves = defaultdict(list)
        for row in sorted(exported(client, "transitions"), key=lambda row: int(row["version"])):
            if row["cause"].startswith("undo:"):
                self.moves[row["account"]].pop()
            else:
                at = datetime.fromisoformat(row["at"])
                self.moves[row["account"]].append((row["from_stage"], row["to_stage"], at))

    def cohort(self, name):
        """Month and currency of the first bill of 100 or more."""
        firsts = [
            (bill["month"], bill["currency"] != "USD", bill["currency"])
            for bill in self.bills[name]
            if bill["status"] != "void" and bill["month"] and bill["amount"] >= 100
        ]
        if not firsts:
            return None
        month, _, currency = min(firsts)
        return month, currency

    def made_in(self, name, month):
        return [bill for bill in self.bills[name] if bill["status"] in MADE and bill["month"] == month]

    def retention(self):
        found = defaultdict(lambda: defaultdict(list))
        for name, facts in self.accounts.items():
            if (cohort := self.cohort(name)) is None or cohort[0] < plus(TODAY, -16):
                continue
            month, currency = cohort
            who = currency if currency != "USD" else "entered" if facts["entered_at"] else "others"
            third = self.made_in(name, plus(month, 3))
            credit = facts["credit_use"] and Decimal(facts["credit_use"]) > 0
            kept = any(bill["amount"] > 0 or (credit and bill["amount"] == 0) for bill in third)
            decided = plus(month, 4) <= TODAY
            cell = found[str(month), who]
            cell["accounts"].append(name)
            lost = decided or facts["current_stage"] == "churned"
            cell["kept" if kept else "lost" if lost else "waiting"].append(name)
        return found

    def ndr(self):
        found = defaultdict(lambda: defaultdict(Decimal))
        for key, cell in self.retention().items():
            month = date.fromisoformat(key[0])
            if plus(month, 4) > TODAY:
                continue
            for name in cell["accounts"]:
                _, currency = self.cohort(name)
                for column, of in (("first", month), ("third", plus(month, 3))):
                    made = [bill["amount"] for bill in self.made_in(name, of) if bill["currency"] == currency]
                    found[key][column] += sum(made, Decimal(0))
        return found

    def entries(self):
        """Each time an account entered at 1: since when, and the moves until it entered again."""
        for name, moves in self.moves.items():
            starts = [place for place, move in enumerate(moves) if move[1] == S.NEW]
            for start, end in zip(starts, [*starts[1:], None], strict=False):
                yield name, moves[start][2], moves[start:end], moves[start + 1 : start + 2]

    def funnel(self):
        found = defaultdict(lambda: defaultdict(list))
        ends = {S.ONBOARDED_NO_ENGAGEMENT: "in_6a", S.ONBOARDED_ENGAGED: "in_6b", S.SALES_HANDOFF: "in_6c"}
        ends[S.CHURNED] = "in_6d"
        for name, at, moves, _ in self.entries():
            month = at.date().replace(day=1)
            if month < plus(TODAY, -11):
                continue
            stages = {to for _, to, _ in moves}
            reached = ("written", WRITTEN), ("engaged", ENGAGED), ("called", CALLED)
            for column in ("accounts", *(column for column, any_of in reached if stages & any_of)):
                found[(str(month),)][column].append(name)
            found[(str(month),)][ends.get(moves[-1][1], "still_open")].append(name)
        return found

    def outreach(self):
        found = defaultdict(lambda: defaultdict(list))
        for name, at, _, following in self.entries():
            entered = at.date()
            month = entered.replace(day=1)
            if month < plus(TODAY, -11):
                continue
            renewal = maybe_day(self.accounts[name]["renewal_on"])
            ends = [
                bill["ends"]
                for bill in self.bills[name]
                if bill["status"] != "void" and bill["ends"] and bill["ends"] >= entered
            ]
            renewed = min(ends, default=renewal if renewal and renewal >= entered else None)
            written = [left.date() for _, to, left in following if to == S.INITIATED]
            cell = found[(str(month),)]
            cell["accounts"].append(name)
            if following and not written:
                continue
            by = entered + days(7)
            last = renewed and renewed - days(14)
            for day, yes, no, judged in (
                (by, "in_week", "late", "due_week"),
                (last, "in_time", "not_in_time", "due_time"),
            ):
                if day is None or day < entered or (not written and day >= TODAY):
                    continue
                cell[yes if written and written[0] <= day else no].append(name)
                cell[judged].append(name)
        return found

    def throughput(self):
        found = defaultdict(lambda: defaultdict(list))
        monday = TODAY - timedelta(days=TODAY.weekday())
        columns = {S.NEW: "entered", S.INTRO_CALL_COMPLETED: "called", S.SECOND_CALL_COMPLETED: "called"}
        columns |= {
            S.ONBOARDED_NO_ENGAGEMENT: "in_6a",
            S.ONBOARDED_ENGAGED: "in_6b",
            S.SALES_HANDOFF: "in_6c",
        }
        columns[S.CHURNED] = "in_6d"
        for name, moves in self.moves.items():
            for source, to, at in moves:
                week = at.date() - timedelta(days=at.weekday())
                column = "written" if (source, to) == (S.NEW, S.INITIATED) else columns.get(to)
                if column and week > monday - timedelta(weeks=12):
                    found[(str(week),)][column].append(name)
        return found

    def time_in_stage(self):
        stays = defaultdict(list)
        groups = {S.ENGAGED_EMAIL: "group 3", S.CALL_BOOKED: "group 3", **dict.fromkeys(CALLED, "group 4")}
        for moves in self.moves.values():
            for (_, stage, at), (_, _, left) in pairwise(moves):
                stays[stage].append((at, left))
            begun = None
            for _, to, at in moves:
                group = groups.get(to)
                if begun and begun[0] != group:
                    stays[begun[0]].append((begun[1], at))
                    begun = None
                if group and begun is None:
                    begun = group, at
        closed = {S.ONBOARDED_NO_ENGAGEMENT, S.ONBOARDED_ENGAGED, S.SALES_HANDOFF, S.CHURNED, ""}
        found = {}
        for place, times in stays.items():
            took = sorted(
                (left.date() - at.date()).days for at, left in times if left.date() >= TODAY - days(90)
            )
            if took and place not in closed:
                least = [took[math.ceil(len(took) * part / 10) - 1] for part in (5, 9)]
                found[(str(place),)] = {"stays": len(took), "median": least[0], "p90": least[1]}
        return found

    def bills_due(self):
        weights = {"": 95, "low": 98, "medium": 70, "high": 30}
        found = defaultdict(lambda: defaultdict(Decimal))
        for name, bills in self.bills.items():
            risk = self.accounts[name]["payment_risk"]
            for bill in bills:
                due, status = bill["due"], bill["status"]
                ahead = status in ("upcoming", "draft", "open") and due and TODAY <= due <= TODAY + days(59)
                late = status == "open" and due and due < TODAY
                if not (ahead or late) or bill["amount"] <= 0:
                    continue
                week = "overdue" if late else str(due - timedelta(days=due.weekday()))
                failed = int(bill["attempts"]) > 0
                cell, at_risk = found[bill["currency"], week], failed or risk in ("medium", "high")
                weight = min(weights[risk], 50 if failed else 100)
                cell["bills"] += 1
                cell["amount"] += bill["amount"]
                cell["at_risk" if at_risk else "without"] += bill["amount"]
                cell["failed"] += failed
                cents = (bill["amount"] * weight).to_integral_value("ROUND_HALF_UP")
                cell["expected"] += cents / 100
        return found


def add_edges(seed):
    """Older bills for the seeded accounts: credit months, void ones, other currencies, some who left and came back."""
    chance = Random(seed)
    for one in Account.objects.order_by("external_id")[:120]:
        starts, currency = chance.choice((1, 15, 28)), "EUR" if chance.random() < 0.1 else "USD"
        for back in range(10, 0, -1):
            if chance.random() < 0.3:
                continue
            begins = plus(TODAY, -back).replace(day=starts)
            Bill.objects.create(
                account=one,
                external_id=f"edge-{one.pk}-{back}",
                period_start=begins,
                period_end=plus(begins, 1).replace(day=starts) if chance.random() < 0.9 else None,
                amount=chance.choice((0, 0, 60, 99, Decimal("99.99"), 100, Decimal("312.45"), 1200)),
                currency=currency if chance.random() < 0.95 else "GBP",
                status=chance.choice(("paid",) * 6 + ("void", "open", "uncollectible", "draft", "upcoming")),
                attempts=chance.choice((0, 0, 0, 2)),
                reported_at=NOW,
            )
        if chance.random() < 0.3:
            Account.objects.filter(pk=one.pk).update(credit_use=chance.choice((0, 500)))


def undo_some():
    """Moves that were made and undone, and accounts that entered again."""
    by = user("lead")
    for one in Account.objects.filter(stage=S.INITIATED).order_by("pk")[:5]:
        made = one.move(S.ENGAGED_EMAIL, by=by, now=NOW - timedelta(minutes=3), cause="list")
        one.undo(by=by, now=NOW - timedelta(minutes=1), transition_id=made.pk)
    for one in Account.objects.filter(stage=S.CHURNED).order_by("pk")[:3]:
        one.move(S.NEW, by=by, now=NOW - timedelta(minutes=3), cause="list", reason="Back.")


@pytest.fixture(params=[1, 2, 3])
def seeded(request):
    demo.add_logins(now=NOW)
    demo.add_accounts(150, seed=request.param, now=NOW)
    add_edges(request.param)
    undo_some()
    Entry.objects.bring_up_to_date()
    with time_machine.travel(NOW, tick=False):
        yield Files(signed_in("admin"))


LISTS = ("retention", "funnel", "outreach", "throughput")
SUMS = ("ndr", "bills-due")


def test_every_number_is_what_the_exported_files_say_to_the_cent_and_the_account(seeded):
    pks = {name: pk for pk, name in Account.objects.values_list("pk", "external_id")}
    for name in LISTS:
        metric, expected = METRICS[name], getattr(seeded, name)()
        rows = {row.key: row.values for row in metric.read(numbers())}
        columns = [column for column in metric.figures if column.where]
        for key in {*rows, *expected}:
            for column in columns:
                counted = sorted(pks[one] for one in expected[key][column.name])
                shown = rows.get(key, {}).get(column.name, 0)
                assert shown == len(counted), (name, key, column.name)
                behind = Account.objects.filter(pk__in=metric.accounts(column.name, key, numbers()))
                assert sorted(behind.values_list("pk", flat=True)) == sorted({*counted}), (
                    name,
                    key,
                    column.name,
                )
    for name in SUMS:
        expected = getattr(seeded, name.replace("-", "_"))()
        rows = {row.key: row.values for row in METRICS[name].read(numbers())}
        assert {*rows} == {*expected}
        for key, sums in expected.items():
            assert {column: rows[key][column] for column in sums} == dict(sums), (name, key)
    rows = METRICS["time-in-stage"].read(numbers())
    assert {row.key: {name: row.values[name] for name in ("stays", "median", "p90")} for row in rows} == (
        seeded.time_in_stage()
    )
    assert len(seeded.retention()) > 10
    assert {key[1] for key in seeded.retention()} >= {"entered", "others", "EUR"}
