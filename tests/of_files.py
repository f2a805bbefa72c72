"""The exported files read back, and the numbers worked out from them row by row, in plain Python."""

import csv
import io
import math
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from apps.crm.pipeline import OPEN
from tests.counting import S, plus
from tests.factories import TODAY, days

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


def exported(client, name, asked=""):
    """The rows of an exported table."""
    answer = client.get(f"/export/{name}/?{asked}")
    content = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(content[1:], newline="")))


def maybe_day(text):
    return date.fromisoformat(text) if text else None


def day_of(text):
    """The day of an exported moment, in UTC."""
    return datetime.fromisoformat(text).date() if text else None


def least(took, part):
    """The least number that so many tenths do not exceed; None of nothing."""
    return sorted(took)[math.ceil(len(took) * part / 10) - 1] if took else None


def ratio(part, whole):
    """A share to four places; None of nothing."""
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.0001")) if whole else None


def shares(cells):
    """What follows from the counts of a row of retention, by cohort or by path."""
    number, lost = len(cells["accounts"]), len(cells["lost"])
    return {"share": ratio(len(cells["kept"]), number), "may_be_lost": math.floor(number / 10 - lost)}


class Files:
    """The exported files, and the numbers worked out from them row by row: accounts by cell, amounts beside them."""

    def __init__(self, client):
        self.accounts = {row["external_id"]: row for row in exported(client, "accounts")}
        self.tasks = exported(client, "tasks", "assignee=all")
        self.alerts = [
            row
            for state in ("open", "snoozed", "resolved")
            for row in exported(client, "alerts", f"state={state}")
        ]
        self.calls, self.surveys = exported(client, "calls"), exported(client, "surveys")
        self.signals, self.risks = exported(client, "signals"), exported(client, "risks")
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
                self.moves[row["account"]].append((row["from_stage"], row["to_stage"], at, row["by"]))

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
            found[key]["accounts"] = len(cell["accounts"])
            for column in ("accounts", "first", "third"):
                found[key][column.upper()] = {*cell["accounts"]}
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
            stages = {to for _, to, *_ in moves}
            reached = ("written", WRITTEN), ("engaged", ENGAGED), ("called", CALLED)
            for column in ("accounts", *(column for column, any_of in reached if stages & any_of)):
                found[(str(month),)][column].append(name)
            found[(str(month),)][ends.get(moves[-1][1], "still_open")].append(name)
        return found

    def judged(self):
        """Each entry with its moment, whether it was written to within a week and by T-14, and when it entered."""
        for name, at, _, following in self.entries():
            entered = at.date()
            renewal = maybe_day(self.accounts[name]["renewal_on"])
            ends = [
                bill["ends"]
                for bill in self.bills[name]
                if bill["status"] != "void" and bill["ends"] and bill["ends"] >= entered
            ]
            renewed = min(ends, default=renewal if renewal and renewal >= entered else None)
            written = [left.date() for _, to, left, _ in following if to == S.INITIATED]
            judged = []
            for day in (entered + days(7), renewed and renewed - days(14)):
                counts = day is not None and day >= entered and (written or (not following and day < TODAY))
                judged.append(bool(written and written[0] <= day) if counts else None)
            yield name, at, *judged

    def outreach(self):
        found = defaultdict(lambda: defaultdict(list))
        for name, at, in_week, in_time in self.judged():
            month = at.date().replace(day=1)
            if month < plus(TODAY, -11):
                continue
            cell = found[(str(month),)]
            cell["accounts"].append(name)
            for value, yes, no, judged in (
                (in_week, "in_week", "late", "due_week"),
                (in_time, "in_time", "not_in_time", "due_time"),
            ):
                if value is not None:
                    cell[yes if value else no].append(name)
                    cell[judged].append(name)
        return found

    def retention_by_path(self):
        found = defaultdict(lambda: defaultdict(list))
        judged = {(name, at): both for name, at, *both in self.judged()}
        ends = {S.ONBOARDED_NO_ENGAGEMENT, S.ONBOARDED_ENGAGED, S.SALES_HANDOFF, S.CHURNED}
        for (month, who), cell in self.retention().items():
            if who != "entered" or plus(date.fromisoformat(month), 4) > TODAY:
                continue
            for name in cell["accounts"]:
                facts = self.accounts[name]
                at = datetime.fromisoformat(facts["entered_at"])
                week, before = judged.get((name, at), (None, None))
                stage = facts["current_stage"]
                paths = [f"closed {stage if stage in ends else 'open'}"]
                paths += [f"week {'yes' if week else 'no'}"] if week is not None else []
                paths += [f"before {'yes' if before else 'no'}"] if before is not None else []
                for path in paths:
                    found[(path,)]["accounts"].append(name)
                    found[(path,)]["kept" if name in cell["kept"] else "lost"].append(name)
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
            for source, to, at, _ in moves:
                week = at.date() - timedelta(days=at.weekday())
                column = "written" if (source, to) == (S.NEW, S.INITIATED) else columns.get(to)
                if column and week > monday - timedelta(weeks=12):
                    found[(str(week),)][column].append(name)
        return found

    def time_in_stage(self):
        stays = defaultdict(list)
        groups = {S.ENGAGED_EMAIL: "group 3", S.CALL_BOOKED: "group 3", **dict.fromkeys(CALLED, "group 4")}
        for name, moves in self.moves.items():
            for (_, stage, at, _), (_, _, left, _) in pairwise(moves):
                stays[stage].append((at, left, name))
            begun = None
            for _, to, at, _ in moves:
                group = groups.get(to)
                if begun and begun[0] != group:
                    stays[begun[0]].append((begun[1], at, name))
                    begun = None
                if group and begun is None:
                    begun = group, at
        closed = {S.ONBOARDED_NO_ENGAGEMENT, S.ONBOARDED_ENGAGED, S.SALES_HANDOFF, S.CHURNED, ""}
        found, behind = {}, {}
        for place, times in stays.items():
            ended = [
                ((left.date() - at.date()).days, name)
                for at, left, name in times
                if left.date() >= TODAY - days(90)
            ]
            took = [number for number, _ in ended]
            if took and place not in closed:
                found[(str(place),)] = {"stays": len(took), "median": least(took, 5), "p90": least(took, 9)}
                behind[(str(place),)] = {name for _, name in ended}
        return found, behind

    def bills_ahead(self):
        """Each bill of the next 60 days and each overdue one: its account, and what is counted of it."""
        weights = {"": 95, "low": 98, "medium": 70, "high": 30}
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
                at_risk = failed or risk in ("medium", "high")
                weight = min(weights[risk], 50 if failed else 100)
                cents = (bill["amount"] * weight).to_integral_value("ROUND_HALF_UP")
                sums = {"bills": 1, "amount": bill["amount"], "failed": failed, "expected": cents / 100}
                yield (
                    name,
                    bill["currency"],
                    week,
                    risk,
                    sums | {"at_risk" if at_risk else "without": bill["amount"]},
                )

    def bills_due(self):
        return self._added(
            (name, (currency, week), sums) for name, currency, week, _, sums in self.bills_ahead()
        )

    def bills_by_risk(self):
        return self._added(
            (name, (currency, risk), sums) for name, currency, _, risk, sums in self.bills_ahead()
        )

    def _added(self, bills):
        """Sums by cell, and beside them under the same name in capitals the accounts they are of."""
        found = defaultdict(lambda: defaultdict(Decimal))
        for name, key, sums in bills:
            for column, value in sums.items():
                found[key][column] += value
                if value:
                    found[key].setdefault(column.upper(), set())
                    found[key][column.upper()].add(name)
        return found

    def load(self):
        """By login."""
        found = defaultdict(lambda: defaultdict(list))
        for name, facts in self.accounts.items():
            if facts["current_stage"] in OPEN:
                found[facts["owner_login"]]["accounts"].append(name)
        for table, column, done in ((self.tasks, "tasks", "done_at"), (self.alerts, "alerts", "resolved_at")):
            for row in table:
                if row["assignee"] and not row[done]:
                    found[row["assignee"]][column].append(row["account"])
        for name, moves in self.moves.items():
            for source, to, at, by in moves:
                if by and (source, to) == (S.NEW, S.INITIATED) and at.date() > TODAY - days(28):
                    found[by]["outreaches"].append(name)
        for row in self.calls:
            held = row["status"] == "held" and TODAY - days(28) < day_of(row["starts_at"]) <= TODAY
            for host in row["hosts"].split("; ") if held and row["hosts"] else ():
                found[host]["calls"].append(row["account"])
        return found

    def handoffs(self):
        found = defaultdict(lambda: defaultdict(list))
        became = {S.NEW: "returned", S.CHURNED: "churned"}
        refused = defaultdict(list)
        for row in self.signals:
            if row["kind"] == "sales_disqualified":
                refused[row["account"]].append(datetime.fromisoformat(row["at"]))
        for name, moves in self.moves.items():
            for (_, to, at, _), after in zip(moves, [*moves[1:], None], strict=True):
                month = at.date().replace(day=1)
                if to != S.SALES_HANDOFF or month < plus(TODAY, -11):
                    continue
                if after:
                    outcome = became.get(after[1], "other")
                elif self.accounts[name]["sales_contact"]:
                    outcome = "taken"
                else:
                    outcome = "refused" if any(said >= at for said in refused[name]) else "waiting"
                for column in ("handoffs", outcome):
                    found[(str(month),)][column].append(name)
        return found

    def survey(self):
        found, scores = defaultdict(lambda: defaultdict(list)), defaultdict(list)
        for row in self.surveys:
            key = (str(day_of(row["asked_at"]).replace(day=1)),)
            if key[0] < str(plus(TODAY, -11)):
                continue
            score = int(row["score"]) if row["score"] else None
            if score is not None:
                scores[key].append(Decimal(score))
            counts = {"sent": True, "answered": score is not None}
            counts |= {"low": score is not None and score <= 6, "high": score is not None and score >= 9}
            for column in (column for column, counted in counts.items() if counted):
                found[key][column].append(row["account"])
        means = {
            key: (sum(given) / len(given)).quantize(Decimal("0.1"), "ROUND_HALF_UP")
            for key, given in scores.items()
        }
        return found, means

    def alerts_by_kind(self):
        found, took = defaultdict(lambda: defaultdict(list)), defaultdict(list)
        for row in self.alerts:
            raised, resolved = day_of(row["raised_at"]), day_of(row["resolved_at"])
            closed = bool(resolved and resolved > TODAY - days(90))
            counts = {"raised": raised > TODAY - days(90), "closed": closed, "open_now": not resolved}
            for column in (column for column, counted in counts.items() if counted):
                found[(row["kind"],)][column].append(row["account"])
            if closed:
                took[(row["kind"],)].append((resolved - raised).days)
        return found, took

    def payment_risk(self):
        found, was = defaultdict(lambda: defaultdict(list)), defaultdict(str)
        columns = {"": "cleared", "low": "low", "medium": "medium", "high": "high"}
        for row in sorted(self.risks, key=lambda row: row["at"]):
            name, risk, month = row["account"], row["risk"], day_of(row["at"]).replace(day=1)
            changed, was[name] = risk != was[name], risk
            if changed and month >= plus(TODAY, -11):
                for column in ("changes", columns[risk]):
                    found[(str(month),)][column].append(name)
        return found
