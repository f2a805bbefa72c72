"""What a customer was credited or refunded: a ledger beside the billing system, which alone gives money."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, F, OuterRef, Q

from apps.crm.models.user import User


class CreditQuerySet(models.QuerySet["Credit"]):
    def record(
        self,
        account: Any,
        *,
        kind: str,
        amount: Decimal,
        currency: str,
        on: date,
        why: str,
        by: User,
        now: datetime,
    ) -> Credit:
        """Write down what was given to an account."""
        with transaction.atomic():
            account.lock()
            made: Credit = self.create(
                account=account, kind=kind, amount=amount, currency=currency, on=on, why=why, by=by, at=now
            )
            account.touch()
        return made

    def of(self, account: Any) -> CreditQuerySet:
        """The entries of an account, each with who wrote it and whether it was ``corrected``. One query."""
        correction = self.filter(corrects=OuterRef("pk"))
        return self.filter(account=account).select_related("by").annotate(corrected=Exists(correction))


def sums(entries: Iterable[Credit]) -> list[tuple[str, Decimal]]:
    """What entries come to, by currency; corrections take away what they correct."""
    found: dict[str, Decimal] = {}
    for entry in entries:
        found[entry.currency] = found.get(entry.currency, Decimal()) + entry.amount
    return sorted((currency, amount) for currency, amount in found.items() if amount)


class Credit(models.Model):
    """One entry of what was given. Never changed, never deleted; a mistake is set right by an entry against it.

    Triggers in the database refuse both, but for the account's own erasure and for blanking ``why``, and take as a
    correction only the exact opposite of an entry of the same account.
    """

    class Kind(models.TextChoices):
        MISCONFIGURATION = "misconfiguration", "Misconfiguration"
        MISSED_CALL = "missed_call", "Missed call"
        PAID_CALL = "paid_call", "Paid call, already ours"
        SERVICES = "services", "Offset against a services package"

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="credits", db_index=False)
    kind = models.CharField(max_length=20, choices=Kind)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, default="USD")
    on = models.DateField(help_text="The day it was given.")
    why = models.TextField(blank=True, validators=[MaxLengthValidator(2000)])
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="+", db_index=False)
    at = models.DateTimeField()
    corrects = models.OneToOneField(
        "self", models.DB_CASCADE, null=True, blank=True, related_name="correction"
    )

    objects: ClassVar[Any] = CreditQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(corrects__isnull=True, amount__gt=0) | Q(corrects__isnull=False, amount__lt=0),
                name="credit_gives_or_corrects",
            ),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="credit_currency"),
            models.CheckConstraint(
                condition=Q(corrects__isnull=True) | ~Q(corrects=F("id")), name="credit_corrects_another"
            ),
        ]
        indexes = [models.Index(fields=["account", "-at"], name="credit_of_account")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.amount} {self.currency}"

    def correct(self, *, why: str, by: User, now: datetime) -> Credit | None:
        """Write the entry that takes this one back, and return it; None where that was done, or it is one itself."""
        facts = {name: getattr(self, name) for name in ("account", "kind", "currency", "on")}
        try:
            with transaction.atomic():
                self.account.lock()
                made = Credit.objects.create(
                    **facts, amount=-self.amount, why=why, by=by, at=now, corrects=self
                )
                self.account.touch()
        except IntegrityError:
            return None
        return made
