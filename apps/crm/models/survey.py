from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.core import signing
from django.core.validators import MaxLengthValidator
from django.db import models, transaction
from django.db.models import F, Q

from apps.crm.policy import Numbers

_SIGNER = signing.Signer(salt="survey")

LOWEST, HIGHEST = 0, 10
LONGEST_WORD = 2000
CHANGEABLE = timedelta(days=7)
# Whoever has the link could otherwise change it every minute, and each low answer raises an alert.
MOST_ANSWERS = 20


class SurveyQuerySet(models.QuerySet["Survey"]):
    def of_token(self, token: str) -> Survey | None:
        """The survey that a link was made for; None for a link that we did not make, or whose survey is gone."""
        try:
            reference = _SIGNER.unsign(token)
        except signing.BadSignature:
            return None
        return self.select_related("account").filter(reference=reference).first()


class Survey(models.Model):
    """A customer was asked how their onboarding was, once a closing; what they said, when they did."""

    reference = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    # The index below begins with it.
    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="surveys", db_index=False)
    closing = models.OneToOneField("crm.StageTransition", models.DB_CASCADE, related_name="survey")
    contact = models.ForeignKey(
        "crm.Contact", models.DB_SET_NULL, null=True, blank=True, related_name="+", help_text="Who was asked."
    )
    asked_at = models.DateTimeField()
    score = models.PositiveSmallIntegerField(null=True, blank=True)
    word = models.TextField(blank=True, validators=[MaxLengthValidator(LONGEST_WORD)])
    answered_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the answer became what it is; at first when it was given."
    )
    answers = models.PositiveSmallIntegerField(default=0, help_text="How often it was answered or changed.")

    objects: ClassVar[Any] = SurveyQuerySet.as_manager()

    class Meta:
        ordering = ["-asked_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(score=None) | Q(score__range=(LOWEST, HIGHEST)), name="survey_score_on_the_scale"
            ),
            models.CheckConstraint(
                condition=Q(score=None, word="", answered_at=None, changed_at=None, answers=0)
                | Q(
                    score__isnull=False,
                    answered_at__isnull=False,
                    changed_at__isnull=False,
                    answers__range=(1, MOST_ANSWERS),
                ),
                name="survey_answered_or_not",
            ),
            models.CheckConstraint(
                condition=Q(changed_at=None)
                | Q(
                    changed_at__gte=F("answered_at"),
                    changed_at__lt=F("answered_at") + CHANGEABLE,
                ),
                name="survey_changed_in_time",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-asked_at"], name="survey_of_account"),
            models.Index(fields=["changed_at"], name="survey_answered", condition=Q(score__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"Asked on {self.asked_at:%Y-%m-%d}" if self.score is None else f"{self.score} of {HIGHEST}"

    @property
    def token(self) -> str:
        """What the link in the mail ends with: whoever has it may answer."""
        return _SIGNER.sign(str(self.reference))

    def ends_at(self, numbers: Numbers) -> datetime:
        """Until when it can be answered, or what was answered be changed."""
        if self.answered_at:
            return self.answered_at + CHANGEABLE
        return self.asked_at + timedelta(days=numbers.survey_open_days)

    def is_open(self, numbers: Numbers) -> bool:
        return self.answers < MOST_ANSWERS and numbers.now < self.ends_at(numbers)

    def answer(self, score: int, word: str, *, numbers: Numbers) -> bool:
        """Keep an answer, or change it to this one; False, and nothing is changed, where it is too late."""
        with transaction.atomic():
            self.account.lock()
            self.refresh_from_db(fields=["score", "word", "answered_at", "changed_at", "answers"])
            if not self.is_open(numbers):
                return False
            if (score, word) != (self.score, self.word):
                self.score, self.word, self.changed_at = score, word, numbers.now
                self.answered_at = self.answered_at or numbers.now
                self.answers += 1
                self.save(update_fields=["score", "word", "answered_at", "changed_at", "answers"])
        return True
