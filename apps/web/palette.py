"""What the palette can do besides finding accounts: a table of commands, made of the pages and settings there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from apps.crm.models import User
from apps.crm.policy import NUMBERS
from apps.playbooks.registry import PLAYBOOKS
from apps.web.environment import MORE, PAGES, address
from apps.web.keys import KEYS
from apps.web.sections import SECTIONS
from apps.web.views.daily import PILES
from apps.web.views.writing import FORMS

SHOWN = 8


class Command(NamedTuple):
    """Something to do: its words, others it is found by, the right it needs, and its address or its form.

    One with a ``form`` is about the account at hand; ``rare`` ones are shown only when their words are typed.
    """

    label: str
    also: str = ""
    right: str = "read"
    address: str = ""
    form: str = ""
    keys: str = ""
    rare: bool = False


_KEYS = {key.goes: key.keys for keys in KEYS.values() for key in keys if key.goes}
_OF_AN_ACCOUNT = {
    "move": ("Move it", "stage", "m"),
    "note": ("Write a note", "comment", "o"),
    "task": ("Add a task", "to do remind", "t"),
    "snooze": ("Snooze it", "later remind wait", "s"),
    "assign": ("Assign it", "owner", "a"),
    "labels": ("Its labels", "tag", "l"),
    "risk": ("Its payment risk", "revenue", "r"),
}


def _commands() -> Iterator[Command]:
    for form, (label, also, key) in _OF_AN_ACCOUNT.items():
        yield Command(label, also, FORMS[form], form=form, keys=key)
    for page in (*PAGES, *MORE):
        yield Command(
            f"Go to {page.name}", "open page", address=page.address, keys=_KEYS.get(page.address, "")
        )
    for pile in PILES:
        if pile.key != "mine":
            yield Command(pile.label, "daily list pile", address=f"/?{pile.query}")
    yield Command("My accounts", "mine owner list", address="/?owner=me")
    yield Command("My tasks of today", "due to do", address="/tasks/?due=today")
    yield Command("Notices", "mentions bell", address=address("web:notices"))
    yield Command(
        "Import accounts", "csv file upload vitally", "preview import", address=address("web:imports")
    )
    yield Command("Add a colleague", "user invite team", "users", address=address("web:person_new"))
    yield Command("All keys", "shortcuts help", address=address("web:keys"), keys="?")
    for section in SECTIONS:
        yield Command(
            section.label, f"settings {section.says}", address=address(f"web:{section.name}"), rare=True
        )
    for name, number in NUMBERS.items():
        where, plain = address("web:policy_number", name), name.replace("_", " ")
        # What goes on from the number above it says nothing by itself.
        says = plain if number.says.startswith("…") else number.says
        yield Command(f"Policy: {says}", f"settings {plain}", address=where, rare=True)
    for playbook in PLAYBOOKS.values():
        where = address("web:playbook", playbook.name)
        yield Command(f"Playbook {playbook.name}", playbook.says, address=where, rare=True)


def commands(text: str, user: User, *, of_account: bool) -> list[Command]:
    """The commands this person may use whose words all begin with what was typed; the likeliest first.

    ``of_account`` says whether an account is at hand for those that are about one.
    """
    typed = _words(text)[:8]
    found = [
        command
        for command in _commands()
        if (of_account or not command.form)
        and (typed or not command.rare)
        and user.may(command.right)
        and _meant(command, typed)
    ]
    return sorted(found, key=lambda command: not command.label.lower().startswith(text.lower()))[:SHOWN]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _meant(command: Command, typed: list[str]) -> bool:
    words = _words(f"{command.label} {command.also}")
    return all(any(word.startswith(part) for word in words) for part in typed)
