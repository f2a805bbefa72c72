"""Throw-away databases beside the one that the environment names, which stays as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.crm import demo
from apps.crm.models import Account, StageTransition, Task, User
from apps.intake.models import Event
from apps.playbooks.models import Act, Run

PEOPLE = 16


class Databases:
    """Makes, copies and drops databases whose names begin with ours."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._prefix = f"onramp_bench_{os.getpid()}"
        self._made: list[str] = []

    def url(self, name: str) -> str:
        return urlsplit(self._url)._replace(path=f"/{self._prefix}_{name}").geturl()

    def make(self, name: str, *, of: str = "") -> None:
        """A database, empty or a copy of one of ours, which nobody may be connected to meanwhile."""
        connection.close()
        how = f' TEMPLATE "{self._prefix}_{of}" STRATEGY FILE_COPY' if of else ""
        self._do(f'CREATE DATABASE "{self._prefix}_{name}"{how}')
        self._made.append(name)

    def drop(self, name: str) -> None:
        self._do(f'DROP DATABASE IF EXISTS "{self._prefix}_{name}" WITH (FORCE)')
        self._made.remove(name)

    def use(self, name: str) -> None:
        """Has this process's Django speak to it from now on."""
        connection.close()
        connection.settings_dict["NAME"] = f"{self._prefix}_{name}"

    @contextmanager
    def copy(self, of: str, name: str) -> Iterator[str]:
        """A copy to work on; gives its address."""
        self.make(name, of=of)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def drop_all(self) -> None:
        connection.close()
        for name in [*self._made]:
            self.drop(name)

    def _do(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as server:
            server.execute(statement)


def fill(size: int) -> None:
    """Bring the database in use to this many accounts, as they lie after a night's vacuum."""
    call_command("migrate", verbosity=0)
    _let_be_left_out()
    demo.add_logins(now=timezone.now())
    demo.add_accounts(size, seed=1, now=timezone.now())
    # A deployment does not start beside logins whose password everybody knows.
    User.objects.update(password="!")
    for person in User.objects.filter(email__endswith="@onramp.example"):
        person.email = person.email.replace("@onramp.example", "@bench.example")
        person.save(update_fields=["email"])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
    connection.close()


def _let_be_left_out() -> None:
    """Give columns the defaults of their models, so that plain SQL need not name those it has no use for."""
    with connection.cursor() as cursor:
        for model in (Account, StageTransition, Task, Act, Run, Event):
            for field in model._meta.concrete_fields:
                default = None if field.generated or field.null else field.get_default()
                if isinstance(default, int) or default in ("", []):
                    written = default if isinstance(default, int) else f"'{default}'"
                    cursor.execute(
                        f"ALTER TABLE {model._meta.db_table} ALTER COLUMN {field.column} SET DEFAULT {written}"
                    )


def sign_in(role: str = "specialist", number: int = PEOPLE) -> list[str]:
    """The session keys of so many people of a role who are signed in."""
    group = Group.objects.get(name=role)
    keys = []
    for place in range(number):
        person, new = User.objects.get_or_create(
            username=f"bench-{role}-{place}",
            defaults={"email": f"bench-{role}-{place}@bench.example", "password": "!"},
        )
        if new:
            person.groups.add(group)
        session = SessionStore()
        session[SESSION_KEY] = str(person.pk)
        session[BACKEND_SESSION_KEY] = "config.auth.Backend"
        session[HASH_SESSION_KEY] = person.get_session_auth_hash()
        session.save()
        keys.append(str(session.session_key))
    return keys
