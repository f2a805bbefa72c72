"""The numbers the team tunes: one table of what they are, and the rows a lead writes to change them.

A number holds from a day on, so that changing it does not rewrite the past. The handbook gives 7, 10 and 14 days;
the other defaults are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models import Func, Subquery, Value
from django.db.models.expressions import Combinable, Expression
from django.db.models.functions import Cast, Coalesce

from apps.crm.kept import Kept


@dataclass(frozen=True)
class Number:
    """One thing a lead can tune: its default, its unit and what it decides."""

    default: int | str
    unit: str
    says: str
    handbook: bool = False

    @property
    def most(self) -> int:
        """The largest value it takes."""
        return MOST.get(self.unit, MOST_OF_ANY)


# More than this of a unit is a slip of the hand, and days past the calendar's end would fail every page.
MOST = {"days": 3650, "minutes": 7 * 24 * 60, "o’clock": 23, "of 10": 10, "percent": 100}
MOST_OF_ANY = 10_000_000

NUMBERS: dict[str, Number] = {
    "time_zone": Number("UTC", "time zone", "The team's day: what “today” means for renewals and playbooks."),
    "booking_link": Number("", "address", "The team's link for booking a call, shown on the calls page."),
    "alert_owner": Number("", "login", "Who gets the alerts; empty: the account's owner, else the leads."),
    "outreach_after_entry_days": Number(
        7, "days", "The first outreach is due this long after an account entered.", handbook=True
    ),
    "outreach_before_renewal_days": Number(
        14,
        "days",
        "The first outreach is due this long before the renewal, if that is earlier.",
        handbook=True,
    ),
    "final_outreach_days": Number(
        10, "days", "Accounts await their final outreach this long before the renewal.", handbook=True
    ),
    "final_outreach_gap_days": Number(
        0, "days", "At least this long after the first outreach; 21 spans two billing periods."
    ),
    "missed_outreach_renewal_days": Number(
        10, "days", "An account nobody has written to raises an alert this long before its renewal."
    ),
    "missed_outreach_entry_days": Number(
        7, "days", "An account nobody has written to raises an alert later than this after it entered."
    ),
    "large_invoice_from": Number(1000, "dollars", "A bill to come of this or more raises an alert."),
    "large_invoice_times": Number(2, "times", "So does one this many times the last paid bill …"),
    "large_invoice_least": Number(500, "dollars", "… if it is at least this."),
    "large_invoice_days": Number(14, "days", "The alert comes this long before the bill is due."),
    "sales_candidate_from": Number(
        2000, "dollars", "With us, a forecast at or above this asks whether Sales should take over."
    ),
    "first_bill_forecast": Number(
        1000, "dollars", "Above this forecast somebody checks that the first bill came through."
    ),
    "paid_call_silence_days": Number(
        14, "days", "So long after a missed paid call with no word from them, credits are offered."
    ),
    "survey_after_days": Number(1, "days", "A customer is asked how it was this long after the closing …"),
    "survey_within_days": Number(30, "days", "… and not any more once it is longer ago than this."),
    "survey_open_days": Number(30, "days", "The survey can be answered this long after it was sent."),
    "survey_low_score": Number(6, "of 10", "An answer of this score or less raises an alert."),
    "churn_month_days": Number(62, "days", "A month at 0 is a sign of leaving this long after it closed."),
    "scope_bills_paid": Number(3, "bills", "More paid bills than this are out of scope.", handbook=True),
    "scope_sales_forecast": Number(
        2000, "dollars", "A first payment forecast at or above this goes to Sales.", handbook=True
    ),
    "scope_rolloff_days": Number(30, "days", "A plan that ends within this counts as rolling off."),
    "scope_startup_bill_from": Number(
        500, "dollars", "A startup rolling off is ours from this first bill on.", handbook=True
    ),
    "scope_startup_bill_to": Number(
        1500, "dollars", "A startup rolling off is ours up to this first bill.", handbook=True
    ),
    "scope_credit_high": Number(
        1500, "dollars a month", "A startup that uses more credit than this is ours.", handbook=True
    ),
    "scope_credit_low": Number(
        500, "dollars a month", "A startup without a bill that uses less is out of scope.", handbook=True
    ),
    "scope_entry_forecast": Number(
        100, "dollars", "Pay-as-you-go and YC are ours above this forecast.", handbook=True
    ),
    "scope_band_to": Number(
        500, "dollars", "Up to this forecast an account is in the segment Onboarding Lead 100-500MRR."
    ),
    "mail_daily_cap": Number(
        200, "mails a day", "So many automatic mails leave on one day; the rest waits for the next."
    ),
    "digest_hour": Number(
        7, "o’clock", "The morning mail comes at this hour of a person’s own day, unless they chose another."
    ),
    "mention_mail_minutes": Number(
        15, "minutes", "Mentions are gathered this long and mailed together; 0: only in the morning mail."
    ),
    "claim_minutes": Number(30, "minutes", "Who said they are on an account is on it this long."),
    "written_days": Number(
        3, "days", "A colleague who wrote to an account within this is named to whoever begins to write."
    ),
    "track_outreach_from": Number(
        1, "week", "The first outreach is planned from this week of the onboarding …", handbook=True
    ),
    "track_outreach_to": Number(1, "week", "… to the end of this one.", handbook=True),
    "track_first_call_from": Number(
        2, "week", "The first call is planned from this week of the onboarding …", handbook=True
    ),
    "track_first_call_to": Number(3, "week", "… to the end of this one.", handbook=True),
    "track_second_call_from": Number(
        4, "week", "The second call is planned from this week of the onboarding …", handbook=True
    ),
    "track_second_call_to": Number(5, "week", "… to the end of this one.", handbook=True),
    "track_homework_from": Number(
        5, "week", "Homework is planned from this week of the onboarding …", handbook=True
    ),
    "track_homework_to": Number(6, "week", "… to the end of this one.", handbook=True),
    "track_final_from": Number(
        7, "week", "The final outreach is planned from this week of the onboarding …", handbook=True
    ),
    "track_final_to": Number(8, "week", "… to the end of this one.", handbook=True),
    "retention_first_bill": Number(
        100,
        "dollars",
        "A cohort is the accounts whose first bill of this or more is of its month.",
        handbook=True,
    ),
    "retention_goal": Number(90, "percent", "So many of a cohort are to stay three months.", handbook=True),
    "few_accounts": Number(20, "accounts", "A share of fewer accounts than this is shown with a warning."),
    "month_settles_days": Number(
        3, "days", "A month that is over is kept as it stands so long after its end, when its bills are in."
    ),
    "weight_not_assessed": Number(
        95, "percent", "So much of a bill to come is expected where payment risk is not assessed …"
    ),
    "weight_low_risk": Number(98, "percent", "… where it is low …"),
    "weight_medium_risk": Number(70, "percent", "… where it is medium …"),
    "weight_high_risk": Number(30, "percent", "… where it is high …"),
    "weight_failed": Number(50, "percent", "… and at most so much once an attempt to collect it failed."),
    "weekly_hour": Number(
        8, "o’clock", "Leads get the week’s numbers on Monday at this hour of their own day."
    ),
    "undo_minutes": Number(10, "minutes", "A person's own move can be undone this long."),
    "undo_automatic_days": Number(7, "days", "A playbook's or an event's move can be undone this long."),
}


class Numbers:
    """The policy as it holds at one moment.

    ``now`` is that moment, ``today`` the team's day then (or the day asked for), ``zone`` the team's time zone;
    every name of ``NUMBERS`` is an attribute.
    """

    time_zone: str
    booking_link: str
    alert_owner: str
    outreach_after_entry_days: int
    outreach_before_renewal_days: int
    final_outreach_days: int
    final_outreach_gap_days: int
    missed_outreach_renewal_days: int
    missed_outreach_entry_days: int
    large_invoice_from: int
    large_invoice_times: int
    large_invoice_least: int
    large_invoice_days: int
    sales_candidate_from: int
    first_bill_forecast: int
    paid_call_silence_days: int
    survey_after_days: int
    survey_within_days: int
    survey_open_days: int
    survey_low_score: int
    churn_month_days: int
    scope_bills_paid: int
    scope_sales_forecast: int
    scope_rolloff_days: int
    scope_startup_bill_from: int
    scope_startup_bill_to: int
    scope_credit_high: int
    scope_credit_low: int
    scope_entry_forecast: int
    scope_band_to: int
    mail_daily_cap: int
    digest_hour: int
    mention_mail_minutes: int
    claim_minutes: int
    written_days: int
    track_outreach_from: int
    track_outreach_to: int
    track_first_call_from: int
    track_first_call_to: int
    track_second_call_from: int
    track_second_call_to: int
    track_homework_from: int
    track_homework_to: int
    track_final_from: int
    track_final_to: int
    retention_first_bill: int
    retention_goal: int
    few_accounts: int
    month_settles_days: int
    weight_not_assessed: int
    weight_low_risk: int
    weight_medium_risk: int
    weight_high_risk: int
    weight_failed: int
    weekly_hour: int
    undo_minutes: int
    undo_automatic_days: int

    def __init__(self, now: datetime, rows: list[tuple[str, str, date]], on: date | None = None) -> None:
        values: dict[str, Any] = {name: number.default for name, number in NUMBERS.items()}

        def apply(day: date) -> None:
            for name, value, starts_on in rows:
                if starts_on <= day and name in NUMBERS:
                    values[name] = int(value) if isinstance(NUMBERS[name].default, int) else value

        # Which day it is depends on the team's time zone, which is a number of the policy itself.
        apply(now.date())
        self.now = now
        self.zone = ZoneInfo(values["time_zone"])
        self.today = on or now.astimezone(self.zone).date()
        apply(self.today)
        self.__dict__.update(values)

    @property
    def standing(self) -> tuple[Any, ...]:
        """What stands until the day is over: the day, and every number."""
        return self.today, *(getattr(self, name) for name in NUMBERS)

    def day_of(self, moment: datetime) -> date:
        """The team's day of a moment."""
        return moment.astimezone(self.zone).date()

    def start_of(self, day: date) -> datetime:
        """The moment the team's day begins."""
        return datetime.combine(day, time.min, self.zone)

    def end_of(self, day: date) -> datetime:
        """The moment the team's day is over: the start of the next."""
        return self.start_of(day + timedelta(days=1))


class Policy(models.Model):
    """One number, from one day on. Rows are added, not changed, so that the past keeps its rules."""

    name = models.CharField(max_length=40)
    value = models.TextField(blank=True, validators=[MaxLengthValidator(100)])
    starts_on = models.DateField()
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    set_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "starts_on"]
        verbose_name_plural = "policy"
        constraints = [
            models.UniqueConstraint(fields=["name", "starts_on"], name="policy_one_value_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.name} = {self.value} from {self.starts_on}"

    def clean(self) -> None:
        number = NUMBERS.get(self.name)
        if number is None:
            raise ValidationError({"name": "No such number."})
        if isinstance(number.default, int) and not (self.value.isascii() and self.value.isdigit()):
            raise ValidationError({"value": f"“{self.value}” is not a whole number of {number.unit}."})
        if self.name == "time_zone" and self.value not in available_timezones():
            raise ValidationError({"value": f"{self.value!r} is not a time zone, such as Europe/Berlin."})
        if self.name in ("digest_hour", "weekly_hour") and int(self.value) > number.most:
            raise ValidationError({"value": "An hour of the day is 0 to 23."})
        if isinstance(number.default, int) and int(self.value) > number.most:
            raise ValidationError(
                {"value": f"{self.value} is too much: at most {number.most:,} {number.unit}."}
            )
        if self.name == "booking_link" and self.value and not self.value.startswith("https://"):
            raise ValidationError({"value": "The booking link is an address that begins with https://."})
        people = get_user_model().objects.filter(is_active=True, username=self.value)
        if self.name == "alert_owner" and self.value and not people.exists():
            raise ValidationError({"value": f"Nobody active has the login {self.value!r}."})

    @classmethod
    def choose(cls, name: str, value: str, *, starts_on: date, by: Any, now: datetime) -> None:
        """Have a number hold from a day on; a day of which it was chosen before is chosen anew.

        Raises ``ValidationError`` for a value that is none, and for a day gone by: the past keeps its rules.
        """
        if starts_on < cls.at(now).today:
            raise ValidationError({"starts_on": "The past keeps its rules: choose today or a later day."})
        cls(name=name, value=value, starts_on=starts_on).full_clean(
            validate_unique=False, validate_constraints=False
        )
        cls.objects.update_or_create(
            name=name, starts_on=starts_on, defaults={"value": value, "set_by": by, "set_at": now}
        )

    def take_back(self, *, now: datetime) -> bool:
        """Drop a value that does not hold yet; False, and nothing is changed, once its day has come."""
        rows = type(self).objects.filter(pk=self.pk, starts_on__gt=type(self).at(now).today)
        return bool(rows.delete()[0])

    @classmethod
    def trying(cls, name: str, value: str, now: datetime) -> Numbers:
        """The policy as it would hold at ``now`` if this number were another; one query."""
        cls(name=name, value=value, starts_on=now.date()).full_clean(
            validate_unique=False, validate_constraints=False
        )
        return Numbers(now, [*_CHOSEN.rows(), (name, value, date.min)])

    @classmethod
    def at(cls, now: datetime, on: date | None = None) -> Numbers:
        """The policy that holds at ``now``; ``on`` replaces the team's day. One query."""
        return Numbers(now, _CHOSEN.rows(), on)

    @classmethod
    def today_at(cls, now: datetime | Expression) -> Combinable:
        """The team's day at ``now``, for a query that needs no other number and so no query for them."""
        moment = now if isinstance(now, Expression) else Value(now)
        zones = cls.objects.filter(name="time_zone", starts_on__lte=_day_in(Value("UTC"), moment))
        zone = Coalesce(
            Subquery(zones.order_by("-starts_on").values("value")[:1]),
            Value(str(NUMBERS["time_zone"].default)),
        )
        return _day_in(zone, moment)


def _day_in(zone: Expression, moment: Expression) -> Cast:
    return Cast(Func(zone, moment, function="timezone"), models.DateField())


_CHOSEN = Kept(lambda: Policy.objects.order_by("starts_on").values_list("name", "value", "starts_on"))
