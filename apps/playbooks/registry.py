"""The playbooks, declared: what each says, whom it is for, what counts as one occasion, and what it then does.

The order is the team's. Pages, commands, docs and tests are derived from this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import F, Func, OuterRef, Q, Subquery, TextField, Value
from django.db.models.functions import Cast, Concat

from apps.crm.models import Account, StageTransition
from apps.crm.pipeline import Stage, permitted
from apps.crm.policy import Numbers
from apps.playbooks.then import MoveWithTask, RaiseAlert, Row, Then


@dataclass(frozen=True)
class Once:
    """A kind of occasion: ``subject`` is the SQL that tells one of an account's occasions from the next."""

    kind: str
    says: str
    subject: Any

    @property
    def occasion(self) -> Concat:
        """The occasion as the acts keep it, such as ``renewal:2026-12-01``."""
        return Concat(Value(f"{self.kind}:"), Cast(self.subject, TextField()), output_field=TextField())


RENEWAL = Once(
    "renewal",
    "a renewal; a date that moves by less than 15 days is still the same one",
    Func(F("renewal_anchor_on"), Value("YYYY-MM-DD"), function="to_char", output_field=TextField()),
)
# Undoing a move out of 1 leads back into the same entry.
ENTRY = Once(
    "entry",
    "an entry into the pipeline",
    Subquery(
        StageTransition.objects.filter(account=OuterRef("pk"), to_stage=Stage.NEW)
        .exclude(cause__startswith="undo:")
        .order_by("-version")
        .values("pk")[:1]
    ),
)


@dataclass(frozen=True)
class Playbook:
    """Something that happens by itself. ``who`` finds the accounts it is for on the team's today.

    ``whom`` says the same in words; ``because`` says in a line why it acts on one of them; ``numbers`` names the policy it depends on, and
    ``facts`` the columns of ``who`` that its sentences read beside those of every ``Row``.
    """

    name: str
    says: str
    whom: str
    who: Callable[[Numbers], Any]
    once: Once
    because: Callable[[Row, Numbers], str]
    then: Then
    numbers: tuple[str, ...]
    facts: tuple[str, ...] = ()


def how_far(day: date, today: date) -> str:
    """How far a day is, in words: "today", "tomorrow", "in 10 days", "3 days ago"."""
    days = (day - today).days
    near = {0: "today", 1: "tomorrow", -1: "yesterday"}
    return near.get(days) or (f"in {days} days" if days > 0 else f"{-days} days ago")


def _awaiting_final_outreach(numbers: Numbers) -> Any:
    window = numbers.final_outreach_days
    return (
        Account.objects.in_open_stages()
        .filter(permitted(Stage.AWAITING_FINAL_OUTREACH, automatic=True))
        .renewing_within(window, today=numbers.today)
        .exclude(extended_until__gt=numbers.today)
        .without_call_ahead(numbers)
        .last_written_to_by(numbers.today - timedelta(days=numbers.final_outreach_gap_days), numbers)
        # Renewals lie at least 15 days apart: within 14 before this one, a person's move was meant for it.
        .left_in_place(Stage.AWAITING_FINAL_OUTREACH, max(window, 14), numbers)
    )


def _renews(row: Row, numbers: Numbers) -> str:
    return f"Renews {row.renewal_on}, {how_far(row.renewal_on, numbers.today)}"


def _outreach_missed(numbers: Numbers) -> Any:
    today = numbers.today
    last_day = today - timedelta(days=numbers.missed_outreach_entry_days)
    return Account.objects.filter(stage=Stage.NEW).filter(
        Q(renewal_on__range=(today, today + timedelta(days=numbers.missed_outreach_renewal_days)))
        | Q(entered_at__lt=numbers.start_of(last_day))
    )


def _why_late(row: Row, numbers: Numbers) -> tuple[str, date]:
    """What makes the missing outreach late, the renewal before the entry."""
    window = timedelta(days=numbers.missed_outreach_renewal_days)
    if row.renewal_on and numbers.today <= row.renewal_on <= numbers.today + window:
        return "renews", row.renewal_on
    return "entered", numbers.day_of(row.entered_at)


def _not_written_to(row: Row, numbers: Numbers) -> str:
    verb, day = _why_late(row, numbers)
    return f"Not written to yet; {verb} {day}, {how_far(day, numbers.today)}"


def _alert_text(row: Row, numbers: Numbers) -> str:
    # How far the day is would not be true any more tomorrow.
    verb, day = _why_late(row, numbers)
    return f"Nobody has written to them yet; the account {verb} on {day}."


PLAYBOOKS: dict[str, Playbook] = {
    playbook.name: playbook
    for playbook in (
        Playbook(
            name="final-outreach-due",
            says="The bill renews soon: one last check with the customer, then the onboarding is wrapped up.",
            whom=(
                "accounts in 2 to 4c, or in 7 if they were in the pipeline before, that renew soon, are not extended"
                " past today, and have no call between now and the renewal"
            ),
            who=_awaiting_final_outreach,
            once=RENEWAL,
            because=_renews,
            then=MoveWithTask(Stage.AWAITING_FINAL_OUTREACH, "Send the final outreach", due_in_days=2),
            numbers=("final_outreach_days", "final_outreach_gap_days", "time_zone"),
        ),
        Playbook(
            name="missed-outreach",
            says="Nobody has written to a new account in time, or it renews before anybody has.",
            whom="accounts in 1 that renew soon, or entered too long ago",
            who=_outreach_missed,
            once=ENTRY,
            because=_not_written_to,
            then=RaiseAlert(_alert_text),
            numbers=(
                "missed_outreach_renewal_days",
                "missed_outreach_entry_days",
                "alert_owner",
                "time_zone",
            ),
        ),
    )
}
