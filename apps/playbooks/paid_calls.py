"""What the playbooks know of paid calls: whom each goes to, and what a missed one asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Case, Exists, F, FilteredRelation, OuterRef, Q, Subquery, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, Concat, Greatest

from apps.crm.days import away
from apps.crm.models import Account, Call, User
from apps.crm.pipeline import OPEN, Stage
from apps.crm.policy import Numbers
from apps.crm.scope import dollars
from apps.playbooks.then import Row

PURCHASE_FACTS = (
    *("order", "price", "currency", "stage", "stage_before_paid_call", "runs_it_id"),
    *("sales_contact_kind", "sales_contact_name", "sales_contact_email"),
)


def bought(numbers: Numbers) -> Any:
    """Accounts with a purchase that was not refunded, whatever their stage; one row a purchase."""
    kept = FilteredRelation("purchases", condition=Q(purchases__refunded_at__isnull=True))
    logins = User.objects.filter(is_active=True, email__iexact=OuterRef("sales_contact_email")).exclude(
        email=""
    )
    return (
        Account.objects.alias(purchase=kept)
        .filter(purchase__isnull=False)
        .annotate(
            order=F("purchase__external_id"),
            price=F("purchase__amount"),
            currency=F("purchase__currency"),
            runs_it_id=Subquery(logins.order_by("pk").values("pk")[:1]),
        )
    )


def why_bought(row: Row, numbers: Numbers) -> str:
    price = dollars(row.price) if row.currency == "USD" else f"{row.price} {row.currency}"
    return f"Bought a paid call for {price}, order {row.order}"


def who_runs_it(row: Row) -> int | None:
    """Who gets the task: the AE, CSM or AM where they have a login here, else the account's owner."""
    runs_it: int | None = row.runs_it_id
    return runs_it or row.assignee_id


def routed(row: Row) -> str:
    """The task for a purchase; an AE, CSM or AM without a login stands in its words."""
    contact = (
        " ".join(filter(None, (row.sales_contact_kind, row.sales_contact_name))) or row.sales_contact_email
    )
    if row.runs_it_id:
        return "Run the paid call"
    if contact:
        return f"Have {contact} run the paid call"
    before = row.stage_before_paid_call if row.stage == Stage.PAID_CALL else row.stage
    return "Prioritise, and credit the price back" if before in OPEN else "Prepare the paid call"


def missed(numbers: Numbers) -> Any:
    """Accounts with a paid call that was missed, and none booked or held after it; one row a call.

    ``silent`` says that no word has come from them since, for as long as the policy waits.
    """
    no_show = Q(calls__kind=Call.Kind.CONSULTATION, calls__status=Call.Status.NO_SHOW)
    rebooked = Call.objects.filter(
        account=OuterRef("pk"),
        kind=Call.Kind.CONSULTATION,
        status__in=(Call.Status.BOOKED, Call.Status.HELD),
        starts_at__gt=OuterRef("call__starts_at"),
    )
    long_ago = numbers.today - timedelta(days=numbers.paid_call_silence_days)
    unanswered = Q(last_reply_at__isnull=True) | Q(last_reply_at__lte=F("missed_at"))
    number = Cast("call__pk", TextField())
    return (
        Account.objects.alias(call=FilteredRelation("calls", condition=no_show))
        .filter(call__isnull=False)
        .exclude(Exists(rebooked))
        # A no-show marked ahead of the end is no earlier than the call itself.
        .annotate(missed_at=Greatest(Coalesce("call__marked_at", "call__ends_at"), "call__starts_at"))
        .annotate(
            silent=Case(
                When(unanswered & Q(missed_at__lt=numbers.end_of(long_ago)), then=True), default=False
            )
        )
        .annotate(
            missed=Case(
                When(silent=True, then=Concat(number, Value(":silent"), output_field=TextField())),
                default=number,
            )
        )
    )


def why_missed(row: Row, numbers: Numbers) -> str:
    day = numbers.day_of(row.missed_at)
    heard = "; no word since" if row.silent else ""
    return f"Missed the paid call on {day}, {away(day, numbers.today)}{heard}"


def made_good(row: Row) -> str:
    """The task for a missed call: another time at first, credits after the silence."""
    return "Offer credits for the missed call" if row.silent else "Offer another time"
