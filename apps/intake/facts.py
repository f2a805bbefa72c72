"""What other systems can tell us: one vocabulary for every door, and what each fact does to an account.

A fact is applied under the lock of its account, in the transaction that settles its event. It may come late, twice
and in any order: what it does depends on the times it names, not on when it came. A move the pipeline refuses is no
failure; the sentence is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from apps.crm.models import Account, Bill, Call, Policy, Purchase, Signal
from apps.crm.models.bill import ReportedBill
from apps.crm.models.call import Told as CallTold
from apps.crm.models.moving import MoveError
from apps.crm.pipeline import Engagement, Stage
from apps.crm.reporting import BadRows, report_accounts
from apps.intake.matching import NotFound, Who

# A customer who answers within this of being closed as "no engagement" has engaged after all.
LATE_REPLY = timedelta(days=14)


class Ignored(Exception):
    """There is nothing to do, for the reason in ``sentence``."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True)
class Context:
    """What applying a fact needs to know beside it: the event's own id, its row, and the time."""

    name: str
    cause: str
    now: datetime


class Fact(Protocol):
    def accounts(self, context: Context) -> Sequence[int]:
        """The ids of the accounts it is about, mostly one, in their order. Raises ``NotFound``."""

    def apply(self, account: Account, context: Context) -> str:
        """Do what follows, and say it in a sentence; the account is locked and fresh."""

    def answers(self, account: Account) -> Iterable[str]:
        """The subjects that are known once it is applied: events that looked for them in vain are tried again."""


def moved(account: Account, to: Stage, context: Context, reason: str = "") -> str:
    """Try a move, and say what became of it."""
    try:
        row = account.move(to, by=None, now=context.now, cause=context.cause, reason=reason)
    except MoveError as refused:
        return refused.sentence
    return f"Moved to “{to.label}”." if row else ""


def engaged(account: Account, via: Engagement, context: Context, moves: Mapping[Stage, Stage]) -> str:
    """Note that the customer engaged, and make the move that follows at this stage, if any."""
    stage = Stage(account.stage)
    closed = account.stage_since
    said = ""
    if to := moves.get(stage):
        said = moved(account, to, context)
    if account.engaged_at is None:
        account.engage(via, now=context.now)
    if stage == Stage.ONBOARDED_NO_ENGAGEMENT and closed and context.now - closed <= LATE_REPLY:
        said = moved(account, Stage.ONBOARDED_ENGAGED, context)
    return said


def sentence(*parts: str) -> str:
    return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class About:
    """A fact that says whose account it is about."""

    who: Who

    def accounts(self, context: Context) -> Sequence[int]:
        return [self.who.account_id()]

    def answers(self, account: Account) -> Iterable[str]:
        return ()


@dataclass(frozen=True)
class AccountReported:
    """Facts of an account, as ``crm.fields`` reads them."""

    row: Mapping[str, Any]
    source: str

    def accounts(self, context: Context) -> Sequence[int]:
        try:
            report_accounts([(0, self.row)], source=self.source, now=context.now)
        except BadRows as bad:
            raise Ignored(f"{bad.problems[0].field} {bad.problems[0].sentence}") from None
        return [Who(external_id=self.row["external_id"]).account_id()]

    def apply(self, account: Account, context: Context) -> str:
        return "The account’s facts were kept."

    def answers(self, account: Account) -> Iterable[str]:
        yield f"account:{account.external_id}"
        if account.stripe_customer_id:
            yield f"customer:{account.stripe_customer_id}"
        for email in account.contacts.values_list("email", flat=True):
            yield f"email:{email}"


@dataclass(frozen=True)
class CustomerKnown(About):
    """A billing system's customer exists, or was changed."""

    def apply(self, account: Account, context: Context) -> str:
        return "The customer is known." if _remember_customer(account, self.who) else "Nothing new."

    def answers(self, account: Account) -> Iterable[str]:
        return [self.who.subject]


def _remember_customer(account: Account, who: Who) -> bool:
    """Keep the customer's id of an account that was found by an address."""
    if not who.customer or account.stripe_customer_id:
        return False
    Account.objects.filter(pk=account.pk).update(stripe_customer_id=who.customer)
    account.stripe_customer_id = who.customer
    return True


@dataclass(frozen=True)
class BillTold(About):
    """A bill as it stands. ``told`` names no account yet."""

    told: ReportedBill

    def apply(self, account: Account, context: Context) -> str:
        _remember_customer(account, self.who)
        done = Bill.objects.keep([replace(self.told, account_id=account.pk)])
        if done["unchanged"]:
            return "The bill was known as it is, or as something newer."
        return f"The bill is {self.told.status}."


@dataclass(frozen=True)
class CallFact(About):
    """A call was booked, held, cancelled, missed, or found not to be missed. ``who`` may be empty for a known call."""

    told: CallTold
    rescheduled: bool = False

    _SAYS: ClassVar[Mapping[str, str]] = {
        "booked": "The call is booked.",
        "held": "The call was held.",
        "canceled": "The call is cancelled.",
        "no_show": "They did not come to the call.",
        "came": "The no-show was taken back.",
    }

    def accounts(self, context: Context) -> Sequence[int]:
        known = Call.objects.filter(external_id=self.told.external_id).values_list("account", flat=True)
        if known:
            return [*known]
        if not self.told.starts_at:
            raise NotFound(f"call:{self.told.external_id}", "The call it speaks of is not known yet.")
        return [self.who.account_id()]

    def apply(self, account: Account, context: Context) -> str:
        call, made = Call.objects.report(
            account, self.told, now=context.now, cause=context.cause, rescheduled=self.rescheduled
        )
        said = self._SAYS[self.told.what] if made.changed else "Nothing new is said of the call."
        if self.told.what == "booked":
            return sentence(said, self._booked(account, call, context))
        moved = f"Moved to “{Stage(made.moved.to_stage).label}”." if made.moved else ""
        return sentence(said, moved, made.stayed)

    def _booked(self, account: Account, call: Call, context: Context) -> str:
        """What follows from a booking, whatever became of the call since: it was booked, for whoever hears it late."""
        said = engaged(account, "call", context, _BOOKED_FROM)
        if account.stage == Stage.AWAITING_FINAL_OUTREACH:
            _task_once(
                account, "They booked a call: move them back, or hold it as the last one", call, context
            )
        return said

    def answers(self, account: Account) -> Iterable[str]:
        return [f"call:{self.told.external_id}"]


_BOOKED_FROM = dict.fromkeys((Stage.NEW, Stage.INITIATED, Stage.ENGAGED_EMAIL), Stage.CALL_BOOKED)


def _task_once(account: Account, title: str, call: Call, context: Context) -> None:
    """A task about a call, unless it was made before."""
    cause = f"call:{call.pk}"
    if not account.tasks.filter(cause=cause, title=title).exists():
        today = Policy.at(context.now).today
        account.add_task(title, today, by=None, now=context.now, assignee=account.owner, cause=cause)


@dataclass(frozen=True)
class Bought(About):
    """A consultation was paid for."""

    order_id: str
    amount: Decimal
    currency: str
    at: datetime

    def accounts(self, context: Context) -> Sequence[int]:
        known = Purchase.objects.filter(external_id=self.order_id).values_list("account", flat=True)
        return [*known] or [self.who.account_id()]

    def apply(self, account: Account, context: Context) -> str:
        _, new = Purchase.objects.get_or_create(
            external_id=self.order_id,
            defaults={
                "account": account,
                "email": self.who.email,
                "amount": self.amount,
                "currency": self.currency,
                "bought_at": self.at,
            },
        )
        if not new:
            return "The purchase was known."
        said = moved(account, Stage.PAID_CALL, context)
        account.engage("purchase", now=context.now)
        account.touch()
        return sentence("The purchase was kept.", said)

    def answers(self, account: Account) -> Iterable[str]:
        return [f"order:{self.order_id}"]


@dataclass(frozen=True)
class Refunded:
    """The price of a consultation was given back."""

    order_id: str
    at: datetime

    def accounts(self, context: Context) -> Sequence[int]:
        found = Purchase.objects.filter(external_id=self.order_id).values_list("account", flat=True)
        if not found:
            raise NotFound(f"order:{self.order_id}", "The order it speaks of is not known yet.")
        return [*found]

    def apply(self, account: Account, context: Context) -> str:
        kept = account.purchases.filter(refunded_at__isnull=True)
        if not kept.filter(external_id=self.order_id).update(refunded_at=self.at):
            return "The refund was known."
        account.touch()
        if kept.exists():
            return "The refund was kept; another purchase stands."
        try:
            account.leave_paid_call(
                by=None, now=context.now, cause=context.cause, reason="The price was refunded."
            )
        except MoveError as refused:
            return f"The refund was kept. {refused.sentence}"
        return f"The refund was kept; back to “{Stage(account.stage).label}”."

    def answers(self, account: Account) -> Iterable[str]:
        return ()


@dataclass(frozen=True)
class Signalled(About):
    """Something said once that moves nothing by itself."""

    kind: str
    at: datetime
    by: str = ""
    reason: str = ""

    def apply(self, account: Account, context: Context) -> str:
        _remember_customer(account, self.who)
        signal, _ = Signal.objects.get_or_create(
            external_id=context.name,
            defaults={
                "account": account,
                "kind": self.kind,
                "at": self.at,
                "by": self.by,
                "reason": self.reason,
            },
        )
        return f"{signal.get_kind_display()}."


@dataclass(frozen=True)
class Referred(About):
    """Sales took the account."""

    at: datetime
    by: str = ""
    reason: str = ""

    def apply(self, account: Account, context: Context) -> str:
        note = sentence(f"Referred by {self.by}." if self.by else "Referred by Sales.", self.reason)
        return moved(account, Stage.SALES_HANDOFF, context, reason=note) or "Sales has it already."
