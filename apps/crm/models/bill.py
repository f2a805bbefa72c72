from django.db import models
from django.db.models import Q


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

    class Meta:
        ordering = ["-period_start", "-pk"]
        indexes = [
            models.Index(fields=["account", "-period_start"], name="bill_of_account"),
            models.Index(fields=["account"], name="bill_failed", condition=Q(status="open", attempts__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.external_id}: {self.amount} {self.currency}, {self.status}"
