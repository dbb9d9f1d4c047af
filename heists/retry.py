"""Doing a deed again when the database asks for it (spec section 10).

Deadlocks (40P01) and serialization failures (40001) are nobody's fault: the transaction is undone and tried anew, also
where PostgreSQL says so only at COMMIT. A connection that is lost on the way has undone the transaction, so the deed
is tried once more on a new one. Lost *while committing*, nobody knows whether it was done: a deed that carries a key
is tried again, since the key makes two of it one; without a key, the caller hears that the outcome is unknown.
"""

from __future__ import annotations

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


class Outdated(Exception):
    """What was judged is no longer what the row says; the deed has to be judged again."""


@contextmanager
def transacted(using: str, *, repeatable: bool) -> Iterator[None]:
    """Open the durable transaction of a deed; `repeatable` says whether a key makes the deed twice the deed once.

    Raises OutcomeUnknown where the connection was lost at COMMIT and the deed can't be repeated safely.
    """
    committing = False
    try:
        with transaction.atomic(using=using, durable=True):
            yield
            committing = True
    except (OperationalError, InterfaceError) as error:
        if committing and not repeatable and not is_transient(error) and is_lost(using):
            raise OutcomeUnknown from error
        raise


def is_transient(error: BaseException) -> bool:
    """Whether the database undid the deed for the sake of others, so that it may well succeed when done again."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, Outdated) or sqlstate in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED)


def is_lost(using: str) -> bool:
    """Whether the connection is gone, and with it any transaction that was open on it."""
    connection = connections[using]
    return not connection.is_usable()


def attempts_for(error: Exception, using: str) -> int:
    """How often a deed that ended like this is tried in all; 1 where doing it again is of no use."""
    if is_transient(error):
        return ATTEMPTS
    # A player deleted in between, or a rule set flushed away: read again, the deed answers for itself.
    if isinstance(error, IntegrityError):
        return ATTEMPTS_ELSE
    # By name, so that the pool needs not be installed. It has waited long enough already.
    if type(error.__cause__).__name__ == "PoolTimeout":
        return 1
    if isinstance(error, OperationalError | InterfaceError) and is_lost(using):
        return ATTEMPTS_ELSE
    return 1


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
                last = attempt >= attempts_for(error, using)
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
