"""What is old goes: notifications, and the addresses on heists; heists themselves stay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone

from .. import conf
from ..models import Heist, HeistNotification

# Rows in one statement, each its own transaction: few enough that no player waits for it.
BATCH = 500
# Keys read at once, so that ten million old rows do not have to fit into memory.
READ_AHEAD = 50_000


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
    batch: int = BATCH,
    dry_run: bool = False,
) -> Pruned:
    """Delete old notifications with their letters, and null old addresses on heists.

    `read`, `unread` and `address` are ages; what is not given is the setting's. Safe to interrupt and to repeat.
    """
    now = timezone.now()
    using = router.db_for_write(Heist)
    old = Q(read=True, created_at__lt=now - (read or conf.retention_read()))
    old |= Q(read=False, created_at__lt=now - (unread or conf.retention_unread()))
    notifications = HeistNotification.objects.using(using).filter(old)
    # In the order of the partial index of addresses, which holds no heist that has lost its own.
    heists = (
        Heist.objects.using(using)
        .filter(ip_address__isnull=False, created_at__lt=now - (address or conf.retention_address()))
        .order_by("ip_address", "created_at")
    )
    if dry_run:
        return Pruned(notifications.count(), heists.count())

    def delete(pks: list[int]) -> int:
        # The condition again: a notification may have been read, or marked unread, in between.
        return notifications.filter(pk__in=pks).delete()[1].get(HeistNotification._meta.label, 0)

    return Pruned(
        _in_batches(notifications.order_by("created_at"), delete, batch),
        _in_batches(heists, lambda pks: heists.order_by().filter(pk__in=pks).update(ip_address=None), batch),
    )


def _in_batches(rows: QuerySet[Any], deed: Callable[[list[int]], int], batch: int) -> int:
    total = 0
    while pks := list(rows.values_list("pk", flat=True)[:READ_AHEAD]):
        done = sum(deed(pks[start : start + batch]) for start in range(0, len(pks), batch))
        total += done
        if not done:
            # Somebody else prunes the same rows; what is left is theirs.
            break
    return total
