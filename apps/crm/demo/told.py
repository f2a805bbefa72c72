"""What other systems told of a demo account: purchases, calls that were missed, and signs of leaving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from apps.crm.demo.scenes import Scene
from apps.crm.models import Account, Call, Purchase, Signal
from apps.crm.pipeline import Stage

PRICE = Decimal(300)


@dataclass(frozen=True)
class Told:
    """What is told of one account; ``moved_at`` is when it came to its stage, ``now`` when the day began."""

    account: Account
    scene: Scene
    chance: Random
    moved_at: datetime
    now: datetime

    def rows(self) -> Iterator[Purchase | Call | Signal]:
        """Rows to keep, unsaved."""
        if self.scene.stage == Stage.PAID_CALL:
            yield self._purchase()
            if self.scene.call_in is None and self.chance.random() < 0.5:
                yield self._missed_call()
        elif self.scene.stage == Stage.CHURNED:
            yield self._signal(
                Signal.Kind.SUBSCRIPTION_CANCELED, self.moved_at - timedelta(days=1), "Too dear."
            )
        elif self.scene.is_open and len(self.scene.path) > 1 and self.chance.random() < 0.02:
            yield self._signal(Signal.Kind.SUBSCRIPTION_CANCELED, self.now, "Not needed any more.")
        elif self.scene.stage == Stage.SALES_HANDOFF and not self.account.sales_contact_kind:
            yield self._signal(Signal.Kind.SALES_DISQUALIFIED, self.now, "Too small for a contract.")

    def _purchase(self) -> Purchase:
        return Purchase(
            account=self.account,
            external_id=f"{self.account.external_id}-order",
            email=f"billing@{self.account.domain}",
            amount=PRICE,
            bought_at=self.moved_at - timedelta(minutes=2),
        )

    def _missed_call(self) -> Call:
        starts_at = self.moved_at + (self.now - self.moved_at) / 2
        ends_at = starts_at + timedelta(minutes=30)
        return Call(
            account=self.account,
            external_id=f"{self.account.external_id}-missed",
            kind=Call.Kind.CONSULTATION,
            status=Call.Status.NO_SHOW,
            starts_at=starts_at,
            ends_at=ends_at,
            marked_at=ends_at,
        )

    def _signal(self, kind: str, at: datetime, reason: str) -> Signal:
        event = f"{self.account.external_id}-{kind}"
        return Signal(account=self.account, kind=kind, external_id=event, at=at, by="demo", reason=reason)
