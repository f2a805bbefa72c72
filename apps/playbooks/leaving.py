"""What the playbooks know of customers who leave: they cancelled, or a month came to nothing.

A bill's amount is what the period came to before credit was taken off, so a month paid out of credit is not at 0.
Where a billing system reports it after credit, the account's own use of credit says so: then a month at 0 says nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import (
    Case,
    DateField,
    Exists,
    F,
    OuterRef,
    Q,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Concat, TruncDate

from apps.crm.models import Account, Alert, Bill, Signal
from apps.crm.models.alert import ALERT_KINDS
from apps.crm.policy import Numbers
from apps.crm.scope import dollars
from apps.playbooks.models import Act
from apps.playbooks.then import Row, cause_gone

_KIND = "churn-signal"
_MADE = (Bill.Status.OPEN, Bill.Status.PAID, Bill.Status.UNCOLLECTIBLE)


def _billed_from(account: str) -> Subquery:
    """The day on which the last period began that the account at hand was billed for above 0."""
    bills = Bill.objects.filter(account=OuterRef(account), status__in=_MADE, amount__gt=0)
    bills = bills.filter(period_start__isnull=False)
    return Subquery(bills.order_by("-period_start").values("period_start")[:1])


def _untold(signals: Any) -> Any:
    """Those not told yet: the last one was, or it is looked at here, or a month at 0 speaks for the account."""
    name = Concat(Value("signal:"), Cast(OuterRef("pk"), TextField()), output_field=TextField())
    told = Act.objects.filter(playbook=_KIND, account=OuterRef("account"), occasion=name)
    return signals.filter(~Exists(told))


# No subquery stands in another here: the engine asks for the occasion from inside a third, and Django then gives two
# of them one name.
def signalled(numbers: Numbers) -> Any:
    """Accounts in the pipeline that seem to leave, by their last cancellation, or else by a month at 0."""
    since = numbers.today - timedelta(days=numbers.churn_month_days)
    canceled = Signal.objects.filter(kind=Signal.Kind.SUBSCRIPTION_CANCELED)
    nothing = Bill.objects.filter(amount=0, status__in=_MADE, period_end__range=(since, numbers.today))
    said = canceled.filter(account=OuterRef("pk")).order_by("-at", "-pk")
    closed = Bill.objects.filter(account=OuterRef("pk"), status__in=_MADE, period_end__lte=numbers.today)
    closed = closed.order_by("-period_end", "-pk")
    # To go on and be billed takes a signal back; what was before the entry has had its day.
    stands = (Q(billed_from__isnull=True) | Q(billed_from__lt=F("said_on"))) & (
        Q(entered_at__isnull=True) | Q(said_at__gte=F("entered_at"))
    )
    at_zero = (
        Q(month_end__gte=since, last_amount=0, amount_before__gt=0)
        & (Q(billed_from__isnull=True) | Q(billed_from__lt=F("month_end")))
        & (Q(entered_at__isnull=True) | Q(month_end__gte=TruncDate("entered_at", tzinfo=numbers.zone)))
    )
    no_credit = Q(credit_use__isnull=True) | Q(credit_use=0)
    month = Concat(Value("bill-"), Cast("month_pk", TextField()), output_field=TextField())
    return (
        Account.objects.filter(stage__in=ALERT_KINDS[_KIND].stages or ())
        # One list: with two to look in, the database goes through every account instead.
        .filter(pk__in=_untold(canceled).values("account").union(nothing.values("account")))
        .annotate(
            said_at=Subquery(said.values("at")[:1]),
            said_because=Subquery(said.values("reason")[:1]),
            month_end=Subquery(closed.values("period_end")[:1]),
            amount_before=Subquery(closed.values("amount")[1:2]),
        )
        .alias(
            said_pk=Subquery(said.values("pk")[:1]),
            month_pk=Subquery(closed.values("pk")[:1]),
            last_amount=Subquery(closed.values("amount")[:1]),
            billed_from=_billed_from("pk"),
        )
        .alias(said_on=TruncDate("said_at", tzinfo=numbers.zone))
        .annotate(
            told=Case(
                When(stands & Q(said_pk__isnull=False), then=Cast("said_pk", TextField())),
                When(no_credit & at_zero, then=month),
            )
        )
        .filter(told__isnull=False)
    )


def why_leaving(row: Row, numbers: Numbers) -> str:
    if row.told.startswith("bill-"):
        return f"The month to {row.month_end} came to $0, after {dollars(row.amount_before)}"
    because = f": {row.said_because}" if row.said_because else ""
    return f"Cancelled the subscription on {numbers.day_of(row.said_at)}{because}"


def leaving_text(row: Row, numbers: Numbers) -> str:
    to = ALERT_KINDS[_KIND].proposes
    assert to is not None
    return f"{why_leaving(row, numbers).rstrip('.')}. Ask them, and move the account to “{to.label}” if they have left."


def _billed_again(numbers: Numbers) -> Any:
    """The alerts about accounts that have been billed above 0 for a later period."""
    said = Signal.objects.annotate(
        subject=Concat(Value("signal:"), Cast("pk", TextField()), output_field=TextField()),
        day=TruncDate("at", tzinfo=numbers.zone),
    )
    month = Bill.objects.annotate(
        subject=Concat(Value("signal:bill-"), Cast("pk", TextField()), output_field=TextField())
    )
    about = {"account": OuterRef("account"), "subject": OuterRef("subject")}
    day = Coalesce(
        Subquery(said.filter(**about).values("day")),
        Subquery(month.filter(**about).values("period_end")),
        output_field=DateField(),
    )
    going_on = Alert.objects.open().filter(kind=_KIND).alias(day=day, billed_from=_billed_from("account"))
    return going_on.filter(billed_from__gte=F("day"))


GOING_ON = cause_gone(_billed_again, "They were billed for a later period.")
