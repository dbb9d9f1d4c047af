"""Delete old notifications and remove old addresses from heists; the heists stay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone

from .. import conf
from ..db.retry import retry_transient
from ..models import Heist, HeistNotification

# Rows in one statement, which is a transaction: few, so that locks are held for a short time.
BATCH_SIZE = 500
# Keys read at once, so that memory does not grow with the number of old rows.
KEYS_PER_READ = 50_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were pruned, or would be."""

    notifications: int
    addresses: int


def prune(
    *,
    read: dt.timedelta | None = None,
    unread: dt.timedelta | None = None,
    address: dt.timedelta | None = None,
    batch: int = BATCH_SIZE,
    dry_run: bool = False,
) -> Pruned:
    """Delete old notifications with their emails, and set old addresses on heists to null.

    `read`, `unread` and `address` are ages; the default of each is its setting. Safe to interrupt and to repeat.
    Raises Busy.
    """
    now = timezone.now()
    read = conf.retention_read() if read is None else read
    unread = conf.retention_unread() if unread is None else unread
    address = conf.retention_address() if address is None else address
    using = router.db_for_write(Heist)
    old = Q(read=True, created_at__lt=now - read)
    old |= Q(read=False, created_at__lt=now - unread)
    notifications = HeistNotification.objects.using(using).filter(old)
    # In the order of the partial index on addresses, which has no heists without one.
    heists = (
        Heist.objects.using(using)
        .filter(ip_address__isnull=False, created_at__lt=now - address)
        .order_by("ip_address", "created_at")
    )
    if dry_run:
        return Pruned(notifications.count(), heists.count())

    def delete(pks: list[int]) -> int:
        # With the condition again: a notification may have been read or marked unread meanwhile.
        return notifications.filter(pk__in=pks).delete()[1].get(HeistNotification._meta.label, 0)

    return Pruned(
        _in_batches(notifications.order_by("created_at"), delete, batch),
        _in_batches(heists, lambda pks: heists.order_by().filter(pk__in=pks).update(ip_address=None), batch),
    )


def _in_batches(rows: QuerySet[Any], change: Callable[[list[int]], int], batch: int) -> int:
    change, total = retry_transient(change), 0
    while pks := list(rows.values_list("pk", flat=True)[:KEYS_PER_READ]):
        done = sum(change(pks[start : start + batch]) for start in range(0, len(pks), batch))
        total += done
        if not done:
            # Another call prunes the same rows.
            break
    return total
