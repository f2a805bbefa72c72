from django.db import models


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
    renewed_on = models.DateField(
        null=True, help_text="The end of the first period to end since the day before the last entry."
    )

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
