"""Links out of an account's page: a label and an address with the account's facts in it."""

from __future__ import annotations

import re
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.db import models

# What may stand in braces in an address, and what it is called.
FIELDS = {
    "external_id": "the account’s id in the product",
    "stripe_customer_id": "the customer at Stripe",
    "domain": "the account’s domain",
    "name": "the account’s name",
    "sales_contact_email": "the AE’s, CSM’s or AM’s address",
}
# What most teams want, as far as its address is the same for everybody.
USUAL = {
    "Stripe": "https://dashboard.stripe.com/customers/{stripe_customer_id}",
    "Website": "https://{domain}/",
    "Docs": "https://posthog.com/docs",
    "Refund policy": "https://posthog.com/handbook/growth/sales/refunds",
    "Health check": "https://posthog.com/handbook/cs-and-onboarding/health-tracking",
    "Business types": "https://posthog.com/handbook/growth/sales/utilization-by-business-type",
}
REFUND_POLICY = "Refund policy"

_FIELD = re.compile(r"\{([^{}]*)\}")


class Link(NamedTuple):
    label: str
    url: str


def validate_template(url: str) -> None:
    """Refuse an address that is none of the web, or that asks for a fact there is not."""
    bare = _FIELD.sub("x", url)
    if not url.startswith("https://") or re.search(r"[\s{}\\]", bare) or not _host(bare):
        raise ValidationError("An address begins with https:// and holds no space.")
    for field in _FIELD.findall(url):
        if field not in FIELDS:
            raise ValidationError(
                f"There is no field “{field[:40]}”; the known ones are {', '.join(FIELDS)}."
            )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class OutLinkQuerySet(models.QuerySet["OutLink"]):
    def of(self, account: Any) -> list[Link]:
        """The links of an account; one that needs a fact nobody told is left out. One query."""
        filled = ((link.label, link.fill(account)) for link in self)
        return [Link(label, url) for label, url in filled if url]

    def add_usual(self) -> int:
        """Add what most teams want, where its label is not taken; returns how many were added."""
        taken = set(self.values_list("label", flat=True))
        missing = [self.model(label=label, url=url) for label, url in USUAL.items() if label not in taken]
        return len(self.bulk_create(missing, ignore_conflicts=True))


class OutLink(models.Model):
    """A link that every account's page shows, filled in from its facts."""

    label = models.TextField(validators=[MaxLengthValidator(60)], unique=True)
    url = models.TextField("address", validators=[MaxLengthValidator(1000), validate_template])

    objects: ClassVar[Any] = OutLinkQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        verbose_name = "link out"
        verbose_name_plural = "links out"

    def __str__(self) -> str:
        return self.label

    @property
    def mark(self) -> str:
        """What stands for how it is now."""
        return f"{self.url} {self.label}"

    def fill(self, account: Any) -> str:
        """The address for an account, each fact made safe to stand in it; empty where one is not known."""
        facts = {name: str(getattr(account, name) or "") for name in _FIELD.findall(self.url)}
        if not all(facts.values()):
            return ""
        return _FIELD.sub(lambda field: quote(facts[field[1]], safe=""), self.url)
