"""How often a player may knock: politeness towards the server, never a rule of the game (spec section 6).

A request counts in the player's current minute, by one atomic `incr` in a cache shared by all workers. A table would be
as exact, but would cost every read a write and a commit.
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

# Seconds in which a limit counts.
WINDOW = 60


class PlayerThrottle(BaseThrottle):
    """Let a player's first so many requests of each minute through; the limit is asked anew at each request."""

    scope = ""

    def limit(self) -> int:
        raise NotImplementedError

    def allow_request(self, request: Any, view: Any) -> bool:
        now = time.time()
        window = int(now // WINDOW)
        self.seconds_left = WINDOW - now % WINDOW
        try:
            # A digest, since a key of a player may be any text and one of a cache may not. With the day they joined:
            # whoever gets a key that is given out again, as in test databases, does not inherit its count.
            joined = getattr(request.user, "date_joined", "")
            player = hashlib.sha256(f"{request.user.pk} {joined}".encode()).hexdigest()[:32]
            return self.count(f"heists:{self.scope}:{player}:{window}") <= self.limit()
        except Exception:
            # A cache that is away must not stop the game.
            logger.exception("the throttle's cache does not answer; the request is let through")
            return True

    def count(self, key: str) -> int:
        """Count one more request under this key, and return how many there are now."""
        cache = caches[conf.throttle_cache()]
        try:
            # All but the first request of a minute need no more than this.
            return int(cache.incr(key))
        except ValueError:
            # The key outlives its window, so that it does not expire while it still counts.
            cache.add(key, 0, timeout=2 * WINDOW)
            return int(cache.incr(key))

    def wait(self) -> float:
        return self.seconds_left


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
