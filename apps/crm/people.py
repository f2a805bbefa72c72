"""Colleagues, as every request asks for them: who has signed in, and everybody's names."""

from __future__ import annotations

from typing import Any

from django.db.models import BigIntegerField

from apps.crm.kept import Given, Kept
from apps.crm.models.user import User


def _everybody() -> Any:
    people = User.objects.order_by("first_name", "last_name", "username")
    return people.values_list("pk", "first_name", "last_name", "username")


_EVERYBODY = Kept(_everybody)
_SIGNED_IN = Kept(lambda: User.objects.with_roles().filter(pk=Given("pk", BigIntegerField()), is_active=True))


def everybody() -> dict[int, str]:
    """The names of all there are and were by id, in the order of the names. One query."""
    return {pk: f"{first} {last}".strip() or username for pk, first, last, username in _EVERYBODY.rows()}


def signed_in(pk: int) -> User | None:
    """The active user of this id with their roles, or None. One query."""
    found: list[User] = _SIGNED_IN.objects(User, pk=pk)
    return found[0] if found else None
