"""Doing a deed again when the database asks for it (spec section 10).

Deadlocks (40P01) and serialization failures (40001) are nobody's fault: the transaction is undone and tried anew.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError

from .errors import Busy
from .models import RuleSetQuerySet

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 8
# Seconds; doubled at each attempt and made random, so that the same two do not meet again.
FIRST_PAUSE = 0.005

SERIALIZATION_FAILURE = "40001"
DEADLOCK_DETECTED = "40P01"


class Outdated(Exception):
    """What was judged is no longer what the row says; the deed has to be judged again."""


def is_transient(error: Exception) -> bool:
    """Whether the same deed may well succeed when it is done again."""
    if isinstance(error, Outdated):
        return True
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    if sqlstate in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED):
        return True
    # A player deleted in between, or a rule set flushed away: read again, the deed answers for itself.
    return isinstance(error, IntegrityError)


def retried(deed: Callable[P, T]) -> Callable[P, T]:
    """Wrap a deed so that it is done again, a few times, where that helps.

    Raises Busy where it did not help, or where the database is out of reach; then nothing was done.
    """

    @wraps(deed)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return deed(*args, **kwargs)
            except (DatabaseError, InterfaceError, Outdated) as error:
                if not is_transient(error):
                    if isinstance(error, OperationalError | InterfaceError):
                        raise Busy from error
                    raise
                if attempt == ATTEMPTS:
                    if isinstance(error, IntegrityError):
                        raise
                    raise Busy from error
                RuleSetQuerySet.forget()
            time.sleep(random.uniform(0, FIRST_PAUSE * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    return wrapper
