from django.db import models
from django.db.models import Q


class Purchase(models.Model):
    """A paid consultation that a customer bought in the shop. Its call is booked later, or never: both are fine."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="purchases")
    external_id = models.CharField(max_length=200, unique=True, help_text="The shop's order id.")
    email = models.EmailField(max_length=254, blank=True, help_text="The buyer's address.")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, default="USD")
    bought_at = models.DateTimeField()
    refunded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-bought_at", "-pk"]
        indexes = [
            models.Index(fields=["account", "-bought_at"], name="purchase_of_account"),
            models.Index(fields=["-bought_at"], name="purchase_kept", condition=Q(refunded_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.external_id}: {self.amount} {self.currency}"
