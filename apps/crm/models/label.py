from django.db import models
from django.db.models.functions import Lower


class Label(models.Model):
    """A word the team puts on accounts to find them again."""

    name = models.CharField(max_length=80)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="label_once_in_any_case")]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def called(cls, name: str) -> "Label":
        """The label of a name, in the spelling the team has used before; made where there is none."""
        return cls.objects.filter(name__iexact=name).first() or cls.objects.create(name=name)


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
