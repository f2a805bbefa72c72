"""What every test stands on. Servers come from `make test`, or from any DATABASE_URL and REDIS_URL."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from celery import current_app
from django.conf import settings

from config.celery import redis_client
from config.embedded.servers import throw_away


def pytest_configure(config: pytest.Config) -> None:
    # Argon2 is slow on purpose, which a test gains nothing from.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # A cache and a bell for each process, so that tests side by side do not hear each other, nor a running worker.
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    current_app.conf.update(broker_url="memory://")


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """Throttles count in the cache, and a test must not meet those of the one before."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def at_now() -> Iterator[None]:
    """The clock stands at the factories' moment."""
    from tests.factories import NOW

    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def me(db: None) -> Any:
    """Ann, a specialist; a file may have somebody else."""
    from tests.factories import user

    return user(first_name="Ann", last_name="Ames")


@pytest.fixture
def browser(client: Any, me: Any) -> Any:
    """What ``me`` asks with, signed in."""
    client.force_login(me)
    return client


@pytest.fixture
def api(db: None) -> Any:
    """A lead's program."""
    from tests.apis import Api

    return Api()


@pytest.fixture(scope="session")
def _valkey_of_our_own() -> Iterator[str]:
    with throw_away(postgres=False, valkey=True) as variables:
        yield variables["REDIS_URL"]


@pytest.fixture
def valkey(_valkey_of_our_own: str, settings: Any) -> str:
    """An empty broker's server that belongs to this test alone; gives its address."""
    settings.REDIS_URL = _valkey_of_our_own
    with redis_client() as broker:
        broker.flushall()
    return _valkey_of_our_own
