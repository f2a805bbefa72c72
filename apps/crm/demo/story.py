"""What happened to one demo account: its facts, its moves, and what the team wrote down on the way."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

from django.db.models import Model

from apps.crm.demo import words
from apps.crm.demo.cast import Cast, external_id, money, name_of
from apps.crm.demo.scenes import GAPS, Scene
from apps.crm.demo.told import Told
from apps.crm.models import (
    Account,
    AccountLabel,
    Alert,
    Bill,
    Call,
    CallHost,
    Contact,
    Note,
    Notice,
    Purchase,
    Task,
    User,
)
from apps.crm.models.account import PaymentRisk, Plan
from apps.crm.models.transition import StageTransition, is_automatic
from apps.crm.options import refusal
from apps.crm.pipeline import MOVES, Stage

S = Stage
BILL_DAYS = 30
PLANS = (Plan.PAY_AS_YOU_GO,) * 7 + (Plan.STARTUP, Plan.STARTUP, Plan.YC, Plan.BOOST, Plan.ANNUAL)
SUMMARIES = {
    S.INTRO_CALL_COMPLETED: (Note.Kind.CALL_SUMMARY, "**Intro call** with {contact}."),
    S.SECOND_CALL_COMPLETED: (Note.Kind.GOALS, "**Second call** with {contact}. {wish}."),
}
CALLS = {S.INTRO_CALL_COMPLETED: Call.Kind.INTRO, S.SECOND_CALL_COMPLETED: Call.Kind.SECOND}
BOOKED_AS = {S.CALL_BOOKED: Call.Kind.INTRO, S.PAID_CALL: Call.Kind.CONSULTATION}


class Story:
    """One account, from the facts to its last task. ``rows`` holds all of it, unsaved, by model.

    Moves are made by the FSM on the account in memory, so that a history the pipeline refuses cannot be told.
    ``pk`` is the id the account will have; one that is not ``rich`` has no history here, but is loaded at its
    stage since a day, as from a file.
    """

    def __init__(self, index: int, seed: int, scene: Scene, cast: Cast, *, pk: int, rich: bool) -> None:
        self.scene, self.cast, self.rich = scene, cast, rich
        self.chance = Random(f"{seed}/{index}")
        self.rows: dict[type[Model], list[Any]] = defaultdict(list)
        self.days = self._days()
        self.owner = self.chance.choice([*cast.specialists, *cast.specialists, cast.lead])
        self.account = self._account(index, seed, pk)
        self.contact = self._contacts(self.chance.choice((1, 1, 2, 3)) if rich else 1)
        if rich:
            self._moves()
            self._bills()
            self._calls_ahead()
            self._task()
            self._marks()
            self._told()
            self._mention()

    @property
    def place(self) -> tuple[Stage, datetime]:
        """The stage and since when, for a first load."""
        return self.scene.stage, self.cast.numbers.start_of(self.days[-1])

    @property
    def entry(self) -> StageTransition:
        """The move that brought it into the pipeline last."""
        return [row for row in self.rows[StageTransition] if row.to_stage == S.NEW][-1]

    def _between(self, span: tuple[int, int]) -> int:
        return self.chance.randint(*span)

    def _often(self, share: float) -> bool:
        return self.chance.random() < share

    def _days(self) -> list[date]:
        """The day of each move, told backward from the last; people move on working days."""
        days: list[date] = []
        day = self.cast.today - timedelta(days=self._between(self.scene.stands))
        for position in range(len(self.scene.path) - 1, -1, -1):
            by_playbook = self.scene.path[position] == S.AWAITING_FINAL_OUTREACH
            if position and not by_playbook and day.weekday() >= 5:
                day -= timedelta(days=day.weekday() - 4)
            days.insert(0, day)
            day -= timedelta(days=self._between(GAPS[self.scene.path[position]]))
        return days

    def _renewal(self) -> date:
        """The next bill: as stage 5 foretold it, or as near as the scene says."""
        for stage, day in zip(reversed(self.scene.path), reversed(self.days), strict=True):
            if stage == S.AWAITING_FINAL_OUTREACH:
                renewal = day + timedelta(days=self.cast.numbers.final_outreach_days)
                past = max((self.cast.today - renewal).days, 0)
                return renewal + timedelta(days=-(-past // BILL_DAYS) * BILL_DAYS)
        return self.cast.today + timedelta(days=self._between(self.scene.renews))

    def _account(self, index: int, seed: int, pk: int) -> Account:
        chance, numbers, stage = self.chance, self.cast.numbers, self.scene.stage
        known_since = numbers.start_of(
            self.days[0] if self.days else self.cast.today - timedelta(days=chance.randint(5, 200))
        )
        reported_at = numbers.start_of(self.cast.today)
        plan = chance.choice(PLANS) if self.days else Plan.PAY_AS_YOU_GO
        forecast = money(min(chance.lognormvariate(5.9, 0.7) + 100, 1950))
        if stage == S.SALES_HANDOFF:
            forecast = money(2000 + chance.lognormvariate(6.5, 0.8))
        elif stage == S.OUTSIDE and not self.scene.quarantined:
            forecast = money(chance.uniform(5, 95))
        elif stage == S.CHURNED:
            forecast = Decimal(0)
        elif self.scene.is_open and self._often(0.02):
            forecast = money(chance.uniform(2000, 3500))
        renewal = self._renewal()
        name = name_of(index)
        account = Account(
            pk=pk,
            external_id=external_id(seed, index),
            name=name,
            domain=f"{name.lower().replace(' ', '-')}.demo.example",
            stripe_customer_id=f"cus_demo{seed}x{index:07}",
            plan=plan,
            mrr=money(float(forecast) * chance.uniform(0.6, 1.1)),
            forecast=forecast,
            forecast_at=reported_at,
            credit_use=money(chance.uniform(1600, 3000)) if plan in (Plan.STARTUP, Plan.YC) else None,
            next_renewal_on=renewal,
            contract_renewal_on=renewal if plan == Plan.ANNUAL else None,
            plan_ends_on=renewal if plan in (Plan.STARTUP, Plan.YC) else None,
            bills_reported=0 if self.rich else chance.choice((0, 1, 3, 6, 12)),
            users_count=int(chance.lognormvariate(2.2, 0.9)) + 1,
            reported_by="demo",
            reported_at=reported_at,
            owner=self.owner if self.days and self._often(0.85) else None,
            hand_picked=chance.choice(words.HAND_PICKED) if plan == Plan.ANNUAL else "",
            quarantine="3. Onboarded" if self.scene.quarantined else "",
            created_at=known_since,
            changed_at=known_since,
        )
        if stage == S.SALES_HANDOFF:
            account.contacted_sales = True
            # Of those that went to Sales at once, some find nobody there.
            if self.scene.path[:-1] != (S.NEW,) or self._often(0.6):
                account.sales_contact_kind, account.sales_contact_name = "AE", self._person()
        if self.scene.extended:
            account.extended_until = self.cast.today + timedelta(days=chance.randint(5, 20))
            account.extended_reason = chance.choice(words.EXTENSIONS)
        self._add(account)
        return account

    def _add(self, row: Any) -> Any:
        self.rows[type(row)].append(row)
        return row

    def _person(self) -> str:
        return f"{self.chance.choice(words.GIVEN_NAMES)} {self.chance.choice(words.FAMILY_NAMES)}"

    def _contacts(self, number: int) -> Contact:
        """The people at the customer; returns the first."""
        names = {self._person(): None for _ in range(number)}
        for name in names:
            email = f"{name.lower().replace(' ', '.')}@{self.account.domain}"
            role = self.chance.choice(words.ROLES)
            self._add(Contact(account=self.account, email=email, name=name, role=role))
        first: Contact = self.rows[Contact][0]
        return first

    def _sentence(self, text: str) -> str:
        """A sentence with its blanks filled in."""
        return text.format(
            contact=self.contact.name,
            n=self.chance.choice((10, 15, 20, 30, 40)),
            wish=self.chance.choice(words.WISHES),
        )

    # The moves

    def _moves(self) -> None:
        for position, (stage, day) in enumerate(zip(self.scene.path, self.days, strict=True)):
            self._remember(stage, self._move(stage, day, first=position == 0))
        assert all(before.at < after.at for before, after in pairwise(self.rows[StageTransition]))

    def _move(self, stage: Stage, day: date, *, first: bool) -> StageTransition:
        by, cause, reason = self._who(stage, day, first=first)
        at = self.cast.numbers.start_of(day)
        if not (first and cause == "import"):
            at += timedelta(hours=9, minutes=self.chance.randrange(8 * 60))
        assert not refusal(self.account, stage, automatic=is_automatic(cause))
        rule = MOVES[S(self.account.stage), stage]
        row: StageTransition = self._add(
            self.account.rehearse(
                rule.method, engages=rule.engages, by=by, now=at, cause=cause, reason=reason
            )
        )
        if stage == S.INITIATED:
            self.account.last_outreach_at = at
        elif rule.engages and stage in (S.ENGAGED_EMAIL, S.CALL_BOOKED):
            self.account.last_reply_at = at
        return row

    def _who(self, stage: Stage, day: date, *, first: bool) -> tuple[User | None, str, str]:
        """By whom, through which door and why."""
        if first and stage == S.NEW:
            return self.cast.lead, "import", ""
        if stage == S.AWAITING_FINAL_OUTREACH:
            days = self.cast.numbers.final_outreach_days
            renews = day + timedelta(days=days)
            return None, "playbook:final-outreach-due", f"Renews {renews:%Y-%m-%d}, in {days} days"
        reasons = {
            S.SALES_HANDOFF: words.HANDOFFS,
            S.CHURNED: words.LEAVING,
            S.NEW: words.REENTRIES,
            S.PAID_CALL: ("Consultation bought in the merch store.",),
        }
        reason = self._sentence(self.chance.choice(reasons.get(stage, ("",))))
        return self.owner, self.chance.choice(("list", "list", "board", "account")), reason

    def _remember(self, stage: Stage, row: StageTransition) -> None:
        """What the team writes down and sets itself to do at a move."""
        if stage in CALLS:
            self._call(CALLS[stage], Call.Status.HELD, row.at - timedelta(minutes=40))
            kind, opening = SUMMARIES[stage]
            finding, step = self.chance.choice(words.FINDINGS), self.chance.choice(words.NEXT_STEPS)
            self._note(f"{self._sentence(opening)} {self._sentence(finding)}. {step}", row.at, kind)
        elif stage == S.INITIATED and self._often(0.45):
            self._note(f"Audit: {self._sentence(self.chance.choice(words.FINDINGS))}.", row.at)
        elif stage == S.ENGAGED_EMAIL and self._often(0.6):
            self._note(f"{self.contact.name} replied. {self.chance.choice(words.WISHES)}.", row.at)
        elif stage == S.SALES_HANDOFF:
            self._note(row.reason, row.at, Note.Kind.HANDOFF)
        elif stage == S.CHURNED:
            self._note(row.reason, row.at, Note.Kind.FEEDBACK)
        elif stage == S.PAID_CALL:
            self._add(self._purchase(row.at - timedelta(minutes=2)))
        elif stage == S.AWAITING_FINAL_OUTREACH:
            due_on = self.cast.numbers.day_of(row.at) + timedelta(days=2)
            task = self._todo("Send the final outreach", due_on, row.at, cause=row.cause, transition=row)
            if self.scene.stage != S.AWAITING_FINAL_OUTREACH:
                task.done_at, task.done_by = row.at + timedelta(hours=15), self.owner

    # What hangs on the account

    def _note(self, text: str, at: datetime, kind: str = Note.Kind.NOTE) -> Note:
        created_at = at + timedelta(minutes=5)
        note: Note = self._add(
            Note(account=self.account, kind=kind, text=text, author=self.owner, created_at=created_at)
        )
        return note

    def _todo(self, title: str, due_on: date, at: datetime, **more: Any) -> Task:
        assignee = self.account.owner
        task: Task = self._add(
            Task(account=self.account, title=title, due_on=due_on, created_at=at, assignee=assignee, **more)
        )
        return task

    def _purchase(self, at: datetime) -> Purchase:
        return Purchase(
            account=self.account,
            external_id=f"order-{self.account.external_id}",
            email=self.contact.email,
            amount=Decimal(200),
            bought_at=at,
        )

    def _call(self, kind: str, status: str, starts_at: datetime) -> None:
        number = len(self.rows[Call]) + 1
        call = Call(
            account=self.account,
            external_id=f"{self.account.external_id}-call-{number}",
            kind=kind,
            status=status,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(minutes=30),
            contact_email=self.contact.email,
        )
        self._add(call)
        self._add(CallHost(call=call, user=self.owner))

    def _calls_ahead(self) -> None:
        if self.scene.call_in is None:
            return
        day = self.cast.today + timedelta(days=self._between(self.scene.call_in))
        starts_at = self.cast.numbers.start_of(day) + timedelta(
            hours=9, minutes=30 * self.chance.randrange(15)
        )
        self._call(BOOKED_AS[self.scene.stage], Call.Status.BOOKED, starts_at)

    def _bills(self) -> None:
        """Paid ones, perhaps one that failed, and the next."""
        renewal = self.account.next_renewal_on
        assert renewal is not None
        months = self.chance.choice((0, 0, 1, 1, 2) if self.scene.is_open else (1, 2, 2, 3, 4))
        failed = self.scene.is_open and months > 0 and self._often(0.14)
        for back in range(months, 0, -1):
            due_on = renewal - timedelta(days=BILL_DAYS * back)
            status = Bill.Status.OPEN if failed and back == 1 else Bill.Status.PAID
            self._bill(
                due_on, status, money(float(self.account.mrr or 50) * self.chance.uniform(0.7, 1.2) + 1)
            )
        if self.days and self.scene.stage != S.CHURNED:
            self._bill(renewal, Bill.Status.UPCOMING, self.account.forecast or Decimal(0))

    def _bill(self, due_on: date, status: str, amount: Decimal) -> None:
        number = len(self.rows[Bill]) + 1
        told_at = self.cast.numbers.start_of(min(due_on, self.cast.today))
        self._add(
            Bill(
                account=self.account,
                external_id=f"in_{self.account.external_id}-{number}",
                period_start=due_on - timedelta(days=BILL_DAYS),
                period_end=due_on,
                amount=amount,
                status=status,
                attempts=self.chance.randint(1, 3) if status == Bill.Status.OPEN else 0,
                due_on=due_on,
                paid_at=told_at if status == Bill.Status.PAID else None,
                reported_at=told_at,
            )
        )

    def _task(self) -> None:
        """Something still to do, from overdue to next week, and perhaps something done."""
        titles = words.TASKS.get(self.scene.stage)
        if titles is None:
            return
        at = self.rows[StageTransition][-1].at
        if self._often(0.4):
            due_on = self.cast.today + timedelta(days=self.chance.choice((-5, -2, -1, 0, 0, 1, 2, 3, 5, 8)))
            if due_on >= self.cast.numbers.day_of(at):
                self._todo(self.chance.choice(titles), due_on, at, created_by=self.owner)
        if self._often(0.35) and len(self.days) > 1:
            self._todo(
                self.chance.choice(words.DONE_TASKS),
                self.days[-1],
                self.rows[StageTransition][0].at,
                created_by=self.owner,
                done_at=at,
                done_by=self.owner,
            )

    def _marks(self) -> None:
        """Alerts, labels and the assessment of payment risk."""
        moves = self.rows[StageTransition]
        if self.scene.missed:
            self._alert()
        for label in self.chance.sample(self.cast.labels, self.chance.choice((0, 0, 0, 1, 1, 2))):
            self._add(AccountLabel(account=self.account, label=label))
        legacy = "legacy: 3. Onboarded" if self.scene.quarantined else "Onboarding - engaged"
        if self.scene.quarantined or (self.account.engaged_at and self._often(0.04)):
            self._add(AccountLabel(account=self.account, label=self.cast.legacy_labels[legacy]))
        if len(moves) > 1 and self._often(0.18):
            risk = self.chance.choice(
                (PaymentRisk.LOW, PaymentRisk.LOW, PaymentRisk.MEDIUM, PaymentRisk.HIGH)
            )
            self.account.payment_risk = risk
            self.account.payment_risk_at, self.account.payment_risk_by = moves[-1].at, self.owner
            if risk != PaymentRisk.LOW:
                self.account.payment_risk_reason = self.chance.choice(words.RISKS)

    def _told(self) -> None:
        if moves := self.rows[StageTransition]:
            now = self.cast.numbers.start_of(self.cast.today)
            told = Told(self.account, self.scene, self.chance, self.contact, moves[-1], now)
            for row in (*told.rows(), *told.looked_at(self.owner)):
                self._add(row)

    def _mention(self) -> None:
        """Now and then a colleague is asked something in a note, yesterday towards evening."""
        if not self.scene.is_open or not self._often(0.06):
            return
        colleagues = [one for one in (*self.cast.specialists, self.cast.lead) if one != self.owner]
        asked = self.chance.choice(colleagues)
        evening = self.cast.numbers.start_of(self.cast.today) - timedelta(hours=7)
        note = self._note(f"@{asked.username} {self.chance.choice(words.ASKED)}", evening)
        self._add(Notice(user=asked, account=self.account, note=note, by=self.owner, at=note.created_at))

    def _alert(self) -> None:
        renewal = self.account.next_renewal_on
        assert renewal is not None
        soon = (renewal - self.cast.today).days <= self.cast.numbers.missed_outreach_renewal_days
        late = f"renews on {renewal}" if soon else f"entered on {self.days[-1]}"
        self._add(
            Alert(
                account=self.account,
                kind="missed-outreach",
                text=f"Nobody has written to them yet; the account {late}.",
                assignee=self.account.owner,
                raised_at=self.cast.numbers.start_of(self.cast.today),
            )
        )
