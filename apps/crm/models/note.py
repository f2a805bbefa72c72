from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models


class Note(models.Model):
    """What somebody wrote down about an account, in Markdown."""

    class Kind(models.TextChoices):
        NOTE = "note", "Note"
        CALL_SUMMARY = "call_summary", "Call summary"
        GOALS = "goals", "Goals and KPIs"
        FEEDBACK = "feedback", "Product feedback"
        ESCALATION = "escalation", "Escalation"
        HANDOFF = "handoff", "Handoff"

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="notes")
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.NOTE)
    text = models.TextField(validators=[MaxLengthValidator(20_000)])
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+"
    )
    author_reported = models.TextField(
        blank=True, help_text="An author another system named, who has no login here."
    )
    external_id = models.CharField(
        max_length=200,
        null=True,
        blank=True,
        unique=True,
        editable=False,
        help_text="Its id where it came from.",
    )
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["account", "-created_at"], name="note_of_account")]

    def __str__(self) -> str:
        return self.text[:60]
