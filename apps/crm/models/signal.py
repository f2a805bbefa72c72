from django.db import models


class Signal(models.Model):
    """Something another system said once about an account, that moves nothing by itself; a playbook reads it."""

    class Kind(models.TextChoices):
        SUBSCRIPTION_CANCELED = "subscription_canceled", "Subscription cancelled"
        SALES_DISQUALIFIED = "sales_disqualified", "Disqualified by Sales"

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="signals")
    kind = models.CharField(max_length=24, choices=Kind)
    external_id = models.CharField(max_length=300, unique=True, help_text="The event that said it.")
    at = models.DateTimeField()
    by = models.TextField(blank=True, help_text="Who said it there, as that system names them.")
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["account", "kind", "-at"], name="signal_of_account")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on {self.at:%Y-%m-%d}"
