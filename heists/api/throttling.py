"""Limits the requests of a client in a minute. See docs/specification.md, "HTTP API".

Each request is counted by one atomic `incr` in a cache that all processes share. A table would be as exact, but each
read would cost a write and a commit.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

from django.core.cache import BaseCache, InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from rest_framework.throttling import BaseThrottle

from .. import conf

logger = logging.getLogger("heists")

WINDOW_SECONDS = 60


class MinuteThrottle(BaseThrottle):
    """Allows a client `limit()` requests in each minute of the clock. While the cache fails, it allows all requests.
    Raises ImproperlyConfigured for a setting that is wrong.

    A subclass defines `scope`, `limit` and `client`. The limit is read at each request.
    """

    scope = ""

    def limit(self) -> int:
        """Return the number of requests that a client may send in a minute."""
        raise NotImplementedError

    def client(self, request: Any) -> str:
        """Return a text that identifies the client."""
        raise NotImplementedError

    def allow_request(self, request: Any, view: Any) -> bool:
        # Outside of the try: a wrong setting is not a failing cache.
        limit, cache = self.limit(), _cache()
        now = time.time()
        self.seconds_left = WINDOW_SECONDS - now % WINDOW_SECONDS
        # A digest, because some caches limit the length and the characters of a key.
        client = hashlib.sha256(self.client(request).encode("utf-8", "replace")).hexdigest()[:32]
        try:
            count = self.count(cache, f"heists:{self.scope}:{client}:{int(now // WINDOW_SECONDS)}")
        except Exception as error:  # the cache decides what it raises
            kind = type(error).__name__
            logger.warning("the throttle's cache fails, the request is allowed: %s: %s", kind, error)
            return True
        return count <= limit

    def count(self, cache: BaseCache, key: str) -> int:
        """Count one more request under this key, and return how many there are now."""
        try:
            # Enough for all but the first request of a minute.
            return int(cache.incr(key))
        except ValueError:
            # Two windows, so that the key does not expire during its minute.
            cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
            return int(cache.incr(key))

    def wait(self) -> float:
        return self.seconds_left


def _cache() -> BaseCache:
    try:
        return caches[conf.throttle_cache()]
    except InvalidCacheBackendError as error:
        raise ImproperlyConfigured(f'HEISTS["THROTTLE_CACHE"] can\'t be used: {error}') from error


class PlayerThrottle(MinuteThrottle):
    """Limits the requests of the signed-in player."""

    def client(self, request: Any) -> str:
        # With the time of joining, because a database may assign a deleted player's key again.
        return f"{request.user.pk} {getattr(request.user, 'date_joined', '')}"


class AttemptThrottle(PlayerThrottle):
    """Limits attempts, purchases and wishes for a truce."""

    scope = "attempts"

    def limit(self) -> int:
        return conf.rate_limit_per_minute()


class ReadThrottle(PlayerThrottle):
    """Limits all other requests."""

    scope = "reads"

    def limit(self) -> int:
        return conf.read_rate_limit_per_minute()
