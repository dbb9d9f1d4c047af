"""A database without its constraints, and four players."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from .rows import DAY, NOW, unlock, user


@pytest.fixture
def constraints_off(db: None) -> Iterator[Callable[[], None]]:
    """Return a function that drops constraints and triggers until the test's transaction is rolled back."""
    yield unlock
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")


@pytest.fixture
def people(constraints_off: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Four players without rows of any other table, in a database that takes any row, a day after `NOW`."""
    monkeypatch.setattr(timezone, "now", lambda: NOW + DAY)
    constraints_off()
    return SimpleNamespace(**{name: user(name) for name in ("alice", "bob", "carol", "dora")})
