"""What the playbooks know of bills: which failed, are large or were the first, and who may not pay; what to say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.backends.postgresql.psycopg_any import DateRange
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
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Concat, Greatest, Least, Substr, TruncDate

from apps.crm.days import away
from apps.crm.enough import Enough
from apps.crm.models import Account, Alert, Bill
from apps.crm.models.account import PaymentRisk, Plan
from apps.crm.pipeline import OPEN, Stage
from apps.crm.policy import Numbers
from apps.crm.scope import dollars
from apps.playbooks.models import Act
from apps.playbooks.then import Row, Tend, cause_gone, change


def _tells_of(**bill: Any) -> Any:
    """The bill that the alert at hand, about a failed payment, tells of, where it is like that."""
    name = Substr(OuterRef("subject"), len("bill:") + 1)
    return Bill.objects.filter(account=OuterRef("account"), external_id=name, **bill)


def _tried_again(numbers: Numbers) -> Any:
    further = _tells_of(status=Bill.Status.OPEN, attempts__gt=0).filter(attempts__gt=OuterRef("attempts"))
    return Alert.objects.filter(Exists(further), kind="failed-payment")


def _count_up(alerts: Any, numbers: Numbers, enough: Enough) -> None:
    change(
        alerts,
        attempts=Subquery(_tells_of().values("attempts")),
        resolved_at=None,
        resolved_by=None,
        resolution="",
        acknowledged_at=None,
        acknowledged_by=None,
        snoozed_until=None,
    )


def _is_settled(numbers: Numbers) -> Any:
    settled = _tells_of(status__in=(Bill.Status.PAID, Bill.Status.VOID, Bill.Status.UNCOLLECTIBLE))
    return Alert.objects.open().filter(Exists(settled), kind="failed-payment")


def _is_paid(numbers: Numbers) -> Any:
    """The bill of a renewal falls due within 14 days of it: renewals lie at least 15 days apart."""
    renewal = Cast(Substr(OuterRef("subject"), len("period:") + 1), DateField())
    bills = Bill.objects.filter(account=OuterRef("account"), status=Bill.Status.PAID)
    near = bills.alias(apart=_days_between(Coalesce("due_on", "period_end"), renewal)).filter(apart__lt=15)
    return Alert.objects.open().filter(Exists(near), kind="large-invoice")


def _days_between(one: Any, other: Any) -> Func:
    return Func(
        one,
        other,
        template="abs(%(expressions)s)",
        arg_joiner=" - ",
        output_field=IntegerField(),
    )


# Further attempts are counted in the alert about a failed bill; one that was resolved is open again then.
FURTHER_ATTEMPTS = Tend(_tried_again, _count_up)
SETTLED = cause_gone(
    _is_settled, Concat(Value("The bill is "), Subquery(_tells_of().values("status")), Value("."))
)
PAID = cause_gone(_is_paid, "The bill is paid.")


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


def _untold(rows: Any, account: str) -> Any:
    """The accounts of these rows without those told of this period already: of most that, and a renewal, is known."""
    anchor = "renewal_anchor_on" if account == "pk" else f"{account}__renewal_anchor_on"
    day = Func(OuterRef(anchor), Value("YYYY-MM-DD"), function="to_char", output_field=TextField())
    told = Act.objects.filter(playbook="large-invoice", account=OuterRef(account))
    told = told.filter(occasion=Concat(Value("period:"), day, output_field=TextField()))
    return rows.filter(~Exists(told)).values(account)


def invoice_is_large(numbers: Numbers) -> Any:
    """Accounts we serve whose next bill is large and due soon; the forecast stands in while there is no bill."""
    ahead = _of_account(Bill.Status.UPCOMING, Bill.Status.DRAFT).order_by("day", "pk")
    made = _of_account(Bill.Status.OPEN, Bill.Status.PAID, Bill.Status.UNCOLLECTIBLE)
    made = made.alias(apart=_days_between(F("day"), OuterRef("renewal_on")))
    paid = _of_account(Bill.Status.PAID).filter(amount__gt=0).order_by("-day", "-pk").values("amount")
    expected = Case(When(~Exists(made.filter(apart__lt=15)), then=F("forecast")))
    soon = (numbers.today, numbers.today + timedelta(days=numbers.large_invoice_days))
    # Without these two, the bills of every account we ever served would be looked up at every tick.
    least = min(numbers.large_invoice_from, numbers.large_invoice_least)
    billed = Bill.objects.filter(status__in=(Bill.Status.UPCOMING, Bill.Status.DRAFT), amount__gte=least)
    billed = billed.alias(day=Coalesce("due_on", "period_end"))
    billed = billed.filter(Q(day__range=soon) | Q(day__isnull=True)).order_by()
    # Less is large beside the last paid bill only; most have none.
    billed = billed.filter(Q(amount__gte=numbers.large_invoice_from) | Q(account__bills_held__gt=0))
    forecast = Account.objects.served().filter(renewal_on__range=soon, forecast__gte=least).order_by()
    forecast = forecast.filter(Q(forecast__gte=numbers.large_invoice_from) | Q(bills_held__gt=0))
    times = Coalesce(F("last_paid") * numbers.large_invoice_times, numbers.large_invoice_from)
    return (
        Account.objects.served()
        .filter(pk__in=_untold(billed, "account").union(_untold(forecast, "pk")))
        .annotate(
            amount=Coalesce(Subquery(ahead.values("amount")[:1]), expected),
            due=Coalesce(Subquery(ahead.values("day")[:1]), "renewal_on", output_field=DateField()),
            last_paid=Case(When(bills_held__gt=0, then=Subquery(paid[:1]))),
            last_three=ArraySubquery(paid[:3]),
        )
        # One comparison of each: every other would look the bill up again.
        .filter(due__contained_by=DateRange(*soon, bounds="[]"))
        .filter(amount__gte=Least(numbers.large_invoice_from, Greatest(numbers.large_invoice_least, times)))
    )


def why_large(row: Row, numbers: Numbers) -> str:
    last = "nothing paid yet" if row.last_paid is None else f"{dollars(row.last_paid)} last time"
    return f"{dollars(row.amount)} due {row.due}, {away(row.due, numbers.today)}; {last}"


def large_text(row: Row, numbers: Numbers) -> str:
    before = f" Their last bills: {', '.join(map(dollars, row.last_three))}." if row.last_three else ""
    due = f"A bill of {dollars(row.amount)} is due on {row.due}."
    return f"{due} Touch base so that it is no surprise.{before}"


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
    far = away(row.bill_due, numbers.today)
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
