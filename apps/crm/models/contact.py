from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


class Contact(models.Model):
    """A person at the customer. One person may belong to several accounts."""

    account = models.ForeignKey("crm.Account", models.DB_CASCADE, related_name="contacts")
    email = models.EmailField(max_length=254)
    name = models.TextField(blank=True, validators=[MaxLengthValidator(200)])
    role = models.TextField(blank=True, validators=[MaxLengthValidator(100)])
    do_not_contact = models.BooleanField(default=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["account", "email"], name="contact_once_an_account"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="contact_email_lower_case"),
        ]
        indexes = [models.Index(fields=["email"], name="contact_by_email")]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email
