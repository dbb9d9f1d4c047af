"""Retries a service call when the database asks for it (docs/specification.md, "Guarantees").

A call is retried after a deadlock (40P01) or serialization failure (40001), including one raised at COMMIT. If the
connection is lost before COMMIT, the transaction is rolled back and the call is retried on a new connection. If it is
lost during COMMIT, the outcome is unknown: a call with an idempotency key is retried, because the key makes it safe;
without a key, OutcomeUnknown is raised (see `db.atomic.durable_atomic`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connections, router

from ..errors import Busy, OutcomeUnknown
from ..models import Heist

P = ParamSpec("P")
T = TypeVar("T")

# Enough for a crowd that needs the same few rows, at SERIALIZABLE and on a busy machine: some seconds in all.
MAX_ATTEMPTS = 14
# After a violated constraint or a lost connection: once more on current data, and once in reserve.
MAX_ATTEMPTS_OTHER = 3
# The pause doubles with each attempt and is random, so that two callers do not meet again.
FIRST_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.5

SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"
# The class of PostgreSQL's connection exceptions: the first two characters of the code.
CONNECTION_EXCEPTION_CLASS = "08"
# admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout,
# idle_in_transaction_session_timeout.
SHUTDOWN_CODES = ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03")


class StaleRead(Exception):
    """A row changed after it was judged; the call has to judge again."""


def is_transient(error: BaseException) -> bool:
    """Return whether the database rolled the call back because of others, so that a retry may succeed."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, StaleRead) or sqlstate in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED)


def is_connection_lost(error: BaseException) -> bool:
    """Return whether the connection broke, and any open transaction with it, or could not be opened."""
    cause = error.__cause__
    # Compared by name, because the pool is an optional package. Its timeout has waited long enough already.
    if not isinstance(error, OperationalError | InterfaceError) or type(cause).__name__ == "PoolTimeout":
        return False
    # None where the server could not send a code. SQLite's errors have no `sqlstate`: its connection is never lost.
    sqlstate = getattr(cause, "sqlstate", "")
    return sqlstate is None or sqlstate[:2] == CONNECTION_EXCEPTION_CLASS or sqlstate in SHUTDOWN_CODES


def max_attempts(error: Exception) -> int:
    """Return how often a call that raised this error is tried in all; 1 where a retry does not help."""
    if is_transient(error):
        return MAX_ATTEMPTS
    # A player or a rule set was deleted meanwhile: the next attempt reads current data.
    if isinstance(error, IntegrityError):
        return MAX_ATTEMPTS_OTHER
    return MAX_ATTEMPTS_OTHER if is_connection_lost(error) else 1


def retry_transient(call: Callable[P, T]) -> Callable[P, T]:
    """Wrap a service call so that it is retried where that helps.

    Raises Busy where it did not help, or where the database is not available; nothing was changed then. A broken
    connection is closed in any case, so that the next request opens a new one.
    """

    @wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        using = router.db_for_write(Heist)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return call(*args, **kwargs)
            except OutcomeUnknown:
                _close_if_broken(using)
                raise
            except (DatabaseError, InterfaceError, StaleRead) as error:
                last = attempt >= max_attempts(error)
                _close_if_broken(using)
                if last and (is_transient(error) or isinstance(error, OperationalError | InterfaceError)):
                    raise Busy from error
                if last:
                    raise
            pause = min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS)
            time.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    return wrapper


def _close_if_broken(using: str) -> None:
    connection = connections[using]
    # Inside a caller's transaction there is nothing to save: closing would hide why it failed.
    if not connection.in_atomic_block and connection.connection is not None and not connection.is_usable():
        connection.close()
