from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models, transaction
from django.db.models import Q

from apps.crm.models.notice import Notice, mentioned
from apps.crm.models.user import User


class NoteQuerySet(models.QuerySet["Note"]):
    def feedback(self) -> NoteQuerySet:
        return self.filter(kind=Note.Kind.FEEDBACK)

    def pinned(self) -> NoteQuerySet:
        return self.filter(pinned_at__isnull=False).order_by("-pinned_at", "-pk")

    def spelled(self, product: str) -> str:
        """A product as the team has written it before, in whatever case it is given."""
        known = self.feedback().filter(product__iexact=product) if product else self.none()
        return known.order_by("pk").values_list("product", flat=True).first() or product


class Note(models.Model):
    """What somebody wrote down about an account, in Markdown."""

    class Kind(models.TextChoices):
        NOTE = "note", "Note"
        CALL_SUMMARY = "call_summary", "Call summary"
        GOALS = "goals", "Goals and KPIs"
        FEEDBACK = "feedback", "Product feedback"
        ESCALATION = "escalation", "Escalation"
        HANDOFF = "handoff", "Handoff"

    # What a note of a kind asks for: set into an empty text when the kind is chosen.
    OUTLINES: ClassVar[dict[str, str]] = {
        Kind.CALL_SUMMARY: "**Who was there**\n\n**What they use us for**\n\n**What we showed**\n\n**Next step**\n",
        Kind.GOALS: "**Goals this quarter**\n\n**KPIs they watch**\n\n**For the second call**\n",
        Kind.FEEDBACK: "**Product**\n\n**What they said**\n\n**What it costs them**\n",
        Kind.ESCALATION: "**What is wrong**\n\n**What was checked**\n\n**Who should look**\n",
        Kind.HANDOFF: "**Why Sales**\n\n**What they want**\n\n**Whom to talk to**\n\n**What was promised**\n",
    }

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="notes", db_index=False)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.NOTE)
    text = models.TextField(validators=[MaxLengthValidator(20_000)])
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
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
    product = models.TextField(
        blank=True, validators=[MaxLengthValidator(80)], help_text="What product feedback is about."
    )
    pinned_at = models.DateTimeField(null=True, blank=True, help_text="Pinned notes stand above the rest.")
    edited_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = NoteQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="note_of_account"),
            models.Index(
                fields=["account", "-pinned_at"], name="note_pinned", condition=Q(pinned_at__isnull=False)
            ),
            models.Index(fields=["-created_at", "-id"], name="note_feedback", condition=Q(kind="feedback")),
        ]

    def __str__(self) -> str:
        return self.text[:60]

    def edit(self, text: str, *, by: User, now: datetime, seen: datetime | None) -> bool:
        """Write it anew; ``seen`` is the ``edited_at`` the writer started from.

        False, and nothing changed, when it has been edited since, or is somebody else's.
        """
        with transaction.atomic():
            self.account.lock()
            mine = Note.objects.filter(pk=self.pk, author=by, edited_at=seen)
            changed = mine.update(text=text, edited_at=now)
            if changed:
                self.text = text
                self.mention(by=by, now=now)
        self.refresh_from_db(fields=["text", "edited_at"])
        return bool(changed)

    def pin(self, on: bool, *, now: datetime) -> None:
        """Have it stand above the rest, or no more."""
        with transaction.atomic():
            self.account.lock()
            self.pinned_at = now if on else None
            self.save(update_fields=["pinned_at"])
            self.account.touch()

    def mention(self, *, by: User | None, now: datetime) -> None:
        """Tell the colleagues whom the text names, each once; whom it names no more is not told of it any more."""
        people = mentioned(self.text)
        self.mentions.exclude(user__in=people).delete()
        Notice.objects.tell(
            (Notice(user_id=pk, account_id=self.account_id, note=self, by=by, at=now) for pk in people),
            anew=False,
        )
