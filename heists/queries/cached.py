"""Caches sums over many rows in Django's default cache. Never balances: no rule depends on a cached value.

If the cache is down or holds garbage, the value is recomputed.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from django.db import router

from ..db.cache_keys import database_key
from ..models import Heist

logger = logging.getLogger("heists")

# A sum that takes less is never cached.
SLOW_SECONDS = 0.05

_warned = threading.Event()


def cached(name: str, compute: Callable[[], list[Any]], timeout: dt.timedelta) -> list[Any]:
    """Return the cached rows of this name; else compute them, and cache them for `timeout` where that was slow.

    Rows are lists of texts and numbers, which any cache can store.
    """
    key = f"heists:{name}:{_database_digest()}"
    try:
        found = cache.get(key)
    except Exception as error:
        _warn(error)
        return compute()
    _warned.clear()
    if isinstance(found, list):
        return found
    started = time.monotonic()
    computed = compute()
    if time.monotonic() - started > SLOW_SECONDS:
        try:
            cache.set(key, computed, timeout=int(timeout.total_seconds()))
        except Exception as error:
            _warn(error)
    return computed


def _warn(error: Exception) -> None:
    """Log a warning, once until the cache answers again."""
    if not _warned.is_set():
        _warned.set()
        logger.warning("the cache is unavailable, sums are computed: %s: %s", type(error).__name__, error)


def _database_digest() -> str:
    """Return what distinguishes databases and schemas that share a cache, in characters that any cache accepts."""
    names = "\0".join(database_key(router.db_for_read(Heist)))
    return hashlib.blake2b(names.encode(), digest_size=12).hexdigest()
