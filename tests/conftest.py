"""What every test stands on. Servers come from `make test`, or from any DATABASE_URL and REDIS_URL."""

import pytest
from celery import current_app
from django.conf import settings


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
