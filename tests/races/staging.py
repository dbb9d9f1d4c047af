"""Races on a stage: a rival acts at a named point of the deed, and the deed goes on once the rival is done or stuck.

Nothing sleeps and hopes: whether the rival is stuck behind a lock is asked of PostgreSQL itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection

from gamification.economy import GamificationEconomy
from heists.queries import facts
from heists.services import heists

# Name of the point: (where the function lives, its name, on which side of it, at its how-manieth call).
POINTS: dict[str, tuple[Any, str, str, int]] = {
    "before the first look": (facts.FactsQuery, "fetch", "before", 1),
    "after the first look": (facts.FactsQuery, "fetch", "after", 1),
    "before the lock": (GamificationEconomy, "lock", "before", 1),
    "behind the lock": (GamificationEconomy, "lock", "after", 1),
    "after the second look": (facts.FactsQuery, "fetch", "after", 2),
    "after the heist is written": (heists, "_insert_heist", "after", 1),
    "after the token is spent": (heists, "_spend_token", "after", 1),
    "after the points moved": (GamificationEconomy, "transfer", "after", 1),
    "before the commit": (heists, "_notify", "after", 1),
    "after the commit": (heists, "_announce", "before", 1),
}
CERTAIN = ("before the first look", "after the first look")
# Seconds until a staged race counts as hung; nothing waits that long when all is well.
PATIENCE = 30


class Rival(threading.Thread):
    """Somebody else's deed, in a thread and on a connection of its own."""

    def __init__(self, deed: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.deed = deed
        self.result: Any = None
        self.error: Exception | None = None
        self.backend: int | None = None

    def run(self) -> None:
        try:
            connection.ensure_connection()
            self.backend = connection.connection.info.backend_pid
            self.result = self.deed()
        except Exception as error:  # told to the test, which decides
            self.error = error
        finally:
            connection.close()

    def settle(self) -> None:
        """Return once the rival is done, or waits for a lock that somebody holds."""
        with psycopg.connect(**watcher(), autocommit=True) as watch:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                if not self.is_alive():
                    return
                stuck = watch.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.backend or 0]).fetchone()
                if stuck and stuck[0]:
                    return
        raise AssertionError("the rival is neither done nor waiting for a lock")

    def finish(self) -> None:
        self.join(PATIENCE)
        assert not self.is_alive(), "the rival hangs"


def watcher() -> dict[str, Any]:
    """How to connect to the test's database beside Django."""
    given = connection.get_connection_params()
    return {name: given[name] for name in ("dbname", "host", "port", "user", "password") if given.get(name)}


@contextmanager
def rival_at(point: str, deed: Callable[[], Any]) -> Iterator[Rival]:
    """Have `deed` done by a rival when this thread first comes to `point`, or at the end where it never does."""
    home, name, side, nth = POINTS[point]
    original = getattr(home, name)
    stage, rival = threading.current_thread(), Rival(deed)
    calls = 0

    def enter() -> None:
        if rival.ident is None:
            rival.start()
            rival.settle()

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        if threading.current_thread() is not stage:
            return original(*args, **kwargs)
        calls += 1
        mine = calls
        if side == "before" and mine == nth:
            enter()
        result = original(*args, **kwargs)
        if side == "after" and mine == nth:
            enter()
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, name, wrapped)
        yield rival
    # A point that every deed passes, and that is not passed any more, would turn the race into a queue unnoticed.
    assert calls >= nth or point not in CERTAIN, f"the deed never came to the point {point!r}"
    if rival.ident is None:
        rival.start()
    rival.finish()


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """Do all deeds from one starting shot, each in a thread of its own; return what they returned or raised."""
    barrier = threading.Barrier(len(deeds))

    def from_the_shot(deed: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            barrier.wait(PATIENCE)
            return deed()

        return run

    rivals = [Rival(from_the_shot(deed)) for deed in deeds]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.finish()
    return [rival.error or rival.result for rival in rivals]
