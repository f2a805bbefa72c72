"""Colleagues, as every request asks for them: who has signed in, and everybody's names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import BigIntegerField, Exists, OuterRef

from apps.crm.kept import Given, Kept
from apps.crm.models.user import User


class Colleague(NamedTuple):
    """Somebody to be named. ``works``: an account, a task or an alert can be given to them."""

    pk: int
    name: str
    works: bool

    def __str__(self) -> str:
        return self.name


def _everybody() -> Any:
    works = User.objects.assignable().order_by().filter(pk=OuterRef("pk"))
    people = User.objects.order_by("first_name", "last_name", "username")
    return people.values_list("pk", "first_name", "last_name", "username", Exists(works))


_EVERYBODY = Kept(_everybody)
_SIGNED_IN = Kept(lambda: User.objects.with_roles().filter(pk=Given("pk", BigIntegerField()), is_active=True))


def everybody() -> list[Colleague]:
    """All there are and were, in the order of the names. One query."""
    return [
        Colleague(pk, f"{first} {last}".strip() or username, works)
        for pk, first, last, username, works in _EVERYBODY.rows()
    ]


def called(people: Iterable[Colleague]) -> dict[int, str]:
    """Their names by id."""
    return {one.pk: one.name for one in people}


def signed_in(pk: int) -> User | None:
    """The active user of this id with their roles, or None. One query."""
    found: list[User] = _SIGNED_IN.objects(User, pk=pk)
    return found[0] if found else None
