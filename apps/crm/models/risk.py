from __future__ import annotations

from django.conf import settings
from django.db import models

from apps.crm.models.account import PaymentRisk


class RiskAssessment(models.Model):
    """What the payment risk of an account was said to be: who, when, why. Written by a trigger, whoever sets it."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="risks", db_index=False)
    risk = models.CharField(max_length=8, choices=PaymentRisk, blank=True)
    reason = models.TextField(blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["account", "-at"], name="risk_of_account")]

    def __str__(self) -> str:
        return PaymentRisk(self.risk).label
