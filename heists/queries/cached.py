"""Caches sums over many rows in Django's default cache. Never balances: no rule depends on a cached value.

If the cache is down or holds garbage, the value is recomputed.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from typing import Any
from zlib import crc32

from django.core.cache import cache
from django.db import connections, router

from ..models import Heist

logger = logging.getLogger("heists")

# A sum that takes less is never cached.
SLOW_SECONDS = 0.05


def cached(name: str, compute: Callable[[], list[Any]], timeout: dt.timedelta) -> list[Any]:
    """Return the cached rows of this name; else compute them, and cache them for `timeout` where that was slow.

    Rows have to survive JSON: lists, texts and numbers.
    """
    key = f"heists:{name}:{_database_key()}"
    try:
        found = cache.get(key)
    except Exception:
        logger.exception("the cache is unavailable; %s is computed", name)
        return compute()
    if isinstance(found, list):
        return found
    started = time.monotonic()
    computed = compute()
    if time.monotonic() - started > SLOW_SECONDS:
        try:
            cache.set(key, computed, timeout=int(timeout.total_seconds()))
        except Exception:
            logger.exception("the cache is unavailable; %s is not cached", name)
    return computed


def _database_key() -> int:
    """Return a number that distinguishes databases that share a cache."""
    return crc32(str(connections[router.db_for_read(Heist)].settings_dict["NAME"]).encode())
