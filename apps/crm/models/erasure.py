from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from apps.crm.models.user import User

# The same hash in SQL, for the people of a whole report: `{}` stands for an address in lower case.
PERSON_HASH = "encode(sha256(convert_to('person ' || {}, 'UTF8')), 'hex')"


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def note(self, kind: str, name: str, *, by: User, now: datetime) -> None:
        """Keep that this was erased."""
        row = self.model(kind=kind, hash=_hash(kind, name), at=now, by=by)
        self.bulk_create([row], ignore_conflicts=True)

    def of_person(self, email: str) -> bool:
        """Whether the person with this address was erased."""
        return self.filter(hash=_hash(Erasure.Kind.PERSON, email.lower())).exists()


class Erasure(models.Model):
    """That somebody asked to be erased, and was. Of who it was a hash is left, so that no report brings them back."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        ACCOUNT = "account", "Account"

    kind = models.CharField(max_length=8, choices=Kind)
    hash = models.CharField(
        max_length=64, unique=True, help_text="The SHA-256 of the kind and the address or external id."
    )
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="+")

    objects: ClassVar[Any] = ErasureQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} erased on {self.at:%Y-%m-%d}"


def _hash(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind} {name}".encode()).hexdigest()
