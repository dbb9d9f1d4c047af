"""Retries a service call when the database asks for it (docs/specification.md, "Guarantees").

A call is retried after a deadlock (40P01) or serialization failure (40001), including one raised at COMMIT. A
connection that is lost, or unusable because another server took over or a column changed, is closed, and the call is
retried on a new one. If the connection is lost during COMMIT, the outcome is unknown: a call with an idempotency key
is retried, because the key makes it safe; without a key, OutcomeUnknown is raised (see `db.atomic.durable_atomic`).

Only an error that passes by itself becomes Busy (`is_temporary`). A defect, such as a missing column, is raised.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connections,
    router,
)

from ..errors import Busy, OutcomeUnknown
from ..models import Heist

logger = logging.getLogger("heists")

P = ParamSpec("P")
T = TypeVar("T")

# Enough where many calls need the same few rows, at SERIALIZABLE and on a busy machine: some seconds in all.
MAX_ATTEMPTS = 14
# After a violated constraint or a lost connection: the second attempt has current data; the third is a reserve.
MAX_ATTEMPTS_OTHER = 3
# The pause doubles with each attempt and is random, so that two callers do not meet again.
FIRST_PAUSE_SECONDS = 0.005
LONGEST_PAUSE_SECONDS = 0.5

SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"
# The class of PostgreSQL's connection exceptions: the first two characters of the code.
CONNECTION_EXCEPTION_CLASS = "08"
# admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped, idle_session_timeout,
# idle_in_transaction_session_timeout, transaction_timeout.
SHUTDOWN_CODES = ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04")
# After a fail-over, a kept connection may lead to the server that is now the standby.
READ_ONLY_TRANSACTION = "25006"
# A prepared statement whose table changed says "cached plan must not change result type". Other
# errors have the same code, and the message is translated, so the name of the server's function decides.
FEATURE_NOT_SUPPORTED = "0A000"
CACHED_PLAN_FUNCTION = "RevalidateCachedQuery"
# out_of_memory, too_many_connections, lock_not_available (lock_timeout), query_canceled (statement_timeout).
OVERLOAD_CODES = ("53200", "53300", "55P03", "57014")
# Errors of the connection pool, which is an optional package: no connection was free in time.
POOL_ERRORS = ("PoolTimeout", "TooManyRequests")
# The primary code is in the lowest byte.
SQLITE_PRIMARY_CODE = 0xFF
SQLITE_LOCKED_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class StaleRead(Exception):
    """A row changed after it was judged; the call has to judge again."""


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of a database error of Django, under psycopg 3 and psycopg 2.

    None where the server could not send one: the connection broke or could not be opened. Empty for an error of another
    kind, and for SQLite, which has no such codes.
    """
    cause = error.__cause__
    return getattr(cause, "sqlstate", getattr(cause, "pgcode", ""))


def is_transient(error: BaseException) -> bool:
    """Return whether the database rolled the call back because of others, so that a retry may succeed."""
    return isinstance(error, StaleRead) or sqlstate(error) in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED)


def is_connection_lost(error: BaseException) -> bool:
    """Return whether the connection broke, and any open transaction with it, or could not be opened."""
    if (code := sqlstate(error)) is not None:
        return code[:2] == CONNECTION_EXCEPTION_CLASS or code in SHUTDOWN_CODES
    # psycopg 2 raises a plain DatabaseError where a broken connection sends no result at all. psycopg 3 raises an
    # InternalError where a pooler's message about a server that died comes beside the result.
    broken = isinstance(error, OperationalError | InterfaceError | InternalError) or type(error) is DatabaseError
    return broken and not _is_of_pool(error)


def is_connection_unusable(error: BaseException) -> bool:
    """Return whether a new connection is needed: this one is lost, leads to a standby, or holds an outdated plan."""
    code = sqlstate(error)
    if code == FEATURE_NOT_SUPPORTED:
        diagnosis = getattr(error.__cause__, "diag", None)
        return getattr(diagnosis, "source_function", None) == CACHED_PLAN_FUNCTION
    return code == READ_ONLY_TRANSACTION or is_connection_lost(error)


def is_temporary(error: BaseException) -> bool:
    """Return whether a database error passes by itself: the same request may succeed later. A defect does not."""
    if is_transient(error) or is_connection_unusable(error) or _is_of_pool(error):
        return True
    locked = getattr(error.__cause__, "sqlite_errorcode", 0) & SQLITE_PRIMARY_CODE in SQLITE_LOCKED_CODES
    return locked or sqlstate(error) in OVERLOAD_CODES


def _is_of_pool(error: BaseException) -> bool:
    return type(error.__cause__).__name__ in POOL_ERRORS


def in_callers_transaction(using: str) -> bool:
    """Return whether a transaction is open; the one that a TestCase puts around a test does not count."""
    blocks = connections[using].atomic_blocks
    # Django's own condition for a durable `atomic()`.
    return bool(blocks) and not getattr(blocks[-1], "_from_testcase", False)


def close_if_unusable(error: BaseException, using: str | None = None) -> None:
    """Close the connection that raised this error, if it is unusable; the next query opens a new one.

    Without `using`, all connections of this thread: Django's errors do not say which it was. A connection inside a
    transaction stays open, because Django closes it at the end.
    """
    if not is_connection_unusable(error):
        return
    for connection in connections.all(initialized_only=True):
        if connection.alias == (using or connection.alias) and not connection.in_atomic_block:
            if connection.connection is not None:
                # The driver's own first: a pool would otherwise hand the same connection out again.
                connection.connection.close()
            connection.close()


def max_attempts(error: Exception) -> int:
    """Return how often a call that raised this error is tried in all; 1 where a retry does not help."""
    if is_transient(error):
        return MAX_ATTEMPTS
    # A player or a rule set was deleted meanwhile: the next attempt reads current data.
    if isinstance(error, IntegrityError):
        return MAX_ATTEMPTS_OTHER
    return MAX_ATTEMPTS_OTHER if is_connection_unusable(error) else 1


def retry_transient(call: Callable[P, T]) -> Callable[P, T]:
    """Wrap a service call so that it is retried where that helps.

    Raises Busy where it did not help, or where the database is not available; nothing was changed then. An unusable
    connection is closed in any case, so that the next request opens a new one.
    """

    @wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        using = router.db_for_write(Heist)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return call(*args, **kwargs)
            except OutcomeUnknown as unknown:
                close_if_unusable(unknown.__cause__ or unknown, using)
                raise
            except (DatabaseError, InterfaceError, StaleRead) as error:
                close_if_unusable(error, using)
                if in_callers_transaction(using):
                    # It is the caller's to roll back and to try again.
                    raise
                if attempt >= max_attempts(error):
                    if not is_temporary(error):
                        raise
                    logger.warning("the database is busy or unavailable, nothing was changed: %s", error)
                    raise Busy from error
            pause = min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS)
            time.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    return wrapper
