"""Transactions of the services, and views that stay outside a host's ATOMIC_REQUESTS."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction

from ..errors import OutcomeUnknown
from .retry import in_callers_transaction, is_connection_lost

logger = logging.getLogger("heists")


@contextmanager
def durable_atomic(using: str, *, repeatable: bool) -> Iterator[None]:
    """Open the durable transaction of a service call. `repeatable`: the call is idempotent.

    Raises OutcomeUnknown where the connection is lost during COMMIT and the call is not repeatable. An exception of an
    `on_commit` hook is logged and not raised: the transaction is committed.
    """
    committing = committed = False

    def set_committed() -> None:
        nonlocal committed
        committed = True

    try:
        with transaction.atomic(using=using, durable=True):
            # Registered first, so it runs before a hook that may raise.
            transaction.on_commit(set_committed, using=using)
            yield
            committing = True
    except Exception as error:
        if committed:
            logger.exception("an on_commit hook raised; the transaction is committed")
        elif committing and not repeatable and is_connection_lost(error):
            raise OutcomeUnknown from error
        else:
            raise


def require_outermost(using: str) -> None:
    """Raise RuntimeError inside a caller's transaction, as a durable `atomic()` does, before anything is written.

    Without it, a call that never opens its transaction, such as a rejected attempt, would depend on the caller's.
    """
    if in_callers_transaction(using):
        raise RuntimeError("A service call of heists is a durable transaction and can't be nested in another one.")


def outside_atomic_requests(view: Any) -> Any:
    """Return the view without a host's ATOMIC_REQUESTS: services open their own durable transactions."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view
