"""The playbooks, declared: what each says, whom it is for, what counts as one occasion, and what it then does.

The order is the team's. Pages, commands, docs and tests are derived from this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from apps.crm import scope
from apps.crm.days import away
from apps.crm.enough import Enough
from apps.crm.models import Account, StageTransition
from apps.crm.options import permitted
from apps.crm.pipeline import Stage
from apps.crm.policy import NUMBERS, Numbers
from apps.playbooks import billing, leaving, paid_calls, sales, surveys
from apps.playbooks.occasions import (
    ACCOUNT,
    BILL,
    BILL_PERIOD,
    CALL,
    CLOSING,
    ENTRY,
    FIRST_BILL,
    PURCHASE,
    RENEWAL,
    SIGNAL,
    SURVEY,
    Once,
)
from apps.playbooks.then import (
    AddTask,
    MoveOnly,
    MoveWithTask,
    RaiseAlert,
    Refer,
    Row,
    Tell,
    Tend,
    Then,
)

HANDOFF_IS_NEWS_DAYS = 14

_HANDOFFS = (
    StageTransition.objects.filter(account=OuterRef("pk"), to_stage=Stage.SALES_HANDOFF)
    .exclude(cause__startswith="undo:")
    .order_by("-version")
)
HANDOFF = Once("handoff", "a handoff", Subquery(_HANDOFFS.values("pk")[:1]))


@dataclass(frozen=True, eq=False)
class Playbook:
    """Something that happens by itself.

    ``who`` finds the accounts it is for on the team's today, ``whom`` says so in words, ``because`` says in a line
    why it acts on one of them. ``numbers`` names the policy it depends on, and ``facts`` the columns of ``who``
    that its sentences read beside those of every ``Row``. ``tends`` bring up to date what it made earlier, before it
    looks for whom it is for.
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
    tends: tuple[Tend, ...] = ()


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
    return f"Renews {row.renewal_on}, {away(row.renewal_on, numbers.today)}"


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
    return f"Not written to yet; {verb} {day}, {away(day, numbers.today)}"


def _alert_text(row: Row, numbers: Numbers) -> str:
    # How far the day is would not be true any more tomorrow.
    verb, day = _why_late(row, numbers)
    return f"Nobody has written to them yet; the account {verb} on {day}."


def _handed_to_sales(numbers: Numbers) -> Any:
    """Older handoffs are no news any more, and those that came in with a file never were."""
    return (
        Account.objects.filter(stage=Stage.SALES_HANDOFF)
        .filter(stage_since__gte=numbers.start_of(numbers.today - timedelta(days=HANDOFF_IS_NEWS_DAYS)))
        .annotate(
            cause=Subquery(_HANDOFFS.values("cause")[:1]), note=Subquery(_HANDOFFS.values("reason")[:1])
        )
        .exclude(cause="import")
    )


def _in_scope(row: Row, numbers: Numbers) -> str:
    return scope.because(row.row, {name: getattr(row, name) for name in scope.FACTS}, numbers)


def _decide_anew(accounts: Any, numbers: Numbers, enough: Enough) -> None:
    """Decide on every account whose kept decision may not be today's. None is kept of a day gone by."""
    if numbers.today >= numbers.day_of(numbers.now):
        accounts.decide(numbers, now=numbers.now, enough=enough)


PLAYBOOKS: dict[str, Playbook] = {
    playbook.name: playbook
    for playbook in (
        Playbook(
            name="enter-pipeline",
            says="An account that the scope table calls ours enters the pipeline, owned by nobody yet.",
            whom="accounts outside the pipeline that the scope table decides are ours",
            who=lambda numbers: Account.objects.asking_to(scope.Asks.ENTER, numbers),
            once=ACCOUNT,
            because=_in_scope,
            then=MoveOnly(Stage.NEW),
            numbers=tuple(name for name in NUMBERS if name.startswith("scope_")),
            facts=("row", *scope.FACTS),
            tends=(Tend(lambda numbers: Account.objects.to_decide(numbers), _decide_anew),),
        ),
        Playbook(
            name="sales-lead",
            says="A first payment forecast so high that it is Sales’s to talk to them.",
            whom="accounts outside the pipeline whose first payment is forecast at or above the limit",
            who=lambda numbers: Account.objects.asking_to(scope.Asks.REFER, numbers).filter(
                referred_at__isnull=True
            ),
            once=ACCOUNT,
            because=_in_scope,
            then=Refer(),
            numbers=("scope_sales_forecast",),
            facts=("row", *scope.FACTS),
        ),
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
        Playbook(
            name="failed-payment",
            says="A bill could not be collected: offer help with volume and billing.",
            whom="accounts in an open stage, 6a or 6b with an open bill that was tried in vain",
            who=billing.payment_failed,
            once=BILL,
            because=billing.why_failed,
            then=RaiseAlert(billing.failed_text, attempts=lambda row: row.attempts),
            numbers=("alert_owner",),
            facts=("bill_name", "amount", "attempts"),
            tends=(billing.FURTHER_ATTEMPTS, billing.SETTLED),
        ),
        Playbook(
            name="large-invoice",
            says="A large bill is on its way: touch base so that it is no surprise.",
            whom="accounts in an open stage, 6a or 6b whose next bill, or else its forecast, is large and due soon",
            who=billing.invoice_is_large,
            once=BILL_PERIOD,
            because=billing.why_large,
            then=RaiseAlert(billing.large_text),
            numbers=(
                "large_invoice_from",
                "large_invoice_times",
                "large_invoice_least",
                "large_invoice_days",
                "alert_owner",
            ),
            facts=("amount", "due", "last_paid", "last_three"),
            tends=(billing.PAID,),
        ),
        Playbook(
            name="sales-candidate",
            says="An account that is with us is forecast so high that Sales may want to take it over.",
            whom="accounts in an open stage with a forecast at or above the limit",
            who=sales.may_be_handed_over,
            once=ENTRY,
            because=sales.why_candidate,
            then=AddTask("Consider a sales handoff", due_in_days=2),
            numbers=("sales_candidate_from",),
            facts=("forecast",),
        ),
        Playbook(
            name="first-bill-check",
            says="A large first bill was due: see whether it came through.",
            whom=(
                "accounts in an open stage that were written to and are forecast above the limit, whose first bill"
                " fell due and is not known to be paid"
            ),
            who=billing.first_bill_was_due,
            once=FIRST_BILL,
            because=billing.why_first_bill,
            then=AddTask("Did the first bill come through?", due_in_days=1),
            numbers=("first_bill_forecast", "time_zone"),
            facts=("bill_id", "bill_name", "bill_due", "forecast"),
        ),
        Playbook(
            name="paid-call-routing",
            says=(
                "A customer bought a call: say who prepares and runs it. Nobody is chased for a date; where no slot"
                " fits, Billing issues the credit or the refund."
            ),
            whom="accounts in any stage, or in none, with a purchase that was not refunded",
            who=paid_calls.bought,
            once=PURCHASE,
            because=paid_calls.why_bought,
            then=AddTask(
                paid_calls.routed,
                due_in_days=1,
                urgent=True,
                to_whom=paid_calls.who_runs_it,
                told="Paid call purchased",
                words=(
                    "that names the AE, CSM or AM to run the call; for an account that is ours “Prioritise, and credit"
                    " the price back”; else “Prepare the paid call”;"
                ),
            ),
            numbers=(),
            facts=paid_calls.PURCHASE_FACTS,
        ),
        Playbook(
            name="paid-call-no-show",
            says="A customer missed the call they paid for: offer another time, and credits if they stay silent.",
            whom="accounts with a paid call marked as a no-show, and none booked or held after it",
            who=paid_calls.missed,
            once=CALL,
            because=paid_calls.why_missed,
            then=AddTask(
                paid_calls.made_good,
                due_in_days=2,
                words="“Offer another time”, and after the silence “Offer credits for the missed call”,",
            ),
            numbers=("paid_call_silence_days", "time_zone"),
            facts=("missed", "missed_at", "silent"),
        ),
        Playbook(
            name="satisfaction-survey",
            says="The onboarding is over: ask the customer how it was.",
            whom=(
                "accounts in 6a or 6b, closed a while ago and not too long, with a contact who may be written to and"
                " whose mail has not bounced"
            ),
            who=surveys.to_ask,
            once=CLOSING,
            because=surveys.why_ask,
            then=surveys.Ask(),
            numbers=(
                "survey_after_days",
                "survey_within_days",
                "survey_open_days",
                "undo_minutes",
                "mail_daily_cap",
                "time_zone",
            ),
            facts=("closing_pk", "closed_at", "contact_pk", "stage"),
        ),
        Playbook(
            name="low-score",
            says="A customer was not content with their onboarding: ask them what went wrong.",
            whom=f"accounts in any stage with a low answer to the survey, of the last {surveys.LOW_IS_NEWS_DAYS} days",
            who=surveys.scored_low,
            once=SURVEY,
            because=surveys.why_low,
            then=RaiseAlert(surveys.low_text),
            numbers=("survey_low_score", "alert_owner", "time_zone"),
            facts=("score", "word", "said_at"),
            tends=(surveys.TAKEN_BACK,),
        ),
        Playbook(
            name="churn-signal",
            says="A customer seems to be leaving: find out, and close the account as churned if they are.",
            whom=(
                "accounts in the pipeline but for 6d whose subscription was cancelled since they entered, or whose"
                " last closed month came to 0 after one above 0 and not because of credit"
            ),
            who=leaving.signalled,
            once=SIGNAL,
            because=leaving.why_leaving,
            then=RaiseAlert(leaving.leaving_text),
            numbers=("churn_month_days", "alert_owner", "time_zone"),
            facts=("told", "said_at", "said_because", "month_end", "amount_before"),
            tends=(leaving.GOING_ON,),
        ),
        Playbook(
            name="payment-risk-stale",
            says="A payment risk was last confirmed before the bill renewed: ask again.",
            whom="accounts in an open stage, 6a or 6b at medium or high risk, not confirmed since the last renewal",
            who=billing.risk_is_stale,
            once=RENEWAL,
            because=billing.why_stale,
            then=AddTask("Still at risk?", due_in_days=3),
            numbers=("time_zone",),
            facts=("payment_risk", "payment_risk_at", "last_renewal_on"),
        ),
        Playbook(
            name="handover-returned",
            says="Sales turned a lead down that nobody there looks after: take the account back.",
            whom="accounts in 6c without AE, CSM or AM that Sales disqualified since they entered",
            who=sales.turned_down,
            once=SIGNAL,
            because=sales.why_turned_down,
            then=RaiseAlert(sales.turned_down_text),
            numbers=("alert_owner",),
            facts=("said_at", "said_by", "said_because"),
            tends=(sales.TAKEN_ON,),
        ),
        Playbook(
            name="handoff-told",
            says="An account was handed to Sales: the team and Sales hear of it, with the note.",
            whom=f"accounts handed to Sales in the last {HANDOFF_IS_NEWS_DAYS} days, by anybody but a file",
            who=_handed_to_sales,
            once=HANDOFF,
            because=lambda row, numbers: f"Handed to Sales: {row.note}" if row.note else "Handed to Sales",
            then=Tell("Handed to Sales", lambda row: row.note),
            numbers=("time_zone",),
            facts=("note",),
        ),
    )
}
