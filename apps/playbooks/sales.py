"""What the playbooks know of Sales: whom it may want, and whom it turned down."""

from __future__ import annotations

from typing import Any

from django.db.models import F, FilteredRelation, Q

from apps.crm.models import Account, Alert, Signal
from apps.crm.models.alert import ALERT_KINDS
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers
from apps.crm.scope import dollars
from apps.playbooks.then import Row, cause_gone

_RETURNED = "handover-returned"
_NOBODY = {"sales_contact_kind": "", "sales_contact_name": "", "sales_contact_email": ""}


def may_be_handed_over(numbers: Numbers) -> Any:
    """Open accounts that are forecast at or above what Sales takes."""
    return Account.objects.in_open_stages().filter(forecast__gte=numbers.sales_candidate_from)


def why_candidate(row: Row, numbers: Numbers) -> str:
    return f"Forecast {dollars(row.forecast)}, at or above ${numbers.sales_candidate_from:,}"


def turned_down(numbers: Numbers) -> Any:
    """Accounts in 6c that Sales disqualified since they entered and nobody there looks after; one row each time."""
    disqualified = FilteredRelation("signals", condition=Q(signals__kind=Signal.Kind.SALES_DISQUALIFIED))
    return (
        Account.objects.filter(stage=Stage.SALES_HANDOFF, **_NOBODY)
        .alias(signal=disqualified)
        .filter(signal__isnull=False)
        # What was said in an earlier time with us has had its day.
        .filter(Q(entered_at__isnull=True) | Q(signal__at__gte=F("entered_at")))
        .annotate(
            told=F("signal__pk"),
            said_at=F("signal__at"),
            said_by=F("signal__by"),
            said_because=F("signal__reason"),
        )
    )


def why_turned_down(row: Row, numbers: Numbers) -> str:
    by = f" by {row.said_by}" if row.said_by else ""
    because = f": {row.said_because}" if row.said_because else ""
    return f"Disqualified{by} on {numbers.day_of(row.said_at)}{because}"


def turned_down_text(row: Row, numbers: Numbers) -> str:
    to = ALERT_KINDS[_RETURNED].proposes
    assert to is not None
    return f"{why_turned_down(row, numbers).rstrip('.')}. Take it back to “{to.label}”, or find it an AE, CSM or AM."


def _are_taken_on(numbers: Numbers) -> Any:
    mine = Alert.objects.open().filter(kind=_RETURNED)
    return mine.exclude(**{f"account__{name}": value for name, value in _NOBODY.items()})


TAKEN_ON = cause_gone(_are_taken_on, "Sales looks after it now.")
