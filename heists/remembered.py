"""Sums over many rows, remembered for a while in Django's default cache. Never a balance: nothing is judged by them.

A cache that is away, or holds what nobody put there, costs time and nothing else.
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

from .models import Heist

logger = logging.getLogger("heists")

# A site whose sums take less than this, in seconds, never shows remembered ones.
QUICK = 0.05


def remembered(name: str, compute: Callable[[], list[Any]], life: dt.timedelta) -> list[Any]:
    """Return what is remembered under this name; else compute it, and remember it so long where that took long.

    Rows have to be such as JSON can say: lists, texts and numbers.
    """
    key = f"heists:{name}:{_database()}"
    try:
        found = cache.get(key)
    except Exception:
        logger.exception("the cache does not answer; %s is computed anew", name)
        return compute()
    if isinstance(found, list):
        return found
    started = time.monotonic()
    computed = compute()
    if time.monotonic() - started > QUICK:
        try:
            cache.set(key, computed, timeout=int(life.total_seconds()))
        except Exception:
            logger.exception("the cache does not answer; %s is not remembered", name)
    return computed


def _database() -> int:
    """A number that tells databases apart which share a cache."""
    return crc32(str(connections[router.db_for_read(Heist)].settings_dict["NAME"]).encode())
