"""What the playbooks know of bills: which failed, are large or were the first, and who may not pay; what to say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection, transaction
from django.db.models import (
    Case,
    DateField,
    Exists,
    F,
    FilteredRelation,
    Func,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    When,
)
from django.db.models.functions import Coalesce, TruncDate

from apps.crm.enough import Enough
from apps.crm.models import Account, Bill
from apps.crm.models.account import PaymentRisk, Plan
from apps.crm.pipeline import OPEN, Stage
from apps.crm.policy import Numbers
from apps.crm.scope import dollars
from apps.playbooks.then import Row, how_far

_FAILED_PAYMENT = (
    "alert.kind = 'failed-payment' AND bill.external_id = substring(alert.subject FROM 6)"
    " AND bill.account_id = alert.account_id"
)
# The bill of a renewal falls due within 14 days of it: renewals lie at least 15 days apart.
_LARGE_INVOICE = (
    "alert.kind = 'large-invoice' AND bill.account_id = alert.account_id"
    " AND abs(COALESCE(bill.due_on, bill.period_end) - substring(alert.subject FROM 8)::date) < 15"
)
_CLOSE = "resolved_at = %(now)s, resolution = 'The bill is ' || bill.status || '.'"


def _mend(which: str, changes: str, numbers: Numbers) -> None:
    """Change the alerts, and their bills' accounts' counts; the accounts are locked first, as everywhere."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT alert.account_id FROM crm_alert alert, crm_bill bill WHERE {which}")
        accounts = Account.objects.filter(pk__in={account for (account,) in cursor.fetchall()}).order_by("pk")
        if accounts.select_for_update(no_key=True).values_list("pk"):
            cursor.execute(
                f"UPDATE crm_alert alert SET {changes} FROM crm_bill bill WHERE {which}", {"now": numbers.now}
            )
            accounts.recount()


def tend_failed_payments(numbers: Numbers, enough: Enough) -> None:
    """Count further attempts in the alerts about failed bills, and close those whose bill is settled.

    An alert that was resolved is open again after a further attempt.
    """
    _mend(
        f"{_FAILED_PAYMENT} AND bill.status = 'open' AND bill.attempts > 0 AND bill.attempts > alert.attempts",
        "attempts = bill.attempts, resolved_at = NULL, resolved_by_id = NULL, resolution = '',"
        " acknowledged_at = NULL, acknowledged_by_id = NULL, snoozed_until = NULL",
        numbers,
    )
    settled = "bill.status IN ('paid', 'void', 'uncollectible') AND alert.resolved_at IS NULL"
    _mend(f"{_FAILED_PAYMENT} AND {settled}", _CLOSE, numbers)


def tend_large_invoices(numbers: Numbers, enough: Enough) -> None:
    """Close the alerts about large invoices whose bill is paid."""
    _mend(f"{_LARGE_INVOICE} AND bill.status = 'paid' AND alert.resolved_at IS NULL", _CLOSE, numbers)


def payment_failed(numbers: Numbers) -> Any:
    """Accounts we serve with an open bill that was tried in vain; one row a bill."""
    failed = FilteredRelation("bills", condition=Q(bills__status=Bill.Status.OPEN, bills__attempts__gt=0))
    return (
        Account.objects.served()
        .alias(bill=failed)
        .filter(bill__isnull=False)
        .annotate(bill_name=F("bill__external_id"), amount=F("bill__amount"), attempts=F("bill__attempts"))
    )


def why_failed(row: Row, numbers: Numbers) -> str:
    times = "once" if row.attempts == 1 else f"{row.attempts} times"
    return f"Bill {row.bill_name} of {dollars(row.amount)} could not be collected, {times} so far"


def failed_text(row: Row, numbers: Numbers) -> str:
    return (
        f"The bill {row.bill_name} of {dollars(row.amount)} could not be collected."
        " Offer help with volume and billing."
    )


def _of_account(*statuses: str) -> Any:
    """Bills in dollars of the account at hand, with the ``day`` they fall due."""
    bills = Bill.objects.filter(account=OuterRef("pk"), status__in=statuses, currency="USD")
    return bills.annotate(day=Coalesce("due_on", "period_end"))


def invoice_is_large(numbers: Numbers) -> Any:
    """Accounts we serve whose next bill is large and due soon; the forecast stands in while there is no bill."""
    ahead = _of_account(Bill.Status.UPCOMING, Bill.Status.DRAFT).order_by("day", "pk")
    made = _of_account(Bill.Status.OPEN, Bill.Status.PAID, Bill.Status.UNCOLLECTIBLE).alias(
        apart=Func(
            F("day"),
            OuterRef("renewal_on"),
            template="abs(%(expressions)s)",
            arg_joiner=" - ",
            output_field=IntegerField(),
        )
    )
    paid = _of_account(Bill.Status.PAID).filter(amount__gt=0).order_by("-day", "-pk").values("amount")
    expected = Case(When(~Exists(made.filter(apart__lt=15)), then=F("forecast")))
    soon = (numbers.today, numbers.today + timedelta(days=numbers.large_invoice_days))
    # Without these two, the bills of every account we ever served would be looked up at every tick.
    least = min(numbers.large_invoice_from, numbers.large_invoice_least)
    billed = Bill.objects.filter(status__in=(Bill.Status.UPCOMING, Bill.Status.DRAFT), amount__gte=least)
    billed = billed.alias(day=Coalesce("due_on", "period_end"))
    billed = billed.filter(Q(day__range=soon) | Q(day__isnull=True)).order_by()
    forecast = Account.objects.served().filter(renewal_on__range=soon, forecast__gte=least).order_by()
    # Less is large beside the last paid bill only; most have none.
    forecast = forecast.filter(Q(forecast__gte=numbers.large_invoice_from) | Q(bills_held__gt=0))
    return (
        Account.objects.served()
        .filter(pk__in=billed.values("account").union(forecast.values("pk")))
        .annotate(
            amount=Coalesce(Subquery(ahead.values("amount")[:1]), expected),
            due=Coalesce(Subquery(ahead.values("day")[:1]), "renewal_on", output_field=DateField()),
            last_paid=Subquery(paid[:1]),
            last_three=ArraySubquery(paid[:3]),
        )
        .filter(due__range=soon)
        .filter(
            Q(amount__gte=numbers.large_invoice_from)
            | Q(amount__gte=numbers.large_invoice_least)
            & Q(amount__gte=F("last_paid") * numbers.large_invoice_times)
        )
    )


def why_large(row: Row, numbers: Numbers) -> str:
    last = "nothing paid yet" if row.last_paid is None else f"{dollars(row.last_paid)} last time"
    return f"{dollars(row.amount)} due {row.due}, {how_far(row.due, numbers.today)}; {last}"


def large_text(row: Row, numbers: Numbers) -> str:
    before = f" Their last bills: {', '.join(map(dollars, row.last_three))}." if row.last_three else ""
    return (
        f"A bill of {dollars(row.amount)} is due on {row.due}. Touch base so that it is no surprise.{before}"
    )


def first_bill_was_due(numbers: Numbers) -> Any:
    """Open accounts that were written to and are forecast high, whose first bill fell due and is not known as paid."""
    first = Bill.objects.filter(account=OuterRef("pk"), amount__gt=0).exclude(status=Bill.Status.VOID)
    first = first.annotate(day=Coalesce("due_on", "period_end")).order_by("period_start", "day", "pk")
    written_in = Q(stage__in=[stage for stage in OPEN if stage not in (Stage.NEW, Stage.PAID_CALL)])
    was_written_to = Q(stage=Stage.PAID_CALL, stage_before_paid_call__in=OPEN) & ~Q(
        stage_before_paid_call=Stage.NEW
    )
    return (
        Account.objects.in_open_stages()
        .filter(written_in | was_written_to | Q(last_outreach_at__isnull=False))
        .filter(forecast__gt=numbers.first_bill_forecast, bills_paid=0)
        .annotate(
            bill_id=Subquery(first.values("pk")[:1]),
            bill_name=Subquery(first.values("external_id")[:1]),
            bill_due=Subquery(first.values("day")[:1]),
        )
        .filter(bill_due__lt=numbers.today)
    )


def why_first_bill(row: Row, numbers: Numbers) -> str:
    far = how_far(row.bill_due, numbers.today)
    return f"The first bill {row.bill_name} was due {row.bill_due}, {far}; forecast {dollars(row.forecast)}"


def risk_is_stale(numbers: Numbers) -> Any:
    """Accounts we serve at medium or high risk that nobody has confirmed since the renewal before the next one.

    That renewal is a month before the next, or a year where a contract renews.
    """
    yearly = When(plan=Plan.ANNUAL, contract_renewal_on__isnull=False, then=_before_renewal("1 year"))
    confirmed_on = TruncDate("payment_risk_at", tzinfo=numbers.zone)
    return (
        Account.objects.served()
        .filter(payment_risk__in=(PaymentRisk.MEDIUM, PaymentRisk.HIGH))
        .annotate(last_renewal_on=Case(yearly, default=_before_renewal("1 month")))
        .alias(confirmed_on=confirmed_on)
        .filter(last_renewal_on__lte=numbers.today)
        .filter(Q(confirmed_on__isnull=True) | Q(confirmed_on__lt=F("last_renewal_on")))
    )


def _before_renewal(interval: str) -> Func:
    """The day so long before the next renewal."""
    template = f"(%(expressions)s - interval '{interval}')::date"
    return Func(F("renewal_on"), template=template, output_field=DateField())


def why_stale(row: Row, numbers: Numbers) -> str:
    confirmed = numbers.day_of(row.payment_risk_at) if row.payment_risk_at else "never"
    risk = PaymentRisk(row.payment_risk).label
    return f"{risk} risk, last confirmed {confirmed}; renewed {row.last_renewal_on}"
