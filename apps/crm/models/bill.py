from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.db import connection, models, transaction
from django.db.models import Q

from apps.crm.models.account import Account

# Of two reports of the same time the one further along holds. Paid and void are final.
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
_FACTS = [name for name in _COLUMNS if name not in ("external_id", "account_id", "reported_at")]
_REPORT = f"""
INSERT INTO crm_bill AS bill ({", ".join(_COLUMNS)})
SELECT * FROM unnest({", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in _COLUMNS)})
ON CONFLICT (external_id) DO UPDATE
    SET ({", ".join([*_FACTS, "reported_at"])}) =
        ({", ".join(f"excluded.{name}" for name in [*_FACTS, "reported_at"])})
    WHERE bill.status NOT IN ('paid', 'void')
      AND bill.account_id = excluded.account_id
      AND (excluded.reported_at, array_position(%s::text[], excluded.status::text))
          >= (bill.reported_at, array_position(%s::text[], bill.status::text))
      AND ({", ".join(f"excluded.{name}" for name in _FACTS)})
          IS DISTINCT FROM ({", ".join(f"bill.{name}" for name in _FACTS)})
RETURNING bill.xmax = 0
"""


class BillQuerySet(models.QuerySet["Bill"]):
    def report(self, told: Sequence[ReportedBill]) -> dict[str, int]:
        """Keep what another system tells about bills; an older report never overwrites a newer one.

        Returns how many were created, updated and unchanged. A bill stands once in ``told``.
        """
        rows = [asdict(bill) for bill in told]
        accounts = Account.objects.filter(pk__in={bill.account_id for bill in told})
        with transaction.atomic(), connection.cursor() as cursor:
            list(accounts.order_by("pk").select_for_update(no_key=True).values_list("pk"))
            cursor.execute(
                _REPORT, [*([row[name] for row in rows] for name in _COLUMNS), _PROGRESS, _PROGRESS]
            )
            new = [created for (created,) in cursor.fetchall()]
            accounts.recount()
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

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="bills")
    external_id = models.CharField(max_length=200, unique=True)
    period_start = models.DateField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, default="USD")
    status = models.CharField(max_length=16, choices=Status)
    attempts = models.PositiveIntegerField(default=0, help_text="Failed attempts to collect it.")
    due_on = models.DateField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    reported_at = models.DateTimeField(help_text="The billing system's time of what stands here.")

    objects: ClassVar[Any] = BillQuerySet.as_manager()

    class Meta:
        ordering = ["-period_start", "-pk"]
        indexes = [
            models.Index(fields=["account", "-period_start"], name="bill_of_account"),
            models.Index(fields=["account"], name="bill_failed", condition=Q(status="open", attempts__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.external_id}: {self.amount} {self.currency}, {self.status}"
