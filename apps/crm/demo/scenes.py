"""The situations demo accounts are in today, as a table, and how many of each there are."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from apps.crm.pipeline import OPEN, Stage

S = Stage
WRITTEN = (S.NEW, S.INITIATED)
REPLIED = (*WRITTEN, S.ENGAGED_EMAIL)
BOOKED = (*REPLIED, S.CALL_BOOKED)
BOOKED_AT_ONCE = (*WRITTEN, S.CALL_BOOKED)
MET = (*BOOKED_AT_ONCE, S.INTRO_CALL_COMPLETED)
MET_TWICE = (*BOOKED, S.INTRO_CALL_COMPLETED, S.SECOND_CALL_COMPLETED)
SILENT = (*WRITTEN, S.AWAITING_FINAL_OUTREACH)
WRAPPED_UP = (*MET, S.AWAITING_FINAL_OUTREACH)


@dataclass(frozen=True)
class Scene:
    """One situation: the stages an account went through, and what is near.

    ``stands`` is the days since the last move, ``renews`` the days to the next bill, ``call_in`` the days to a
    booked call, each as (at least, at most). An account that went through stage 5 renews when its move there
    says.
    """

    share: int
    path: tuple[Stage, ...]
    stands: tuple[int, int] = (1, 10)
    renews: tuple[int, int] = (12, 28)
    call_in: tuple[int, int] | None = None
    missed: bool = False
    quarantined: bool = False
    extended: bool = False

    @property
    def stage(self) -> Stage:
        return self.path[-1] if self.path else Stage.OUTSIDE

    @property
    def is_open(self) -> bool:
        return self.stage in OPEN


LIVE = (
    # Entered these days, in good time.
    Scene(11, (S.NEW,), stands=(0, 2), renews=(18, 29)),
    Scene(7, (S.NEW,), stands=(3, 6), renews=(16, 27)),
    # Write now: the renewal is near, or the first week is over today.
    Scene(9, (S.NEW,), stands=(1, 5), renews=(11, 14)),
    Scene(2, (S.NEW,), stands=(7, 7), renews=(15, 24)),
    # Nobody has written in time.
    Scene(4, (S.NEW,), stands=(9, 16), renews=(12, 25), missed=True),
    Scene(4, (S.NEW,), stands=(3, 6), renews=(3, 9), missed=True),
    Scene(2, (*SILENT, S.ONBOARDED_NO_ENGAGEMENT, S.NEW), stands=(1, 4), renews=(17, 25)),
    Scene(1, (*WRITTEN, S.SALES_HANDOFF, S.NEW), stands=(2, 5), renews=(15, 25)),
    Scene(23, WRITTEN, stands=(1, 13), renews=(11, 28)),
    # Due for their final outreach: the next run of the playbook takes them.
    Scene(2, WRITTEN, stands=(14, 20), renews=(9, 10)),
    Scene(2, REPLIED, stands=(3, 8), renews=(6, 10), extended=True),
    Scene(14, REPLIED),
    Scene(4, BOOKED, stands=(1, 6), call_in=(1, 1)),
    Scene(3, BOOKED_AT_ONCE, stands=(1, 3), call_in=(2, 4)),
    Scene(6, BOOKED, stands=(1, 6), call_in=(2, 7)),
    # The call comes before the renewal, so the final outreach waits for it.
    Scene(1, BOOKED, stands=(2, 5), renews=(7, 9), call_in=(1, 4)),
    Scene(1, BOOKED, stands=(6, 9), call_in=(-2, -1)),
    Scene(13, MET, stands=(1, 15)),
    Scene(8, MET_TWICE, stands=(1, 14)),
    Scene(4, (*MET_TWICE, S.HOMEWORK_OFFERED), stands=(1, 12)),
    Scene(6, SILENT, stands=(1, 8)),
    Scene(8, WRAPPED_UP, stands=(1, 8)),
    Scene(2, (S.PAID_CALL,), stands=(1, 6), call_in=(1, 6)),
    Scene(2, (S.PAID_CALL,), stands=(2, 20)),
    Scene(1, (*REPLIED, S.PAID_CALL), stands=(1, 4), call_in=(2, 5)),
    # Closed, the latest of them this month.
    Scene(12, (*SILENT, S.ONBOARDED_NO_ENGAGEMENT), stands=(1, 80)),
    Scene(18, (*WRAPPED_UP, S.ONBOARDED_ENGAGED), stands=(1, 90)),
    Scene(7, (*MET_TWICE, S.AWAITING_FINAL_OUTREACH, S.ONBOARDED_ENGAGED), stands=(1, 60)),
    Scene(3, (*REPLIED, S.AWAITING_FINAL_OUTREACH, S.ONBOARDED_ENGAGED), stands=(1, 60)),
    Scene(5, (*MET, S.SALES_HANDOFF), stands=(1, 60)),
    Scene(2, (S.NEW, S.SALES_HANDOFF), stands=(1, 30)),
    Scene(5, (*SILENT, S.CHURNED), stands=(2, 70)),
    Scene(2, (*WRAPPED_UP, S.CHURNED), stands=(2, 70)),
    Scene(12, ()),
    Scene(1, (), quarantined=True),
)
# What a team of many years has behind it: never theirs, or closed long ago and loaded here from a file.
PAST = (
    Scene(60, ()),
    Scene(12, (S.ONBOARDED_NO_ENGAGEMENT,), stands=(90, 1400)),
    Scene(18, (S.ONBOARDED_ENGAGED,), stands=(90, 1400)),
    Scene(4, (S.SALES_HANDOFF,), stands=(90, 1400)),
    Scene(6, (S.CHURNED,), stands=(90, 1400)),
)
LIVE_ACCOUNTS = 400
LIVE_AFTER_THAT = 0.04

# Days between a move and the one before it, by the stage it leads to.
GAPS: dict[Stage, tuple[int, int]] = {
    S.INITIATED: (1, 6),
    S.ENGAGED_EMAIL: (1, 5),
    S.CALL_BOOKED: (1, 3),
    S.INTRO_CALL_COMPLETED: (2, 6),
    S.SECOND_CALL_COMPLETED: (8, 15),
    S.HOMEWORK_OFFERED: (1, 3),
    S.AWAITING_FINAL_OUTREACH: (3, 12),
    S.ONBOARDED_NO_ENGAGEMENT: (1, 3),
    S.ONBOARDED_ENGAGED: (1, 3),
    S.SALES_HANDOFF: (2, 9),
    S.CHURNED: (2, 20),
    S.PAID_CALL: (2, 9),
    S.NEW: (20, 50),
}


def deck(scenes: tuple[Scene, ...], chance: Random) -> list[Scene]:
    """Every scene as often as its share says, shuffled."""
    cards = [scene for scene in scenes for _ in range(scene.share)]
    chance.shuffle(cards)
    return cards
