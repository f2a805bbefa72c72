"""The doors other systems knock at. Each verifies what is signed, says which event it is, and reads its facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from apps.intake.doors import calendly, ingest, shopify, stripe
from apps.intake.facts import Fact


@dataclass(frozen=True)
class Door:
    """``setting`` names its secrets; ``types`` are the events something follows from."""

    name: str
    setting: str
    verify: Callable[[Mapping[str, str], bytes, Sequence[str], datetime], bool]
    identify: Callable[[Mapping[str, str], Mapping[str, Any]], tuple[str, str]]
    read: Callable[[str, Mapping[str, Any], datetime], list[Fact]]
    types: tuple[str, ...]

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
    )
}
