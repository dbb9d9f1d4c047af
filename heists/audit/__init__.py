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
from . import constraints, cooldowns, heists, side_effects, tokens
from .base import AuditData, Check, Difference, Skipped

__all__ = ["CHECKS", "AuditData", "Check", "Difference", "Skipped", "open_snapshot"]

CHECKS: tuple[Check, ...] = (
    *constraints.CHECKS,
    *tokens.CHECKS,
    *heists.CHECKS,
    *cooldowns.CHECKS,
    *side_effects.CHECKS,
)


def retention() -> dt.timedelta | None:
    """How long a notification is certainly kept, or None where nothing prunes them."""
    kept = [days for days in (conf.retention_read(), conf.retention_unread()) if days]
    return min(kept, default=None)


@contextmanager
def open_snapshot(using: str) -> Iterator[AuditData]:
    """Give the data of a database as they stand at one moment, read only where the database can promise it."""
    connection = connections[using]
    alone = not connection.in_atomic_block
    with transaction.atomic(using=using):
        if alone and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield AuditData(using, get_economy(), timezone.now(), retention())
