"""Asking the pipeline: whether an account may move somewhere, why not, and where to it most likely goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.db.models import Q

from apps.crm.pipeline import MOVES, OUTSIDE, STAGES, Facts, Stage


def _spoken(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


@lru_cache(maxsize=512)
def _no_such_move(source: Stage, target: Stage) -> str:
    """Why no move leads from one stage to another, in a sentence."""
    if target == OUTSIDE:
        return "An account leaves the pipeline by a closing stage, not by being taken out of it."
    if (source, target) == (Stage.NEW, Stage.AWAITING_FINAL_OUTREACH):
        return "Not from 1: an account nobody has written to has nothing to follow up."
    if source == target:
        return f"It is in “{target.label}” already."
    ways = [stage.number for stage in Stage if (stage, target) in MOVES]
    place = "outside the pipeline" if source == OUTSIDE else source.number
    return f"“{target.label}” is reached from {_spoken(ways)}, not from {place}."


def refusal(account: Facts, target: Stage, *, automatic: bool = False) -> str:
    """Why this account may not move to ``target`` now; empty when it may.

    ``automatic`` asks on behalf of a playbook or an inbound event instead of a person.
    """
    source = Stage(account.stage)
    found = MOVES.get((source, target))
    if found is None:
        return _no_such_move(source, target)
    if automatic and not found.automatic:
        return f"Only a person moves an account from {source.number} to {target.number}."
    for guard in found.guards:
        if not guard(account):
            engaged: datetime | None = account.engaged_at
            return guard.refusal.format(engaged_on=engaged.date().isoformat() if engaged else "")
    return ""


def rule_of(account: Facts, target: Stage) -> str:
    """What ``refusal`` says to a person, in the words that hold for every account like this one."""
    found = MOVES.get((Stage(account.stage), target))
    broken = next((guard for guard in found.guards if not guard(account)), None) if found else None
    return broken.rule if broken else refusal(account, target)


def permitted(target: Stage, *, automatic: bool = False) -> Q:
    """The accounts that may move to ``target`` now, as a condition of a query: ``refusal`` for a whole set."""
    allowed = Q(pk__in=[])
    for (source, to), found in MOVES.items():
        if to != target or (automatic and not found.automatic):
            continue
        here = Q(stage=source)
        for guard in found.guards:
            here &= guard.where
        allowed |= here
    return allowed


@dataclass(frozen=True)
class Option:
    """A stage an account could be moved to, with the answer it would get today."""

    to: Stage
    label: str
    refusal: str
    needs: str

    @property
    def permitted(self) -> bool:
        return not self.refusal


def options(account: Facts) -> list[Option]:
    """Every other stage, in the board's order, with whether a person may move the account there and if not why."""
    source = Stage(account.stage)
    return [
        Option(
            to=stage,
            label=MOVES[source, stage].label if (source, stage) in MOVES else stage.label,
            refusal=refusal(account, stage),
            needs=MOVES[source, stage].needs if (source, stage) in MOVES else "",
        )
        for stage in STAGES
        if stage != source
    ]


# Where an account leaves the ordinary way: never what one most likely came to do.
_WAYS_OUT = (Stage.SALES_HANDOFF, Stage.CHURNED, Stage.PAID_CALL)


def likeliest_first(account: Facts) -> list[Option]:
    """The options in the order a specialist looks for them: the next step, then back, the ways out, and the refused."""
    here = STAGES.index(Stage(account.stage)) if account.stage else -1
    return sorted(
        options(account),
        key=lambda option: (
            not option.permitted,
            option.to in _WAYS_OUT,
            STAGES.index(option.to) < here,
            STAGES.index(option.to),
        ),
    )
