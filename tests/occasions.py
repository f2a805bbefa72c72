"""Accounts with what a playbook looks for: a bill, a purchase, a call, a signal, a risk, a handoff."""

from datetime import timedelta
from itertools import count

from apps.crm.models import Account, Bill, Call, Purchase, Signal
from apps.crm.pipeline import Stage
from apps.playbooks.engine import run
from tests.factories import NOW, account, days, in_days

S = Stage
CANDIDATE, FIRST, ROUTING, NO_SHOW, CHURN, STALE, RETURNED = NAMES = (
    "sales-candidate",
    "first-bill-check",
    "paid-call-routing",
    "paid-call-no-show",
    "churn-signal",
    "payment-risk-stale",
    "handover-returned",
)
A_MONTH_AGO, LONG_AGO = NOW - days(30), NOW - days(300)
LATER = NOW + timedelta(minutes=1)
_serial = count(1)


def with_bill(of, amount="1200", *, due=-1, ends=None, status="open", starts=None):
    """An account with one more bill, due and closed on days counted from today."""
    ends = due if ends is None else ends
    Bill.objects.create(
        account=of,
        external_id=f"in_{next(_serial)}",
        amount=amount,
        status=status,
        due_on=None if due is None else in_days(due),
        period_start=in_days(ends - 30 if starts is None else starts),
        period_end=in_days(ends),
        reported_at=NOW,
    )
    Account.objects.filter(pk=of.pk).recount()
    return of


def with_purchase(of, order=None, **fields):
    Purchase.objects.create(
        account=of,
        external_id=order or f"order-{next(_serial)}",
        **{"amount": "300", "bought_at": NOW - days(1)} | fields,
    )
    return of


def with_call(of, status="no_show", *, days_ago=1, kind="consultation", marked=True):
    at = NOW - days(days_ago)
    Call.objects.create(
        account=of,
        external_id=f"call-{next(_serial)}",
        kind=kind,
        status=status,
        starts_at=at,
        ends_at=at,
        marked_at=at if marked else None,
    )
    return of


def with_signal(of, kind=Signal.Kind.SUBSCRIPTION_CANCELED, *, days_ago=1, **fields):
    event = f"event-{next(_serial)}"
    Signal.objects.create(account=of, kind=kind, external_id=event, at=NOW - days(days_ago), **fields)
    return of


def candidate(stage=S.INITIATED, forecast="2000", **fields):
    return account(stage, forecast=forecast, since=A_MONTH_AGO, **fields)


def first_bill(stage=S.INITIATED, *, forecast="1000.01", **bill):
    reported = bill.pop("bills_reported", 0)
    outreach = bill.pop("last_outreach_at", None)
    of = account(
        stage, forecast=forecast, bills_reported=reported, last_outreach_at=outreach, since=A_MONTH_AGO
    )
    return with_bill(of, **bill)


def paid_call_from(stage, **fields):
    of = account(stage, since=A_MONTH_AGO, forecast="1500", **fields)
    of.move(S.PAID_CALL, by=None, now=NOW - days(1), cause="event:1")
    return of


def at_zero(*amounts, stage=S.INITIATED, ends=-1, since=LONG_AGO, **fields):
    """An account with these monthly bills, the last of them closed on a day counted from today."""
    of = account(stage, since=since, **fields)
    for back, amount in enumerate(reversed(amounts)):
        with_bill(of, amount, status="paid", due=ends - 30 * back)
    return of


def at_risk(risk="high", *, confirmed=-30, renews=10, stage=S.ENGAGED_EMAIL, **fields):
    """At risk since a day counted from today; the renewal in 10 days was last on the 1st of the month, 20 days ago."""
    confirmed_at = None if confirmed is None else NOW + days(confirmed)
    fields.setdefault("next_renewal_on", None if renews is None else in_days(renews))
    return account(stage, payment_risk=risk, payment_risk_at=confirmed_at, **fields)


def returned(stage=S.SALES_HANDOFF, *, days_ago=1, since=A_MONTH_AGO, **fields):
    return with_signal(
        account(stage, since=since, **fields), Signal.Kind.SALES_DISQUALIFIED, days_ago=days_ago
    )


def acted_on(name, **options):
    told = []
    run([name], **{"now": NOW, "tell": told.append} | options)
    return [line.account for line in told]
