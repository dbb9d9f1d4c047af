"""The audit: every promise of the rows, asked again from the rows alone (spec sections 3, 4, 5 and 8).

Each check is one statement or a few, whatever the number of heists, and yields the rows that break its promise. The
whole runs on one snapshot, so that a site at work does not look like a broken one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.utils import timezone

from .. import conf
from ..economy import get_economy
from . import attempts, law, tokens, traces, windows
from .books import Books, Check, Difference, Skipped

__all__ = ["CHECKS", "Books", "Check", "Difference", "Skipped", "open_books"]

CHECKS: tuple[Check, ...] = (
    *law.CHECKS,
    *tokens.CHECKS,
    *attempts.CHECKS,
    *windows.CHECKS,
    *traces.CHECKS,
)


def retention() -> dt.timedelta | None:
    """How long a notification is certainly kept, or None where nothing prunes them."""
    kept = [days for days in (conf.retention_read(), conf.retention_unread()) if days]
    return min(kept, default=None)


@contextmanager
def open_books(using: str) -> Iterator[Books]:
    """Give the books of a database as they stand at one moment, read only where the database can promise it."""
    connection = connections[using]
    alone = not connection.in_atomic_block
    with transaction.atomic(using=using):
        if alone and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield Books(using, get_economy(), timezone.now(), retention())
