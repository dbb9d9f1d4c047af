"""Doing a deed again when the database asks for it (spec section 10).

Deadlocks (40P01) and serialization failures (40001) are nobody's fault: the transaction is undone and tried anew, also
where PostgreSQL says so only at COMMIT. A connection that is lost on the way has undone the transaction, so the deed
is tried once more on a new one. Lost *while committing*, nobody knows whether it was done: a deed that carries a key
is tried again, since the key makes two of it one; without a key, the caller hears that the outcome is unknown.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connections, router, transaction

from .errors import Busy, OutcomeUnknown
from .models import Heist, RuleSetQuerySet

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 8
# Of a deed that met a constraint, or lost its connection: once more on what is there now, and once for bad luck.
ATTEMPTS_ELSE = 3
# Seconds; doubled at each attempt and made random, so that the same two do not meet again.
FIRST_PAUSE = 0.005

SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"
CONNECTION_EXCEPTION = "08"  # the first two places of its codes
# By an administrator, a crash, a start that is not over, a dropped database, and idleness.
SHUTDOWN = ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03")

logger = logging.getLogger("heists")


class Outdated(Exception):
    """What was judged is no longer what the row says; the deed has to be judged again."""


@contextmanager
def transacted(using: str, *, repeatable: bool) -> Iterator[None]:
    """Open the durable transaction of a deed; `repeatable` says whether a key makes the deed twice the deed once.

    Raises OutcomeUnknown where the connection was lost at COMMIT and the deed can't be repeated safely.
    """
    committing = committed = False

    def note() -> None:
        nonlocal committed
        committed = True

    try:
        with transaction.atomic(using=using, durable=True):
            # Registered first, so it runs before any hook that may raise.
            transaction.on_commit(note, using=using)
            yield
            committing = True
    except Exception as error:
        if committed:
            # A hook of the host's raised. The deed is done: to do it again, or to call it failed, would be wrong.
            logger.exception("a hook after the commit raised")
        elif committing and not repeatable and is_lost(error):
            raise OutcomeUnknown from error
        else:
            raise


def is_transient(error: BaseException) -> bool:
    """Whether the database undid the deed for the sake of others, so that it may well succeed when done again."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, Outdated) or sqlstate in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED)


def is_lost(error: BaseException) -> bool:
    """Whether the connection broke, and with it any transaction that was open on it, or none was to be had."""
    cause = error.__cause__
    # By name, so that the pool needs not be installed. It has waited long enough already.
    if not isinstance(error, OperationalError | InterfaceError) or type(cause).__name__ == "PoolTimeout":
        return False
    # Without a code where nobody was left to send one. SQLite's errors have none of these: it can't be lost.
    sqlstate = getattr(cause, "sqlstate", "")
    return sqlstate is None or sqlstate[:2] == CONNECTION_EXCEPTION or sqlstate in SHUTDOWN


def attempts_for(error: Exception) -> int:
    """How often a deed that ended like this is tried in all; 1 where doing it again is of no use."""
    if is_transient(error):
        return ATTEMPTS
    # A player deleted in between, or a rule set flushed away: read again, the deed answers for itself.
    if isinstance(error, IntegrityError):
        return ATTEMPTS_ELSE
    return ATTEMPTS_ELSE if is_lost(error) else 1


def retried(deed: Callable[P, T]) -> Callable[P, T]:
    """Wrap a deed so that it is done again, a few times, where that helps.

    Raises Busy where it did not help, or where the database is out of reach; then nothing was done. Whatever happened,
    the connection is left fit for the next request.
    """

    @wraps(deed)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        using = router.db_for_write(Heist)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return deed(*args, **kwargs)
            except OutcomeUnknown:
                _leave_usable(using)
                raise
            except (DatabaseError, InterfaceError, Outdated) as error:
                last = attempt >= attempts_for(error)
                _leave_usable(using)
                if last and (is_transient(error) or isinstance(error, OperationalError | InterfaceError)):
                    raise Busy from error
                if last:
                    raise
                if isinstance(error, IntegrityError):
                    RuleSetQuerySet.forget()
            time.sleep(random.uniform(0, FIRST_PAUSE * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    return wrapper


def _leave_usable(using: str) -> None:
    """Close a connection that is gone, so that the next statement opens a new one."""
    connection = connections[using]
    # Inside somebody's transaction there is nothing to save: closing would only hide why it failed.
    if not connection.in_atomic_block and connection.connection is not None and not connection.is_usable():
        connection.close()
