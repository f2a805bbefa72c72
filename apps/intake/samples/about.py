"""Whom a sample event speaks of, by what each system knows them by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

from apps.crm.models import Account, User


class Unsendable(Exception):
    """No sample can be made, for the reason in its words."""


@dataclass(frozen=True)
class About:
    """Whom a sample speaks of, by what each system knows them by."""

    key: str
    name: str
    email: str
    customer: str
    sender: str
    now: datetime

    @classmethod
    def account(cls, account: Account, *, now: datetime) -> About:
        """An account of ours, by a contact's address, or by one in its domain."""
        contact = account.contacts.order_by("pk").first()
        if contact is None and not account.domain:
            raise Unsendable(f"{account.name} has neither a contact nor a domain to be found by.")
        return cls(
            key=account.external_id,
            name=account.name,
            email=contact.email if contact else f"ann@{account.domain}",
            customer=account.stripe_customer_id or f"cus_sample_{account.pk}",
            sender=_specialist(),
            now=now,
        )

    @classmethod
    def stranger(cls, *, now: datetime) -> About:
        """Somebody whom nobody knows: what is said of them waits on the events page."""
        return cls(
            "sample-stranger",
            "Sample Stranger",
            "ann@stranger.demo.example",
            "cus_sample_stranger",
            _specialist(),
            now,
        )

    @property
    def number(self) -> int:
        """A number of its own, for systems that count."""
        return 4_000_000_000 + crc32(self.key.encode())

    @property
    def call(self) -> str:
        return f"sample-call-{self.key}"

    @property
    def order(self) -> str:
        return f"sample-order-{self.key}"

    def at(self, **ago: float) -> str:
        return (self.now + timedelta(**ago)).isoformat()


def _specialist() -> str:
    """Whose mail counts as an outreach."""
    found = User.objects.sender_group().exclude(email="").order_by("pk").first()
    return found.email if found else "specialist@onramp.example"
