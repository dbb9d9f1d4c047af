"""Staged races: a concurrent call starts when a heist reaches a named point, and the heist waits for it there.

The heist continues as soon as the concurrent call has ended or waits for a lock, which PostgreSQL itself reports. So
the order of the two is the same in every run, without sleeping.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
from django.db import connection

from gamification.economy import GamificationEconomy
from heists.queries import facts
from heists.services import heists, reversals, tokens
from tests.concurrency import TIMEOUT_SECONDS, CallThread


class Point(NamedTuple):
    """A moment of a heist: before or after the nth call of one function."""

    owner: Any
    function: str
    side: str
    nth: int = 1


POINTS = {
    "before the first look": Point(facts.FactsQuery, "fetch", "before"),
    "after the first look": Point(facts.FactsQuery, "fetch", "after"),
    "before the lock": Point(GamificationEconomy, "lock", "before"),
    "after the lock": Point(GamificationEconomy, "lock", "after"),
    "after the second look": Point(facts.FactsQuery, "fetch", "after", 2),
    "after the heist is written": Point(heists, "_insert_heist", "after"),
    "after the token is spent": Point(heists, "_spend_token", "after"),
    "after the points moved": Point(GamificationEconomy, "transfer", "after"),
    "after the shield is used": Point(heists, "_use_shield", "after"),
    "before the commit": Point(heists, "_notify", "after"),
    "after the commit": Point(heists, "_announce", "before"),
}
# The points that a heist reaches when nothing interferes, by its result.
SUCCESS = [point for point in POINTS if point != "after the shield is used"]
BLOCKED = [point for point in POINTS if point != "after the points moved"]
REJECTED = ["before the first look", "after the first look", "after the heist is written", "after the commit"]

# The moments of a reversal that gives the token back.
REVERSAL_POINTS = {
    "before the first look": Point(reversals, "_plan", "before"),
    "after the first look": Point(reversals, "_plan", "after"),
    "before the lock": Point(GamificationEconomy, "lock", "before"),
    "after the lock": Point(GamificationEconomy, "lock", "after"),
    "after the second look": Point(reversals, "_plan", "after", 2),
    "after the reversal is written": Point(reversals, "_insert_reversal", "after"),
    "after the points went back": Point(GamificationEconomy, "give_back", "after"),
    "after the token is returned": Point(tokens, "record_grant", "after"),
    "before the commit": Point(reversals, "_notify", "after"),
}


class ConcurrentCall(CallThread):
    """A call in a thread of its own that another call can wait for."""

    def settle(self) -> None:
        """Return once the call has ended, or waits for a lock that another connection holds."""
        with psycopg.connect(**connection_parameters(), autocommit=True) as observer:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while time.monotonic() < deadline:
                if not self.is_alive():
                    return
                row = observer.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.backend or 0]).fetchone()
                if row and row[0]:
                    return
        raise AssertionError("the concurrent call has neither ended nor waits for a lock")


def connection_parameters() -> dict[str, Any]:
    """Return how to connect to the test's database without Django."""
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("dbname", "host", "port", "user", "password") if parameters.get(name)}


@contextmanager
def concurrent_at(
    point: str, call: Callable[[], Any], points: Mapping[str, Point] = POINTS
) -> Iterator[ConcurrentCall]:
    """Start `call` in another thread when this thread reaches `point`; fail where it never does."""
    owner, function, side, nth = points[point]
    original = getattr(owner, function)
    this_thread, concurrent = threading.current_thread(), ConcurrentCall(call)
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        if threading.current_thread() is not this_thread:
            return original(*args, **kwargs)
        calls += 1
        reached = calls == nth
        if reached and side == "before":
            start()
        result = original(*args, **kwargs)
        if reached and side == "after":
            start()
        return result

    def start() -> None:
        concurrent.start()
        concurrent.settle()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, function, wrapped)
        yield concurrent
    assert concurrent.ident is not None, f"the point {point!r} was not reached"
    concurrent.finish()


def terminate(backend: int) -> None:
    """End a connection's server process, as an operator or a crash would."""
    with psycopg.connect(**connection_parameters(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
