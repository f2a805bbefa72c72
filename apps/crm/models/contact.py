from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, Value, When
from django.db.models.functions import Coalesce, Greatest, Lower


class ContactQuerySet(models.QuerySet["Contact"]):
    def ranked(self) -> ContactQuerySet:
        """Whoever decides comes first, whoever must not be written to last."""
        rank = Case(
            When(do_not_contact=True, then=Value(3)),
            When(role__iregex="owner|founder", then=Value(0)),
            When(role__icontains="admin", then=Value(1)),
            default=Value(2),
        )
        return self.order_by(rank, "pk")

    def mailable(self) -> ContactQuerySet:
        """Whom automatic mail may reach: nowhere did they say no, nor did mail to them come back."""
        never = Q(do_not_contact=True) | Q(bounced_at__isnull=False) | Q(unsubscribed_at__isnull=False)
        return self.filter(~Exists(Contact.objects.filter(never, email=OuterRef("email"))))

    def judged(self) -> ContactQuerySet:
        """With ``blocked``, they are not to be contacted, and ``came_back``, mail to them did: at whatever account."""
        same = Contact.objects.filter(email=OuterRef("email"))
        return self.annotate(
            blocked=Exists(same.filter(do_not_contact=True)),
            came_back=Exists(same.filter(bounced_at__isnull=False)),
        )

    def bounce(self, email: str, *, now: datetime) -> None:
        """Keep that mail to a person came back for good, at whatever account they are; it never goes back in time."""
        known = Greatest(Coalesce("bounced_at", Value(now)), Value(now))
        self.filter(email=email).update(bounced_at=known)

    def unsubscribe(self, email: str, *, now: datetime) -> None:
        """Keep automatic mail from a person, at whatever account they are."""
        self.filter(email=email, unsubscribed_at__isnull=True).update(unsubscribed_at=now)


class Contact(models.Model):
    """A person at the customer. One person may belong to several accounts."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="contacts", db_index=False)
    email = models.EmailField(max_length=254)
    name = models.TextField(blank=True, validators=[MaxLengthValidator(200)])
    role = models.TextField(blank=True, validators=[MaxLengthValidator(100)])
    do_not_contact = models.BooleanField(default=False)
    bounced_at = models.DateTimeField(
        null=True, blank=True, help_text="When mail to them last came back for good."
    )
    unsubscribed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = ContactQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["account", "email"], name="contact_once_an_account"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="contact_email_lower_case"),
        ]
        indexes = [models.Index(fields=["email"], name="contact_by_email")]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email
