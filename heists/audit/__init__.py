"""Recomputes every promise of the data from the rows (docs/specification.md, "Commands"; docs/law.md).

Each check runs one statement or a few, whatever the number of heists, and yields the rows that break its promise. All
checks read one snapshot, so that transactions that commit meanwhile are not reported as differences.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.utils import timezone

from .. import conf
from ..economy import get_economy
from . import (
    constraints,
    cooldowns,
    deleted,
    heists,
    rejections,
    reversals,
    rule_changes,
    shields,
    side_effects,
    tokens,
    truces,
)
from .base import AuditData, Check, Difference, Skipped

__all__ = ["CHECKS", "AuditData", "Check", "Difference", "Skipped", "open_snapshot"]

CHECKS: tuple[Check, ...] = (
    *constraints.CHECKS,
    *tokens.CHECKS,
    *heists.CHECKS,
    *cooldowns.CHECKS,
    *rejections.CHECKS,
    *deleted.CHECKS,
    *shields.CHECKS,
    *truces.CHECKS,
    *reversals.CHECKS,
    *rule_changes.CHECKS,
    *side_effects.CHECKS,
)


def retention() -> dt.timedelta | None:
    """Return the age up to which no notification is pruned; None where nothing prunes them."""
    kept = [days for days in (conf.retention_read(), conf.retention_unread()) if days]
    return min(kept, default=None)


@contextmanager
def open_snapshot(using: str) -> Iterator[AuditData]:
    """Yield the data of one database as of one moment. On PostgreSQL the snapshot is read only."""
    connection = connections[using]
    outermost = not connection.in_atomic_block
    with transaction.atomic(using=using):
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield AuditData(using, get_economy(), timezone.now(), retention())
