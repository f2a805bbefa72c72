"""Who and what demo accounts are about, and what each is called."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from apps.crm.demo import words
from apps.crm.models import Label, User
from apps.crm.policy import Numbers


@dataclass(frozen=True)
class Cast:
    """Who and what demo accounts are about: the team, its labels, the policy of the day."""

    specialists: list[User]
    lead: User
    labels: list[Label]
    legacy_labels: dict[str, Label]
    numbers: Numbers

    @property
    def today(self) -> date:
        return self.numbers.today


def external_id(seed: int, index: int) -> str:
    """The id an account has whenever it is made."""
    return f"demo-{seed}-{index:07}"


def name_of(index: int) -> str:
    """A company's name; no two of the first many thousands are alike."""
    firsts, seconds = words.FIRST_WORDS, words.SECOND_WORDS
    # A step that shares no factor with the number of pairs visits each of them before any comes again.
    pairs = len(firsts) * len(seconds)
    pair, again = index * 1009 % pairs, index // pairs
    name = f"{firsts[pair % len(firsts)]} {seconds[pair // len(firsts)]}"
    return f"{name} {words.PLACES[(again - 1) % len(words.PLACES)]}" if again else name


def money(amount: float) -> Decimal:
    """An amount to the cent."""
    return Decimal(round(amount * 100)) / 100
