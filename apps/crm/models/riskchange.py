from django.conf import settings
from django.db import models


class RiskChange(models.Model):
    """One change of an account's payment risk, kept by a trigger, whoever made it. Why stands on the account alone."""

    account = models.ForeignKey(
        "crm.Account", models.DB_CASCADE, related_name="risk_changes", db_index=False, editable=False
    )
    was = models.CharField(max_length=8, blank=True)
    became = models.CharField(max_length=8, blank=True)
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, related_name="+", db_index=False
    )

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["account", "-at"], name="riskchange_of_account"),
            models.Index(fields=["-at"], name="riskchange_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.was or 'not assessed'} → {self.became or 'not assessed'}"
