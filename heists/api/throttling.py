"""How many requests a minute: protects the server, and is never a rule of the game.

A request counts in the client's current minute, by one atomic `incr` in a cache that all processes share. A table would
be as exact, but would cost every read a write and a commit. See docs/specification.md, "HTTP API".
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Any

from django.core.cache import caches
from rest_framework.throttling import BaseThrottle

from .. import conf

logger = logging.getLogger("heists")

WINDOW_SECONDS = 60


class MinuteThrottle(BaseThrottle):
    """Allow a client `limit()` requests in each minute; while the cache fails, allow every request.

    A subclass says who the client is and how many requests it may send. The limit is read at each request.
    """

    scope = ""

    def limit(self) -> int:
        raise NotImplementedError

    def client(self, request: Any) -> str:
        """Return any text that identifies who sends the request."""
        raise NotImplementedError

    def allow_request(self, request: Any, view: Any) -> bool:
        now = time.time()
        self.seconds_left = WINDOW_SECONDS - now % WINDOW_SECONDS
        # A digest, because a client may be any text and a key of a cache may not.
        client = hashlib.sha256(self.client(request).encode("utf-8", "replace")).hexdigest()[:32]
        try:
            count = self.count(f"heists:{self.scope}:{client}:{int(now // WINDOW_SECONDS)}")
        except Exception as error:  # the cache decides what it raises
            kind = type(error).__name__
            logger.warning("The throttle's cache fails, so the request is let through: %s: %s", kind, error)
            return True
        return count <= self.limit()

    def count(self, key: str) -> int:
        """Count one more request under this key, and return how many there are now."""
        cache = caches[conf.throttle_cache()]
        try:
            # All but the first request of a minute need no more than this.
            return int(cache.incr(key))
        except ValueError:
            # The key outlives its minute, so that it does not expire while it still counts.
            cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
            return int(cache.incr(key))

    def wait(self) -> float:
        return self.seconds_left


class PlayerThrottle(MinuteThrottle):
    """Counts the requests of the signed-in player."""

    def client(self, request: Any) -> str:
        # With the day of joining: a key that is given out again, as in test databases, starts without a count.
        return f"{request.user.pk} {getattr(request.user, 'date_joined', '')}"


class AttemptThrottle(PlayerThrottle):
    """Attempts and purchases."""

    scope = "attempts"

    def limit(self) -> int:
        return conf.rate_limit_per_minute()


class ReadThrottle(PlayerThrottle):
    """Everything else."""

    scope = "reads"

    def limit(self) -> int:
        return conf.read_rate_limit_per_minute()
