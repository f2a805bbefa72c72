from __future__ import annotations

from itertools import batched
from typing import Any, ClassVar

from django.db import connection, models, transaction

from apps.crm.enough import Enough, never
from apps.crm.models.account import Account

SLICE = 2_000


class BilledQuerySet(models.QuerySet["Billed"]):
    def mend(self, *, after: int = 0, enough: Enough = never) -> tuple[int, int]:
        """Work out anew what is kept of the bills of the accounts after this one, and write what is another.

        Returns how many rows were wrong, and the last account looked at; 0 where there was none left. The triggers keep
        these rows right: what is found was changed behind their back, or by a first-bill sum chosen for days gone by.
        """
        wrong = 0
        accounts = Account.objects.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)
        for ids in batched(accounts.iterator(SLICE), SLICE):
            if enough():
                return wrong, after
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT crm_billed_keep(%s)", [[*ids]])
                wrong += cursor.fetchone()[0]
            after = ids[-1]
        return wrong, 0


class Billed(models.Model):
    """What an account's bills say of it, kept with them by a trigger: the retention reports read it.

    A bill is of the month in which the last day of its period lies. ``cohort_on`` is the month of the first bill of
    at least the policy's sum; the sums are of that month and of the third after it, made bills in ``currency`` only.
    """

    account = models.OneToOneField(
        "crm.Account", models.DB_CASCADE, primary_key=True, related_name="billed", editable=False
    )
    cohort_on = models.DateField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    cohort_billed = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    kept_billed = models.DecimalField(max_digits=14, decimal_places=2, default=0)
    kept = models.BooleanField(default=False, help_text="Whether a bill above 0 was made in the third month.")
    at_zero = models.BooleanField(default=False, help_text="Whether a bill at 0 was made in the third month.")

    objects: ClassVar[Any] = BilledQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "billed amounts"
        indexes = [
            models.Index(
                fields=["cohort_on"],
                name="billed_cohort",
                condition=models.Q(cohort_on__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"First bill in {self.cohort_on:%Y-%m}" if self.cohort_on else "No first bill yet"
