from django.db import models
from django.db.models import Q

from apps.crm.pipeline import Stage


class TheirStage(models.Model):
    """Where another system last said an account stands. Kept by imports, whatever we make of it here."""

    account = models.OneToOneField(
        "crm.Account", models.DB_CASCADE, primary_key=True, related_name="their_stage"
    )
    stage = models.CharField(
        max_length=32, choices=Stage, blank=True, help_text="Empty: their words mean no stage of today."
    )
    written = models.CharField(max_length=200, help_text="Their own words.")
    since = models.DateTimeField(null=True, blank=True, help_text="Since when, as they say.")
    said_at = models.DateTimeField(help_text="When they first said so.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(stage__in=Stage.values), name="their_stage_known"),
        ]

    def __str__(self) -> str:
        return self.written
