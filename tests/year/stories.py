"""What happens to the accounts of a year, and what must come of it, reckoned without the engine.

People act and facts are reported at moments of their own, whatever the clock does; only the playbooks hang on it. The
rules are written here once more in plain Python: each act must fall on the team's day of the first tick from the
moment on that they give for it. Where a clock that rests could swallow a whole window (renewal in 0 to 10 days, and a
call or an extension within it), what is right would differ from clock to clock; such stories keep off the outage.
"""

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from apps.crm.models import Bill, Call, Policy, Purchase, Signal
from apps.crm.models.bill import ReportedBill
from apps.crm.pipeline import Stage
from apps.playbooks.registry import PLAYBOOKS
from tests.year.clock import DAYS, FIRST, HOUR, OUTAGE, moment_of, start_of

ENTER, LEAD, FINAL, MISSED, FAILED, LARGE, CANDIDATE, *_OTHERS = PLAYBOOKS
FIRST_BILL, ROUTING, NO_SHOW, SURVEY, LOW, CHURN, STALE, RETURNED, TOLD = _OTHERS
DUE_IN = {FINAL: 2, CANDIDATE: 2, FIRST_BILL: 1, ROUTING: 1, NO_SHOW: 2, STALE: 3}


@dataclass
class Fate:
    """What must come of an account by a clock: (to, day, cause) and (playbook, day) in order, and what hangs on it."""

    moves: list[tuple[Any, ...]] = field(default_factory=list)
    acts: list[tuple[Any, ...]] = field(default_factory=list)
    tasks: list[tuple[Any, ...]] = field(default_factory=list)
    alerts: list[tuple[Any, ...]] = field(default_factory=list)

    def act(self, playbook, day, to=None, task="", raises=False, closed=True, attempts=0):
        """A playbook acts on a day, and makes what it makes."""
        self.acts.append((playbook, day))
        if to:
            self.moves.append((to, day, f"playbook:{playbook}"))
        if task:
            self.tasks.append((task, day + DUE_IN[playbook]))
        if raises:
            self.alerts.append((playbook, day, "closed" if closed else "open", attempts))
        return self

    def final(self, day):
        return self.act(FINAL, day, to=Stage.AWAITING_FINAL_OUTREACH, task="Send the final outreach")

    def by_hand(self, to, day):
        self.moves.append((to, day, "board"))
        return self


@dataclass
class Story:
    """An account as it begins, what people and other systems do to it at which moment, and what must come of it."""

    zone: ZoneInfo
    facts: dict[str, Any]
    stage: Stage = Stage.INITIATED
    deeds: list[tuple[Any, ...]] = field(default_factory=list)
    fate: Any = lambda clock: Fate()

    def on(self, offset, deed, hour=15):
        """At this hour of that day ``deed(account, person, now)`` happens."""
        moment = moment_of(self.zone, offset, time(hour))
        self.deeds.append((moment, deed))
        return moment


def move(to, reason=""):
    return lambda account, person, now: account.move(to, by=person, now=now, cause="board", reason=reason)


def facts(**values):
    return lambda account, person, now: account.edit(now=now, **values)


def bill(name, status, amount, due, attempts=0):
    def told(account, person, now):
        reported = ReportedBill(
            external_id=f"{account.external_id}-{name}",
            account_id=account.pk,
            status=status,
            amount=Decimal(amount),
            reported_at=now,
            due_on=due,
            attempts=attempts,
        )
        Bill.objects.report([reported])

    return told


def day(offset):
    return FIRST + timedelta(days=offset)


def _renews_every_month(zone, number):
    """In 2, later in 3b: at every renewal to 5 ten days before, and back to 3b by a person two days after."""
    first = 12 + number % 30
    renewals = range(first, DAYS + 11, 30)
    story = Story(zone, {"next_renewal_on": day(first)})
    for renewal in renewals:
        if renewal + 2 < DAYS:
            story.on(renewal + 1, facts(next_renewal_on=day(renewal + 30)))
            story.on(renewal + 2, move(Stage.CALL_BOOKED))

    def fate(clock):
        told = Fate()
        for renewal in renewals:
            done = clock.day(start_of(zone, renewal - 10))
            told.final(done)
            if renewal + 2 < DAYS:
                told.by_hand(Stage.CALL_BOOKED, renewal + 2)
        return told

    story.fate = fate
    return story


def _enters(zone, number, story, begins):
    """Enters at a moment, is written to too late, awaits its final outreach, and is closed."""
    offset = number_day(number)
    story.stage = Stage.OUTSIDE
    story.facts["next_renewal_on"] = day(offset + 70)
    story.on(offset + 27, move(Stage.INITIATED))
    story.on(offset + 72, move(Stage.ONBOARDED_NO_ENGAGEMENT))

    def fate(clock):
        entered = clock.day(begins)
        told = Fate().act(ENTER, entered, to=Stage.NEW)
        told.act(MISSED, clock.day(start_of(zone, entered + 8)), raises=True)
        told.by_hand(Stage.INITIATED, offset + 27).final(clock.day(start_of(zone, offset + 60)))
        return told.by_hand(Stage.ONBOARDED_NO_ENGAGEMENT, offset + 72)

    story.fate = fate
    return story


def number_day(number):
    """A day for each, over the year, with room for all that follows."""
    return 3 + number * 7 % 310


def _becomes_ours(zone, number):
    story = Story(zone, {"plan": "startup"})
    return _enters(zone, number, story, story.on(number_day(number), facts(plan="boost")))


def _rolls_off(zone, number):
    offset = number_day(number)
    story = Story(zone, {"plan": "yc", "plan_ends_on": day(offset + 30)})
    return _enters(zone, number, story, start_of(zone, offset))


def _apart_from_the_outage(number, before, after):
    """A day whose surroundings the outage does not touch: a window it could swallow whole."""
    offset = 20 + number * 13 % 350
    near = range(OUTAGE[0] - after, OUTAGE[-1] + before + 2)
    return offset + len(near) if offset in near else offset


def _is_extended(zone, number):
    renewal = _apart_from_the_outage(number, before=3, after=1)
    story = Story(zone, {"next_renewal_on": day(renewal), "extended_until": day(renewal - 3)})
    story.fate = lambda clock: _once_final(clock, start_of(zone, renewal - 3))
    return story


def _has_a_call(zone, number):
    renewal = _apart_from_the_outage(number, before=4, after=1)
    story = Story(zone, {"next_renewal_on": day(renewal)}, stage=Stage.CALL_BOOKED)
    starts = moment_of(zone, renewal - 5, time(23, 30))

    def booked(account, person, now):
        Call.objects.create(
            account=account,
            external_id=f"call-{account.external_id}",
            status="booked",
            starts_at=starts,
            ends_at=starts + HOUR,
        )

    story.deeds.append((start_of(zone, 0), booked))
    story.fate = lambda clock: _once_final(clock, start_of(zone, renewal - 4))
    return story


def _once_final(clock, moment):
    return Fate().final(clock.day(moment))


def _renewal_moves_a_little(zone, number):
    """Taken out of 5 by a person before its renewal becomes a later day of the same renewal."""
    renewal = _apart_from_the_outage(number, before=10, after=12)
    story = Story(zone, {"next_renewal_on": day(renewal)})
    story.on(renewal - 6, move(Stage.CALL_BOOKED))
    story.on(renewal - 5, facts(next_renewal_on=day(renewal + 9)))

    def fate(clock):
        told = _once_final(clock, start_of(zone, renewal - 10))
        return told.by_hand(Stage.CALL_BOOKED, renewal - 6)

    story.fate = fate
    return story


def _bill_fails(zone, number):
    offset = number_day(number)
    story = Story(zone, {"next_renewal_on": None})
    fails = story.on(offset, bill("fails", "open", 120, day(offset), attempts=1))
    story.on(offset + 12, bill("fails", "open", 120, day(offset), attempts=2))
    story.on(offset + 30, bill("fails", "paid", 120, day(offset), attempts=2))

    story.fate = lambda clock: Fate().act(FAILED, clock.day(fails), raises=True, attempts=2)
    return story


def _bill_is_large(zone, number):
    due = number_day(number) + 20
    story = Story(zone, {"next_renewal_on": None})
    story.on(0, bill("large", "upcoming", 1500, day(due)), hour=0)
    story.on(due + 5, bill("large", "paid", 1500, day(due)))

    story.fate = lambda clock: Fate().act(LARGE, clock.day(start_of(zone, due - 14)), raises=True)
    return story


def _misses_a_paid_call(zone, number):
    """Is offered another time at once, and credits once two weeks went by in silence."""
    offset = number_day(number)
    story = Story(zone, {"next_renewal_on": None}, stage=Stage.INITIATED)
    missed = moment_of(zone, offset, time(23, 30))

    def marked(account, person, now):
        Call.objects.create(
            account=account,
            external_id=f"missed-{account.external_id}",
            kind=Call.Kind.CONSULTATION,
            status=Call.Status.NO_SHOW,
            starts_at=now - HOUR,
            ends_at=now - HOUR / 2,
            marked_at=now,
        )

    story.deeds.append((missed, marked))

    def fate(clock):
        told = Fate().act(NO_SHOW, clock.day(missed), task="Offer another time")
        return told.act(
            NO_SHOW, clock.day(start_of(zone, offset + 14)), task="Offer credits for the missed call"
        )

    story.fate = fate
    return story


def signal(kind):
    def said(account, person, now):
        Signal.objects.create(account=account, kind=kind, external_id=f"{kind}-{account.external_id}", at=now)

    return said


def _is_handed_to_sales(zone, number):
    """Sales turns it down, and later finds somebody for it all the same."""
    offset = number_day(number)
    story = Story(zone, {"next_renewal_on": None})
    handed = story.on(offset, move(Stage.SALES_HANDOFF, "Large"))
    turned_down = story.on(offset + 20, signal(Signal.Kind.SALES_DISQUALIFIED))
    story.on(offset + 40, facts(sales_contact_kind="AE"))

    def fate(clock):
        told = Fate().by_hand(Stage.SALES_HANDOFF, offset).act(TOLD, clock.day(handed))
        return told.act(RETURNED, clock.day(turned_down), raises=True)

    story.fate = fate
    return story


def _leaves(zone, number):
    offset = number_day(number)
    story = Story(zone, {"next_renewal_on": None}, stage=Stage.ENGAGED_EMAIL)
    says = story.on(offset, signal(Signal.Kind.SUBSCRIPTION_CANCELED))
    story.on(offset + 20, move(Stage.CHURNED, "Too dear"))
    story.fate = lambda clock: (
        Fate().act(CHURN, clock.day(says), raises=True).by_hand(Stage.CHURNED, offset + 20)
    )
    return story


def _grows(zone, number):
    """Is forecast so high that Sales may want it, then its first bill falls due and stays open."""
    offset = number_day(number)
    story = Story(zone, {"next_renewal_on": None})
    grown = story.on(offset, facts(forecast=Decimal(2500)))
    story.on(offset + 1, bill("first", "open", 300, day(offset + 20)))

    def fate(clock):
        told = Fate().act(CANDIDATE, clock.day(grown), task="Consider a sales handoff")
        first = clock.day(start_of(zone, offset + 21))
        return told.act(FIRST_BILL, first, task="Did the first bill come through?")

    story.fate = fate
    return story


def _is_a_lead_of_sales(zone, number):
    story = Story(zone, {"plan": "pay_as_you_go", "next_renewal_on": None}, stage=Stage.OUTSIDE)
    grown = story.on(number_day(number), facts(forecast=Decimal(2500)))
    story.fate = lambda clock: Fate().act(LEAD, clock.day(grown))
    return story


def _buys_a_call(zone, number):
    story = Story(zone, {"plan": "startup", "next_renewal_on": None}, stage=Stage.OUTSIDE)

    def buys(account, person, now):
        Purchase.objects.create(
            account=account, external_id=f"order-{account.external_id}", amount=200, bought_at=now
        )

    bought = story.on(number_day(number), buys)
    story.fate = lambda clock: Fate().act(ROUTING, clock.day(bought), task="Prepare the paid call")
    return story


def _may_not_pay(zone, number):
    """At risk, confirmed before the year; asked about a month before its next renewal, once."""
    asked = number_day(number)
    renewal = _a_month_after(day(asked))
    confirmed = start_of(zone, -10)
    risk = {"payment_risk": "high", "payment_risk_at": confirmed, "next_renewal_on": renewal}
    story = Story(zone, risk, stage=Stage.ONBOARDED_ENGAGED)
    story.fate = lambda clock: Fate().act(STALE, clock.day(start_of(zone, asked)), task="Still at risk?")
    return story


def _a_month_after(that_day):
    """The first day that lies a month after that one; a month before it, as a database reckons, is that day."""
    year, month = divmod(that_day.year * 12 + that_day.month, 12)
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(that_day.day, last))


def _is_asked_how_it_was(zone, number):
    """Is closed, asked the day after, says two weeks later that it was bad, and takes that back."""
    said = _apart_from_the_outage(number, before=16, after=1)
    closed = said - 15
    story = Story(zone, {"next_renewal_on": None}, stage=Stage.AWAITING_FINAL_OUTREACH)
    story.deeds.append((start_of(zone, 0), _has_a_contact))
    story.on(closed, move(Stage.ONBOARDED_NO_ENGAGEMENT))
    answered = story.on(said, _answers(3))
    story.on(said + 5, _answers(9))

    def fate(clock):
        told = Fate().by_hand(Stage.ONBOARDED_NO_ENGAGEMENT, closed)
        told.act(SURVEY, clock.day(start_of(zone, closed + 1)))
        return told.act(LOW, clock.day(answered), raises=True)

    story.fate = fate
    return story


def _has_a_contact(account, person, now):
    account.contacts.create(email=f"{account.external_id}@customer.example", name="Somebody")


def _answers(score):
    def said(account, person, now):
        account.surveys.get().answer(score, "", numbers=Policy.at(now))

    return said


def _nothing_happens(zone, number):
    return Story(zone, {"plan": "startup", "next_renewal_on": day(number)}, stage=Stage.OUTSIDE)


KINDS = (
    *[_renews_every_month] * 2,
    *[_becomes_ours] * 2,
    *[_rolls_off] * 2,
    _is_extended,
    _has_a_call,
    _renewal_moves_a_little,
    _bill_fails,
    _bill_is_large,
    _misses_a_paid_call,
    _is_handed_to_sales,
    _leaves,
    _grows,
    _is_a_lead_of_sales,
    _buys_a_call,
    _may_not_pay,
    _is_asked_how_it_was,
    _nothing_happens,
)


def stories(zone, number):
    """So many accounts, of every kind."""
    return [
        KINDS[n % len(KINDS)](ZoneInfo(zone), n // len(KINDS) + 23 * (n % len(KINDS))) for n in range(number)
    ]
