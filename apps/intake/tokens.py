"""Who may call the API, and what was answered to a POST that may be sent again."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import connection, models

from apps.crm.models import User

KEPT = timedelta(hours=24)
SEEN_AGAIN_AFTER = timedelta(minutes=1)


def digest(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal. A token has 256 random bits, so it needs no slower hash."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def issue(self, user: User, *, now: datetime, name: str = "", read_only: bool = False) -> str:
        """Make a token for a user and return it; only its hash is kept, so this is the one time it is seen."""
        secret = f"onramp_{secrets.token_urlsafe(32)}"
        self.create(user=user, name=name, hash=digest(secret), read_only=read_only, created_at=now)
        return secret

    def find(self, secret: str) -> ApiToken | None:
        """The token of an active user that was not revoked, or None."""
        valid = self.select_related("user").filter(revoked_at__isnull=True, user__is_active=True)
        return valid.filter(hash=digest(secret)).first()

    def revoke(self, *, now: datetime) -> int:
        """Take these tokens back for good; returns how many still held."""
        return self.filter(revoked_at__isnull=True).update(revoked_at=now)


class ApiToken(models.Model):
    """A key to the API. It may do what its user may, or only read."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="tokens")
    name = models.TextField(blank=True, validators=[MaxLengthValidator(100)], help_text="What it is for.")
    hash = models.CharField(max_length=64, unique=True, editable=False)
    read_only = models.BooleanField(default=False)
    created_at = models.DateTimeField(editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[Any] = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name or 'Token'} of {self.user}"

    def seen(self, *, now: datetime) -> None:
        """Note that it was used, to the minute."""
        if self.last_used_at is None or now - self.last_used_at >= SEEN_AGAIN_AFTER:
            ApiToken.objects.filter(pk=self.pk).update(last_used_at=now)


class IdempotentAnswerQuerySet(models.QuerySet["IdempotentAnswer"]):
    def lock(self, token: ApiToken, key: str) -> bool:
        """Take a key for the rest of the transaction; False while another request is at work under it.

        The lock goes with its connection, so that a killed process leaves no key taken.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"idempotency {token.pk} {key}"]
            )
            return bool(cursor.fetchone()[0])

    def sweep(self, *, now: datetime) -> None:
        """Forget some answers that were kept long enough; each new answer calls it, so none pile up."""
        old = self.filter(created_at__lte=now - KEPT).select_for_update(skip_locked=True).values("pk")
        self.filter(pk__in=old[:100]).delete()


class IdempotentAnswer(models.Model):
    """What was answered to a POST with an Idempotency-Key, written together with what the POST did."""

    token = models.ForeignKey(ApiToken, models.DB_CASCADE, related_name="answers")
    key = models.CharField(max_length=200)
    asked = models.CharField(max_length=64, help_text="The SHA-256 of the address and the body.")
    status = models.PositiveSmallIntegerField()
    answer = models.TextField()
    created_at = models.DateTimeField()

    objects: ClassVar[Any] = IdempotentAnswerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="answer_once_a_key")]
        indexes = [models.Index(fields=["created_at"], name="answer_by_time")]

    def __str__(self) -> str:
        return f"{self.status} to {self.key}"
