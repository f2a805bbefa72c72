"""What the numbers are held against besides ordinary accounts: the bills, moves and days at which a rule turns."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from random import Random

from apps.crm.models import Account, Alert, Bill, Signal, Survey, User
from tests.counting import S, plus
from tests.factories import NOW, TODAY, account, call, days, user

_serial = count(1)


def add_edges(seed):
    """Older bills for the seeded accounts: credit months, void ones, other currencies, some who left and came back."""
    chance = Random(seed)
    for one in Account.objects.order_by("external_id")[:120]:
        starts, currency = chance.choice((1, 15, 28)), "EUR" if chance.random() < 0.1 else "USD"
        for back in range(chance.randint(2, 18), 0, -1):
            if chance.random() < 0.3:
                continue
            begins = plus(TODAY, -back).replace(day=starts)
            Bill.objects.create(
                account=one,
                external_id=f"edge-{one.pk}-{back}",
                period_start=begins,
                period_end=plus(begins, 1).replace(day=starts) if chance.random() < 0.9 else None,
                amount=chance.choice(
                    (0, 0, Decimal("0.5"), 60, 99, Decimal("99.99"), 100, Decimal("312.45"), 1200)
                ),
                currency=currency if chance.random() < 0.95 else "GBP",
                status=chance.choice(("paid",) * 6 + ("void", "open", "uncollectible", "draft", "upcoming")),
                attempts=chance.choice((0, 0, 0, 2)),
                reported_at=NOW,
            )
        if chance.random() < 0.3:
            Account.objects.filter(pk=one.pk).update(credit_use=chance.choice((0, Decimal("0.5"), 500)))


def undo_some():
    """Moves that were made and undone, and accounts that entered again."""
    by = user("lead")
    for one in Account.objects.filter(stage=S.INITIATED).order_by("pk")[:5]:
        made = one.move(S.ENGAGED_EMAIL, by=by, now=NOW - timedelta(minutes=3), cause="list")
        one.undo(by=by, now=NOW - timedelta(minutes=1), transition_id=made.pk)
    for one in Account.objects.filter(stage=S.CHURNED).order_by("pk")[:3]:
        one.move(S.NEW, by=by, now=NOW - timedelta(minutes=3), cause="list", reason="Back.")


def hand_over_some(seed):
    """Handoffs of which Sales took some, disqualified some and gave some back; surveys, alerts and calls beside."""
    chance, by = Random(seed), user("specialist")
    found = [*Account.objects.in_open_stages().order_by("pk")[:30]]
    for place, one in enumerate(found):
        at = one.stage_since + (NOW - one.stage_since) * chance.choice([0.3, 0.5, 0.7])
        made = one.move(S.SALES_HANDOFF, by=by, now=at, cause="list", reason="Large.")
        match place % 6:
            case 0:
                Account.objects.filter(pk=one.pk).update(sales_contact_kind="AE", sales_contact_name="Al")
            case 1 | 2:
                said = at + timedelta(hours=1 if place % 6 == 1 else -1)
                Signal.objects.create(
                    account=one, kind="sales_disqualified", external_id=f"s-{one.pk}", at=said, by="ae"
                )
            case 3:
                to = chance.choice([S.NEW, S.CHURNED])
                one.move(to, by=by, now=at + (NOW - at) / 2, cause="list", reason="Back.")
        score = chance.choice([None, 0, 6, 7, 9, 10])
        Survey.objects.create(
            account=one,
            closing=made,
            asked_at=at,
            **({} if score is None else {"score": score, "answered_at": at, "changed_at": at, "answers": 1}),
        )
        resolved = None if place % 3 else min(at + timedelta(days=place), NOW)
        Alert.objects.create(
            account=one,
            kind="failed-payment",
            subject=f"b-{place}",
            raised_at=at,
            resolved_at=resolved,
            assignee=by,
        )
        held = call(one, "", starts_at=NOW - timedelta(days=place, hours=2), status="held")
        for host in {by, chance.choice(User.objects.order_by("pk"))}:
            held.add_host(host)
        risk = chance.choice(["", "low", "high"])
        one.edit(now=at, payment_risk=risk, payment_risk_at=at if risk else None)


def moment(day):
    """The first one of a day."""
    return datetime.combine(day, time(), UTC)


def entered(at, *, written=None, ends=(), **fields):
    """An account that entered, was written to, and whose periods end on these days, each said to be void or not."""
    one = account(S.NEW, since=at, **{"next_renewal_on": None} | fields)
    for after, void in ends:
        bill(one, at.date() + days(after), status="void" if void else "paid")
    if written is not None:
        one.move(S.INITIATED, by=User.objects.order_by("pk")[0], now=at + days(written), cause="list")
    return one


def bill(of, ends, amount=100, status="paid", **fields):
    return Bill.objects.create(
        account=of,
        external_id=f"turn-{next(_serial)}",
        period_start=ends - days(30),
        period_end=ends,
        amount=amount,
        status=status,
        reported_at=NOW,
        **fields,
    )


def add_the_days_that_decide():
    """The last day or moment that counts, and the next."""
    _written_on_the_last_day()
    _at_the_first_moment()
    _alerts_of_old()
    _out_of_the_ordinary()
    _due_on_the_last_day()
    _first_bills()


def _written_on_the_last_day():
    long_ago = NOW - days(160)
    for written in (7, 8):
        entered(long_ago, written=written, ends=[(30, False)])
    for since in (7, 8):
        entered(NOW - days(since))
    for written in (16, 17):
        entered(long_ago, written=written, ends=[(30, False)])
    for left in (14, 13):
        entered(NOW - days(5), next_renewal_on=TODAY + days(left))
    # A period that ends on the day itself, the day before, and the day before with a void one next.
    entered(long_ago, written=16, ends=[(0, False), (30, False)])
    entered(long_ago, written=16, ends=[(-1, False), (0, False), (30, False)])
    entered(long_ago, written=16, ends=[(-1, False), (5, True), (30, False)])


def _at_the_first_moment():
    """A year, twelve weeks, 90 and 28 days are counted from the beginning of a day on."""
    by = User.objects.order_by("pk")[0]
    monday = TODAY - days(TODAY.weekday())
    for day in (plus(TODAY.replace(day=1), -11), monday - days(77), TODAY - days(90), TODAY - days(27)):
        for at in (moment(day), moment(day) - timedelta(seconds=1)):
            entered(at)
            entered(at - days(3), written=3)
            handed = entered(at - days(3))
            made = handed.move(S.SALES_HANDOFF, by=by, now=at, cause="list", reason="Large.")
            Signal.objects.create(
                account=handed, kind="sales_disqualified", external_id=f"t-{handed.pk}", at=at, by="ae"
            )
            Survey.objects.create(account=handed, closing=made, asked_at=at)
            handed.edit(now=at, payment_risk="medium", payment_risk_at=at)
            call(handed, "", starts_at=at, status="held").add_host(by)
    call(handed, "", starts_at=moment(TODAY + days(1)), status="held").add_host(by)
    handed.edit(now=NOW, payment_risk="", payment_risk_at=None)


def _alerts_of_old():
    """Raised and closed so many days ago."""
    for raised, closed in (
        *((200, None), (91, None), (90, None), (89, None)),
        *((200, 150), (200, 90), (200, 89), (91, 1), (90, 10)),
    ):
        Alert.objects.create(
            account=entered(NOW - days(210)),
            kind="missed-outreach",
            raised_at=NOW - days(raised),
            resolved_at=None if closed is None else NOW - days(closed),
        )


def _out_of_the_ordinary():
    """From Sales to a paid call and on, back and on again, undone moves, and those who have nothing to do."""
    by = user("lead")
    for role in ("viewer", "specialist", "lead", "admin"):
        user(role)
    user("specialist", is_active=False)
    ways = (
        (S.SALES_HANDOFF, S.PAID_CALL, S.INTRO_CALL_COMPLETED),
        (S.SALES_HANDOFF, S.NEW, S.INITIATED),
        (S.CHURNED, S.NEW, S.CHURNED, S.NEW),
    )
    for way in ways:
        one = entered(NOW - days(20))
        for number, stage in enumerate(way):
            one.move(stage, by=by, now=NOW - days(10 - number), cause="list", reason="So.")
    for stage in (S.INITIATED, S.SALES_HANDOFF, S.CHURNED):
        one = entered(NOW - days(20))
        made = one.move(stage, by=by, now=NOW - timedelta(minutes=3), cause="list", reason="So.")
        one.undo(by=by, now=NOW - timedelta(minutes=1), transition_id=made.pk)


def _due_on_the_last_day():
    for status in ("upcoming", "open"):
        for ahead in (-1, 0, 59, 60):
            for amount in (0, Decimal("0.50"), 80, 80):
                bill(account(), TODAY + days(ahead), amount, status)
    one = account()
    for _ in range(2):
        bill(one, TODAY + days(20), 80, "open")
        for status in ("upcoming", "open"):
            bill(one, TODAY + days(20), 80, status, attempts=1, currency="CHF")


def _first_bills():
    """In two currencies at once; of a credit user; of one who churned before it was decided."""
    month = plus(TODAY.replace(day=1), -6)
    for currencies in (("EUR", "USD"), ("EUR", "CHF")):
        one = entered(moment(month))
        for currency in currencies:
            bill(one, month + days(20), currency=currency)
    for use, amount in ((Decimal("0.5"), 0), (0, 0), (None, 0), (None, Decimal("0.5"))):
        one = entered(moment(month), credit_use=use)
        bill(one, month + days(20))
        bill(one, plus(month, 3) + days(20), amount)
    for back in (3, 4, 16, 17):
        entered(NOW - days(90), ends=[(90 - (TODAY - plus(TODAY, -back).replace(day=20)).days, False)])
    gone = entered(NOW - days(90), ends=[(60, False)])
    gone.move(S.CHURNED, by=User.objects.order_by("pk")[0], now=NOW, cause="list", reason="Left.")
