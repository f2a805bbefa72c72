from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models, transaction
from django.db.models.functions import Lower


class LabelQuerySet(models.QuerySet["Label"]):
    def with_uses(self) -> Any:
        """Labels by name, with how many accounts wear each, as ``uses``."""
        return self.annotate(uses=models.Count("accountlabel")).order_by(Lower("name"))


class Label(models.Model):
    """A word the team puts on accounts to find them again."""

    name = models.CharField(max_length=80)

    objects: ClassVar[Any] = LabelQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="label_once_in_any_case")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def called(cls, name: str) -> Label:
        """The label of a name, in the spelling the team has used before; made where there is none."""
        return cls.objects.filter(name__iexact=name).first() or cls.objects.create(name=name)

    def remove(self, *, now: datetime) -> int:
        """Take it off every account and out of the team's list; returns off how many."""
        with transaction.atomic():
            worn: int = self.accounts.update(changed_at=now)
            self.delete()
        return worn

    def merge(self, into: Label, *, now: datetime) -> int:
        """Have its accounts wear another label instead; returns how many wore it."""
        with transaction.atomic():
            worn: int = self.accounts.update(changed_at=now)
            both = AccountLabel.objects.filter(label=into).values("account")
            AccountLabel.objects.filter(label=self).exclude(account__in=both).update(label=into)
            self.delete()
        return worn


class AccountLabel(models.Model):
    """A label on an account."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, db_index=False)
    label = models.ForeignKey(Label, models.DB_CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "label"], name="account_label_once"),
        ]

    def __str__(self) -> str:
        return f"{self.label} on {self.account}"
