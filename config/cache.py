"""The cache that may be away."""

import time
from typing import Any

import structlog
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)


# A request asks many times, and each would wait its second for a Redis that is frozen.
PAUSE_SECONDS = 5


class TolerantRedisClient(RedisCacheClient):
    """Answers as an empty cache does while Redis does not answer; asks it again after a pause."""

    away_until = 0.0

    def _or(self, answer: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() < TolerantRedisClient.away_until:
            return answer
        try:
            return getattr(super(), method)(*args, **kwargs)
        except RedisError as error:
            TolerantRedisClient.away_until = time.monotonic() + PAUSE_SECONDS
            log.warning("cache_away", method=method, error=str(error))
            return answer

    def add(self, key: Any, value: Any, timeout: Any) -> Any:
        return self._or(True, "add", key, value, timeout)

    def get(self, key: Any, default: Any) -> Any:
        return self._or(default, "get", key, default)

    def set(self, key: Any, value: Any, timeout: Any) -> Any:
        return self._or(None, "set", key, value, timeout)

    def touch(self, key: Any, timeout: Any) -> Any:
        return self._or(False, "touch", key, timeout)

    def delete(self, key: Any) -> Any:
        return self._or(False, "delete", key)

    def get_many(self, keys: Any) -> Any:
        return self._or({}, "get_many", keys)

    def has_key(self, key: Any) -> Any:
        return self._or(False, "has_key", key)

    def incr(self, key: Any, delta: Any) -> Any:
        return self._or(delta, "incr", key, delta)

    def set_many(self, data: Any, timeout: Any) -> Any:
        return self._or(None, "set_many", data, timeout)

    def delete_many(self, keys: Any) -> Any:
        return self._or(None, "delete_many", keys)

    def clear(self) -> Any:
        return self._or(False, "clear")


class TolerantRedisCache(RedisCache):
    """Django's Redis cache, for throttles and the like: without Redis they do not hold, and nobody is shut out."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = TolerantRedisClient
