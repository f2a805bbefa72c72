"""Who is on an account just now, and until when it is left alone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.crm.models.user import User
from apps.crm.policy import Numbers


class Attended(models.Model):
    """A claim that ends by itself, and a day to which the account is put off."""

    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        editable=False,
    )
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False)
    snoozed_until = models.DateField(
        null=True, blank=True, help_text="Out of the day’s work until then, or until they answer."
    )

    pk: Any

    class Meta:
        abstract = True

    def holder(self, numbers: Numbers) -> int | None:
        """The id of whoever is on it; a claim ends by itself."""
        if self.claimed_at is None or self.claimed_at <= _since(numbers):
            return None
        return self.claimed_by_id

    def claim(self, *, by: User, numbers: Numbers, over: int | None = None) -> bool:
        """Say that somebody is on it, in place of ``over``, the id of whoever they saw on it.

        False when somebody else is. To claim one's own again makes it last longer.
        """
        free = (
            Q(claimed_by=None) | Q(claimed_at__lte=_since(numbers)) | Q(claimed_by__in=(by.pk, over or by.pk))
        )
        mine = type(self)._base_manager.filter(free, pk=self.pk)
        taken = mine.update(claimed_by=by, claimed_at=numbers.now)
        self.refresh_from_db(fields=["claimed_by", "claimed_at"])
        return bool(taken)

    def let_go(self, *, by: User) -> bool:
        """Be on it no more; False when it was not theirs."""
        mine = type(self)._base_manager.filter(pk=self.pk, claimed_by=by)
        gone = mine.update(claimed_by=None, claimed_at=None)
        self.refresh_from_db(fields=["claimed_by", "claimed_at"])
        return bool(gone)

    def snooze(self, until: date | None, *, seen: date | None) -> bool:
        """Put it off to a day, or with None have it back; False when it is not put off to ``seen`` any more."""
        changed = type(self)._base_manager.filter(pk=self.pk, snoozed_until=seen).update(snoozed_until=until)
        self.refresh_from_db(fields=["snoozed_until"])
        return bool(changed)


class AttendedQuerySet(models.QuerySet[Any]):
    """Accounts, as far as they are put off."""

    def awake(self, today: date) -> Self:
        """Accounts that nobody put off to a day after ``today``."""
        return self.filter(Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=today))

    def snoozed(self, today: date) -> Self:
        """Accounts that somebody put off to a day after ``today``."""
        return self.filter(snoozed_until__gt=today)


def _since(numbers: Numbers) -> datetime:
    """Claims made before this have ended."""
    return numbers.now - timedelta(minutes=numbers.claim_minutes)
