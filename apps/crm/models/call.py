from django.conf import settings
from django.db import models
from django.db.models import Q


class Call(models.Model):
    """A call with a customer, booked through the team's link."""

    class Kind(models.TextChoices):
        INTRO = "intro", "Intro call"
        SECOND = "second", "Second call"
        CONSULTATION = "consultation", "Paid consultation"
        UNKNOWN = "", "Call"

    class Status(models.TextChoices):
        BOOKED = "booked", "Booked"
        HELD = "held", "Held"
        CANCELED = "canceled", "Cancelled"
        NO_SHOW = "no_show", "No-show"

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="calls")
    external_id = models.CharField(max_length=300, unique=True)
    kind = models.CharField(max_length=16, choices=Kind, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.BOOKED)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    marked_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was last said to be held, cancelled or a no-show."
    )
    contact_email = models.EmailField(max_length=254, blank=True)
    hosts = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="crm.CallHost", blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-starts_at"]
        indexes = [
            models.Index(fields=["account", "starts_at"], name="call_of_account"),
            models.Index(fields=["account", "starts_at"], name="call_booked", condition=Q(status="booked")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} on {self.starts_at:%Y-%m-%d %H:%M} UTC, {self.status}"


class CallHost(models.Model):
    """A colleague who takes a call."""

    call = models.ForeignKey(Call, models.DB_CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["call", "user"], name="call_host_once")]

    def __str__(self) -> str:
        return f"{self.user} on {self.call}"
