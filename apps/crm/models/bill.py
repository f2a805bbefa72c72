from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.db import connection, models, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from apps.crm.models.account import Account

# Of two reports of the same time the one further along holds. Paid and void are final, and paid beats void.
_PROGRESS = ["upcoming", "draft", "open", "uncollectible", "void", "paid"]


@dataclass(frozen=True)
class ReportedBill:
    """A bill as another system tells it. ``account_id`` is our own id, money in ``currency``."""

    external_id: str
    account_id: int
    status: str
    amount: Decimal
    reported_at: datetime
    currency: str = "USD"
    period_start: date | None = None
    period_end: date | None = None
    due_on: date | None = None
    paid_at: datetime | None = None
    attempts: int = 0
    period_key: str = ""


_COLUMNS = [field.name for field in fields(ReportedBill)]
_TYPES = {
    "account_id": "bigint",
    "amount": "numeric",
    "attempts": "integer",
    "reported_at": "timestamptz",
    "paid_at": "timestamptz",
    "period_start": "date",
    "period_end": "date",
    "due_on": "date",
}
_FACTS = [name for name in _COLUMNS if name not in ("external_id", "account_id", "reported_at", "period_key")]
_REPORT = f"""
INSERT INTO crm_bill AS bill ({", ".join(_COLUMNS)})
SELECT * FROM unnest({", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in _COLUMNS)})
ON CONFLICT (external_id) DO UPDATE
    SET ({", ".join([*_FACTS, "reported_at"])}) =
        ({", ".join(f"excluded.{name}" for name in [*_FACTS, "reported_at"])})
    WHERE bill.account_id = excluded.account_id
      AND CASE WHEN bill.status = 'paid' THEN excluded.status = 'paid' AND excluded.reported_at < bill.reported_at
               WHEN bill.status = 'void' THEN excluded.status = 'paid'
                    OR excluded.status = 'void' AND excluded.reported_at < bill.reported_at
               ELSE excluded.status IN ('paid', 'void')
                    OR (excluded.reported_at, array_position(%s::text[], excluded.status::text))
                       >= (bill.reported_at, array_position(%s::text[], bill.status::text))
          END
      AND ({", ".join(f"excluded.{name}" for name in _FACTS)})
          IS DISTINCT FROM ({", ".join(f"bill.{name}" for name in _FACTS)})
RETURNING bill.xmax = 0
"""


# A report that says nothing new still says it later: what is older than it must not come through afterwards.
_HEARD = """
UPDATE crm_bill bill SET reported_at = told.at
FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[]) AS told (external_id, account_id, at)
WHERE bill.external_id = told.external_id AND bill.account_id = told.account_id
  AND bill.status NOT IN ('paid', 'void') AND bill.reported_at < told.at
"""
# A bill that is coming and the bill it became are one: the forecast goes once the bill is there, whichever came first.
_BECAME = """
DELETE FROM crm_bill coming USING crm_bill bill
WHERE coming.account_id = ANY(%s) AND coming.status = 'upcoming' AND coming.period_key <> ''
  AND bill.account_id = coming.account_id AND bill.period_key = coming.period_key AND bill.status <> 'upcoming'
"""


_LOCK = "SELECT FROM crm_account WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"


_OF_WHAT_IS_DUE = ["account", "amount", "currency", "attempts", "due_on", "period_end"]


class BillQuerySet(models.QuerySet["Bill"]):
    def report(self, told: Sequence[ReportedBill]) -> dict[str, int]:
        """Keep what another system tells about bills; an older report never overwrites a newer one.

        Returns how many were created, updated and unchanged. A bill stands once in ``told``.
        """
        # Nobody goes on after an error in here, so a savepoint would save nothing.
        with transaction.atomic(savepoint=False), connection.cursor() as cursor:
            cursor.execute(_LOCK, [[bill.account_id for bill in told]])
            return self.keep(told)

    def keep(self, told: Sequence[ReportedBill]) -> dict[str, int]:
        """The same, of accounts that are locked already."""
        rows = [asdict(bill) for bill in told]
        with connection.cursor() as cursor:
            cursor.execute(
                _REPORT, [*([row[name] for row in rows] for name in _COLUMNS), _PROGRESS, _PROGRESS]
            )
            new = [created for (created,) in cursor.fetchall()]
            if len(new) < len(told):
                names = ("external_id", "account_id", "reported_at")
                cursor.execute(_HEARD, [[row[name] for row in rows] for name in names])
            if of_periods := [bill.account_id for bill in told if bill.period_key]:
                cursor.execute(_BECAME, [of_periods])
            Account.objects.recount_these([*{bill.account_id for bill in told}], ("bills_held", "first_bill"))
        created = sum(new)
        return {"created": created, "updated": len(new) - created, "unchanged": len(told) - len(new)}


class Bill(models.Model):
    """A bill of an account, as the billing system last told it. ``status`` follows Stripe's invoice states."""

    class Status(models.TextChoices):
        UPCOMING = "upcoming", "Upcoming"
        DRAFT = "draft", "Draft"
        OPEN = "open", "Open"
        PAID = "paid", "Paid"
        VOID = "void", "Void"
        UNCOLLECTIBLE = "uncollectible", "Uncollectible"

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="bills", db_index=False)
    external_id = models.CharField(max_length=200)
    period_start = models.DateField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, default="USD")
    status = models.CharField(max_length=16, choices=Status)
    attempts = models.PositiveIntegerField(default=0, help_text="Failed attempts to collect it.")
    due_on = models.DateField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    period_key = models.CharField(
        max_length=300, blank=True, editable=False, help_text="Which subscription’s which period it is for."
    )
    reported_at = models.DateTimeField(help_text="The billing system's time of what stands here.")

    objects: ClassVar[Any] = BillQuerySet.as_manager()

    class Meta:
        ordering = ["-period_start", "-pk"]
        constraints = [models.UniqueConstraint(fields=["external_id"], name="bill_external_id_once")]
        indexes = [
            # What is due is added up from these two alone.
            models.Index(
                Coalesce("due_on", "period_end"),
                name="bill_ahead",
                include=_OF_WHAT_IS_DUE,
                condition=Q(status__in=["upcoming", "draft"]),
            ),
            models.Index(
                Coalesce("due_on", "period_end"),
                name="bill_unpaid",
                include=_OF_WHAT_IS_DUE,
                condition=Q(status="open"),
            ),
            # The first period of an account to end after a day.
            models.Index(fields=["account", "period_end"], name="bill_ends", condition=~Q(status="void")),
            models.Index(fields=["account", "-period_start"], name="bill_of_account"),
            models.Index(fields=["account"], name="bill_failed", condition=Q(status="open", attempts__gt=0)),
            models.Index(fields=["period_end"], name="bill_of_nothing", condition=Q(amount=0)),
        ]

    def __str__(self) -> str:
        return f"{self.external_id}: {self.amount} {self.currency}, {self.status}"
