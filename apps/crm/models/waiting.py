"""Which accounts wait for somebody to write to them, and since when."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Exists, F, Func, OuterRef, Q, Subquery, Value
from django.db.models.functions import Cast, Coalesce, TruncDate

from apps.crm.models.attention import AttendedQuerySet
from apps.crm.models.call import Call
from apps.crm.models.transition import StageTransition
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers

# They wrote, and we have not written since.
WAITING = Q(last_reply_at__isnull=False) & (
    Q(last_outreach_at__isnull=True) | Q(last_reply_at__gt=F("last_outreach_at"))
)


def _call_ahead(numbers: Numbers) -> Exists:
    """Whether a call, booked or held, stands between the start of the team's today and the end of the renewal's day."""
    return Exists(
        Call.objects.filter(
            account=OuterRef("pk"),
            status__in=(Call.Status.BOOKED, Call.Status.HELD),
            starts_at__gte=numbers.start_of(numbers.today),
            starts_at__lt=Func(
                OuterRef("renewal_on"),
                Value(numbers.time_zone),
                template="((%(expressions)s)",
                arg_joiner=" + 1)::timestamp AT TIME ZONE ",
                output_field=models.DateTimeField(),
            ),
        )
    )


def first_outreach_due_on(entered_at: datetime, renewal_on: date | None, numbers: Numbers) -> date:
    """The earlier of two rules: so long after entry, or so long before the renewal; never before entry."""
    entered = numbers.day_of(entered_at)
    due = entered + timedelta(days=numbers.outreach_after_entry_days)
    if renewal_on is not None:
        due = min(due, renewal_on - timedelta(days=numbers.outreach_before_renewal_days))
    return max(due, entered)


class WaitingQuerySet(AttendedQuerySet):
    """Accounts, as far as writing to them is due."""

    def awaiting_outreach(self, numbers: Numbers) -> Self:
        """“Write now”: nobody has written yet, the first outreach is due, and nobody put the account off."""
        entered_before = numbers.today - timedelta(days=numbers.outreach_after_entry_days)
        renews_before = numbers.today + timedelta(days=numbers.outreach_before_renewal_days)
        return self.awake(numbers.today).filter(
            Q(stage=Stage.NEW),
            Q(entered_at__lt=numbers.end_of(entered_before)) | Q(renewal_on__lte=renews_before),
        )

    def waiting_for_us(self) -> Self:
        """Accounts that wrote to us after we last wrote to them."""
        return self.filter(WAITING)

    def without_call_ahead(self, numbers: Numbers) -> Self:
        """Accounts with no call from the team's today on, up to the day of the renewal.

        A call held earlier today counts still: what waits for it is due the day after.
        """
        return self.filter(~_call_ahead(numbers))

    def last_written_to_by(self, day: date, numbers: Numbers) -> Self:
        """Accounts whose last outreach, or else their way into 2, lies on ``day`` or before, or is unknown."""
        initiated = StageTransition.objects.filter(account=OuterRef("pk"), to_stage=Stage.INITIATED)
        rows = self.alias(
            written_at=Coalesce("last_outreach_at", Subquery(initiated.order_by("-version").values("at")[:1]))
        )
        return rows.filter(Q(written_at__isnull=True) | Q(written_at__lt=numbers.end_of(day)))

    def left_in_place(self, stage: Stage, days_before_renewal: int, numbers: Numbers) -> Self:
        """Accounts that no person has taken out of ``stage`` since that many days before their renewal."""
        taken_out = StageTransition.objects.filter(account=OuterRef("pk"), from_stage=stage, by__isnull=False)
        since = Cast(OuterRef("renewal_on") - Value(days_before_renewal), models.DateField())
        return self.filter(
            ~Exists(taken_out.alias(day=TruncDate("at", tzinfo=numbers.zone)).filter(day__gte=since))
        )
