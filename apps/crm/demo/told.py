"""What a demo account and other systems told: purchases, missed calls, signs of leaving, answers to the survey."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from apps.crm.demo import words
from apps.crm.demo.scenes import Scene
from apps.crm.models import (
    Account,
    AuditPoint,
    Call,
    Contact,
    Credit,
    Purchase,
    Signal,
    StageTransition,
    Survey,
    User,
)
from apps.crm.models.audit import POINTS
from apps.crm.pipeline import ONBOARDED, Stage

PRICE = Decimal(300)
# What was found in an audit, one after the other: how each point stands, and what it saves.
FOUND = ((AuditPoint.State.DONE, 120), (AuditPoint.State.NOT_RELEVANT, None), (AuditPoint.State.OPEN, 45))


@dataclass(frozen=True)
class Told:
    """What is told of one account; ``move`` is what brought it to its stage, ``now`` when the day began."""

    account: Account
    scene: Scene
    chance: Random
    contact: Contact
    move: StageTransition
    now: datetime

    @property
    def moved_at(self) -> datetime:
        return self.move.at

    def rows(self) -> Iterator[Purchase | Call | Signal | Survey]:
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
        elif self.scene.stage in ONBOARDED and self.now - self.moved_at > timedelta(days=3):
            yield self._survey()

    def looked_at(self, by: User) -> Iterator[AuditPoint | Credit]:
        """The audit of an account near its end, and what was given back for what it found."""
        if self.scene.stage not in (Stage.AWAITING_FINAL_OUTREACH, *ONBOARDED):
            return
        for what, (state, saving) in zip(POINTS, FOUND, strict=False):
            yield AuditPoint(
                account=self.account, what=what, state=state, saving=saving, by=by, at=self.moved_at
            )
        if self.moved_at.day % 3 == 0:
            yield Credit(
                account=self.account,
                kind=Credit.Kind.MISCONFIGURATION,
                amount=Decimal(60),
                on=self.moved_at.date(),
                why="Events were sent twice.",
                by=by,
                at=self.moved_at,
            )

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

    def _survey(self) -> Survey:
        """Asked the day after the closing; many answer within two days, most of them content."""
        asked_at = self.moved_at + timedelta(days=1)
        asked = Survey(account=self.account, closing=self.move, contact=self.contact, asked_at=asked_at)
        if self.chance.random() < 0.6:
            asked.score = self.chance.choice((2, 5, 7, 8, 8, 9, 9, 9, 10, 10))
            asked.word = self.chance.choice(words.THANKS if asked.score > 6 else words.COMPLAINTS)
            asked.answered_at = asked_at + timedelta(hours=self.chance.randint(1, 40))
            asked.changed_at, asked.answers = asked.answered_at, 1
        return asked
