"""The doors other systems knock at. Each verifies what is signed, says which event it is, and reads its facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings

from apps.intake.doors import calendly, ingest, mail, shopify, stripe
from apps.intake.doors.mailers import MAILERS
from apps.intake.doors.reading import read_body
from apps.intake.facts import Fact


@dataclass(frozen=True)
class Door:
    """``setting`` names its secrets; ``types`` are the events something follows from; ``parse`` opens a body."""

    name: str
    setting: str
    verify: Callable[[Mapping[str, str], bytes, Sequence[str], datetime], bool]
    identify: Callable[[Mapping[str, str], Any], tuple[str, str]]
    read: Callable[[str, Any, datetime], list[Fact]]
    types: tuple[str, ...]
    parse: Callable[[bytes], Any] = read_body

    @property
    def secrets(self) -> Sequence[str]:
        """Its secrets; none means it is closed."""
        found: Sequence[str] = getattr(settings, self.setting)
        return found


DOORS = {
    door.name: door
    for door in (
        Door("stripe", "STRIPE_WEBHOOK_SECRETS", stripe.verify, stripe.identify, stripe.read, stripe.TYPES),
        Door(
            "calendly",
            "CALENDLY_SIGNING_KEYS",
            calendly.verify,
            calendly.identify,
            calendly.read,
            calendly.TYPES,
        ),
        Door(
            "shopify",
            "SHOPIFY_WEBHOOK_SECRETS",
            shopify.verify,
            shopify.identify,
            shopify.read,
            shopify.TYPES,
        ),
        Door("ingest", "INGEST_WEBHOOK_SECRETS", ingest.verify, ingest.identify, ingest.read, ingest.TYPES),
        *(
            Door(
                f"mail/{name}",
                "MAIL_WEBHOOK_SECRETS",
                mail.VERIFY[name],
                partial(mail.identify, name),
                partial(mail.read, name),
                mail.TYPES,
                mail.parse,
            )
            for name in MAILERS
        ),
    )
}
