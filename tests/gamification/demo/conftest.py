from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from gamification.demo.build import MIN_HEISTS, MIN_PLAYERS, Built, seed_demo


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> dt.datetime:
    """The end of the demo world, at which the clock stands."""
    now = dt.datetime(2026, 3, 14, 15, 9, 26, tzinfo=dt.UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    return now


@pytest.fixture
def seed_smallest(now: dt.datetime) -> Callable[..., Built]:
    """Build the smallest demo world."""
    return lambda **options: seed_demo(**{"players": MIN_PLAYERS, "heists": MIN_HEISTS, "now": now, **options})


@pytest.fixture
def schema() -> Callable[[], set[Any]]:
    """Read the SQL of every index and constraint of the database."""

    def read() -> set[Any]:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(
                    "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'table') AND name <> 'sqlite_stat1'"
                )
                return set(cursor.fetchall())
            cursor.execute("SELECT pg_get_indexdef(indexrelid) FROM pg_index")
            indexes = set(cursor.fetchall())
            cursor.execute("SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint")
            return indexes | set(cursor.fetchall())

    return read
