"""Made-up accounts with a life behind them, for trying things out. The same seed and day make the same data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import batched
from random import Random

from django.contrib.auth.models import Group
from django.db import connection, reset_queries

from apps.crm.demo import scenes, words
from apps.crm.demo.cast import Cast, external_id
from apps.crm.demo.scenes import Scene
from apps.crm.demo.store import reserve, save
from apps.crm.demo.story import Story
from apps.crm.models import Account, Label, OutLink, User
from apps.crm.policy import Policy

PASSWORD = "demo-onboarding"
# Login: first name, last name, role.
LOGINS = {
    "admin": ("Adele", "Winter", "admin"),
    "lead": ("Luis", "Ferreira", "lead"),
    "specialist": ("Sanna", "Koski", "specialist"),
    "specialist2": ("Theo", "Marchetti", "specialist"),
    "revenue": ("Ruth", "Okonkwo", "revenue"),
    "viewer": ("Vera", "Lindqvist", "viewer"),
}
SLICE = 1_000


def add_logins(*, now: datetime) -> int:
    """Make the demo logins that are not there; returns how many were made. Others stay as they are.

    Each has looked at the list a day ago, so that what came since is new to them.
    """
    there = set(User.objects.filter(username__in=LOGINS).values_list("username", flat=True))
    for login, (first_name, last_name, role) in LOGINS.items():
        if login in there:
            continue
        person = User.objects.create_user(
            login,
            f"{login}@onramp.example",
            PASSWORD,
            first_name=first_name,
            last_name=last_name,
            date_joined=now - timedelta(days=200),
            looked_at=now - timedelta(days=1),
            is_staff=role == "admin",
            is_superuser=role == "admin",
        )
        person.groups.add(Group.objects.get(name=role))
    return len(LOGINS) - len(there)


def add_accounts(number: int, *, seed: int, now: datetime) -> int:
    """Make those of the first ``number`` accounts of a seed that are not there; returns how many were made.

    They are written in slices, each in a transaction of its own: broken off, it goes on where it stopped.
    """
    cast = _cast(now)
    made = 0
    for part in batched(_cards(number, seed), SLICE):
        ids = [external_id(seed, index) for index, *_ in part]
        there = set(Account.objects.filter(external_id__in=ids).values_list("external_id", flat=True))
        missing = [card for card, name in zip(part, ids, strict=True) if name not in there]
        pks = reserve(Account, len(missing))
        stories = [
            Story(index, seed, scene, cast, pk=pk, rich=rich)
            for (index, scene, rich), pk in zip(missing, pks, strict=True)
        ]
        if stories:
            save(stories, cast)
            # Under DEBUG, Django remembers the text of every query.
            reset_queries()
        made += len(stories)
    if made:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return made


def _cards(number: int, seed: int) -> Iterator[tuple[int, Scene, bool]]:
    """Index, scene and whether it is told in full, the same for an index whatever the number."""
    chance = Random(seed)
    live, past = scenes.deck(scenes.LIVE, chance), scenes.deck(scenes.PAST, chance)
    for index in range(number):
        rich = index < scenes.LIVE_ACCOUNTS or chance.random() < scenes.LIVE_AFTER_THAT
        cards = live if rich else past
        yield index, cards[index % len(cards)], rich


def _cast(now: datetime) -> Cast:
    people = {person.username: person for person in User.objects.filter(username__in=LOGINS)}
    OutLink.objects.add_usual()
    names = (*words.LABELS, *words.LEGACY_LABELS)
    Label.objects.bulk_create([Label(name=name) for name in names], ignore_conflicts=True)
    labels = {label.name: label for label in Label.objects.filter(name__in=names)}
    return Cast(
        specialists=[people["specialist"], people["specialist2"]],
        lead=people["lead"],
        labels=[labels[name] for name in words.LABELS],
        legacy_labels={name: labels[name] for name in words.LEGACY_LABELS},
        numbers=Policy.at(now),
    )
