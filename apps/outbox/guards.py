"""What mail to a customer must pass, at the moment it is sent: a table of conditions, in words each.

Some of them hold for what a colleague wrote by hand, too.

A mail that a guard stops is held back with the guard's words. The daily cap holds nothing back: the rest waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Exists, OuterRef, Q, Value, When
from django.db.models.expressions import Combinable

from apps.crm.models import Bill, Contact
from apps.crm.pipeline import ONBOARDED, OPEN
from apps.crm.policy import Numbers
from apps.outbox.models import AUTOMATIC, Gate, Message

APART = timedelta(days=14)


@dataclass(frozen=True)
class Guard:
    """A rule in words, why a mail that breaks it is held back, and which messages break it now."""

    rule: str
    because: str
    stops: Callable[[datetime], Q | Combinable]
    by_hand: bool = False


def _recipient(**as_it_is: Any) -> Callable[[datetime], Exists]:
    """A contact with the message's address, at whatever account: they are one person."""
    return lambda now: Exists(Contact.objects.filter(email=OuterRef("to"), **as_it_is))


def _mailed_lately(now: datetime) -> Exists:
    """What may have left counts as well: its sender was gone before it could say."""
    left = Q(sent_at__gt=now - APART) | (
        Q(claimed_until__isnull=False) & Q(sent_at__isnull=True, held_at__isnull=True, failed_at__isnull=True)
    )
    others = Message.objects.filter(left, automatic=True, to=OuterRef("to"))
    return Exists(others.exclude(pk=OuterRef("pk")))


GUARDS: tuple[Guard, ...] = (
    Guard(
        "The account is in an open stage, 6a or 6b",
        "The account is in no open stage, and neither in 6a nor 6b.",
        lambda now: ~Q(account__stage__in=(*OPEN, *ONBOARDED)),
    ),
    Guard(
        "The account has no AE, CSM or AM",
        "The account has an AE, CSM or AM.",
        lambda now: ~Q(account__sales_contact_kind=""),
    ),
    Guard(
        "No failed payment is open",
        "A failed payment of the account is open.",
        lambda now: Exists(
            Bill.objects.filter(account=OuterRef("account"), status=Bill.Status.OPEN, attempts__gt=0)
        ),
    ),
    Guard(
        "The account still has a contact with the address",
        "The account has no contact with this address any more.",
        lambda now: ~Exists(Contact.objects.filter(account=OuterRef("account"), email=OuterRef("to"))),
    ),
    Guard(
        "Mail to the contact has not bounced",
        "Mail to them bounced.",
        _recipient(bounced_at__isnull=False),
        by_hand=True,
    ),
    Guard(
        "The contact has not unsubscribed", "They unsubscribed.", _recipient(unsubscribed_at__isnull=False)
    ),
    Guard(
        "The contact may be written to",
        "They are not to be contacted.",
        _recipient(do_not_contact=True),
        by_hand=True,
    ),
    Guard(
        f"One automatic mail per contact in {APART.days} days",
        f"They had automatic mail less than {APART.days} days ago.",
        _mailed_lately,
    ),
)


def held_because(message: Message, *, now: datetime) -> str:
    """Why a mail to a customer must not leave now, by the first guard that stops it; else empty."""
    asked = [guard for guard in GUARDS if message.automatic or guard.by_hand]
    stopped = Case(
        *(When(guard.stops(now), then=Value(guard.because)) for guard in asked),
        default=Value(""),
        output_field=CharField(),
    )
    return str(Message.objects.filter(pk=message.pk).values_list(stopped, flat=True).get())


def left_today(numbers: Numbers) -> int:
    """How many automatic mails left on the team's today, or may have."""
    may_have = Q(claimed_until__isnull=False) & Q(
        sent_at__isnull=True, held_at__isnull=True, failed_at__isnull=True
    )
    since = Q(sent_at__gte=numbers.start_of(numbers.today))
    return Message.objects.filter(may_have | since, automatic=True).count()


def automatic_may_leave(numbers: Numbers) -> bool:
    """Whether any automatic mail may leave now: nobody stopped it all, and the day's cap is not reached."""
    if Gate.objects.shut().filter(name=AUTOMATIC).exists():
        return False
    return left_today(numbers) < numbers.mail_daily_cap
