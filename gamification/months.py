"""The month turns: profiles begin a new month, and keep what they had as standings (docs/specification.md).

A profile of an earlier month is stale: its points count as 0 for every reader, so nothing depends on when it is
closed. The first lock of a stale profile closes it (`begin_month`); `close_month` closes all others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.db import connections

from heists.db.atomic import durable_atomic
from heists.db.retry import retry_transient
from heists.economy import current_month

from .models import MonthlyStanding, PlayerProfile

BATCH_SIZE = 1000


class LockedProfile(NamedTuple):
    """What a lock of a profile returns."""

    user_id: Any
    month: dt.date
    monthly_points: int


class Closed(NamedTuple):
    """How many profiles began a new month, and how many of them had points to keep."""

    profiles: int
    standings: int


def begin_month(locked: Sequence[LockedProfile], using: str) -> None:
    """Close those of these locked profiles that are of an earlier month, so that all belong to one month then.

    The clock is read here, under the locks. A profile may be ahead of it, by the clock of another host: it stays as it
    is, and the others follow it, so that points move within one month. The caller holds the transaction.
    """
    month = max(current_month(), *(profile.month for profile in locked))
    _close([profile for profile in locked if profile.month < month], month, using)


def close_month(
    *, using: str, batch: int = BATCH_SIZE, on_batch: Callable[[Closed], object] = lambda closed: None
) -> Closed:
    """Close all stale profiles, in batches in the order of their users' primary keys, and return how many there were.

    Each batch is a durable transaction, repeated after a deadlock or serialization failure. Profiles that others hold
    are left for a second pass, which waits for them. Safe to run twice or twice at once, and to interrupt: `on_batch`
    is called after each batch. Raises Busy where the database is not available.
    """
    profiles = standings = 0
    for waits in (False, True):
        after: Any = None
        while True:
            closed, after = _close_batch(using, batch, after, waits=waits)
            if not closed.profiles:
                break
            profiles, standings = profiles + closed.profiles, standings + closed.standings
            on_batch(closed)
    return Closed(profiles, standings)


@retry_transient
def _close_batch(using: str, batch: int, after: Any, *, waits: bool) -> tuple[Closed, Any]:
    """Close the next stale profiles, those after the user `after`; return how many, and the last one's user."""
    # Read once, so that a batch begins a later month than it closes, also where the clock is set back.
    month = current_month()
    with durable_atomic(using, repeatable=True):
        stale = _lock_stale(using, month, batch, after, waits=waits)
        standings = _close(stale, month, using)
    return Closed(len(stale), standings), stale[-1].user_id if stale else after


def _lock_stale(using: str, month: dt.date, batch: int, after: Any, *, waits: bool) -> list[LockedProfile]:
    stale = PlayerProfile.objects.using(using).filter(month__lt=month).order_by("user_id")
    if after is not None:
        stale = stale.filter(user_id__gt=after)
    skips = not waits and connections[using].features.has_select_for_update_skip_locked
    rows = stale.select_for_update(skip_locked=skips).values_list("user_id", "month", "monthly_points")
    return [LockedProfile(*row) for row in rows[:batch]]


def _close(stale: Sequence[LockedProfile], month: dt.date, using: str) -> int:
    """Keep the points of locked profiles as standings, begin `month` at 0, and return how many had points."""
    if not stale:
        return 0
    kept = [
        MonthlyStanding(player_id=profile.user_id, month=profile.month, points=profile.monthly_points)
        for profile in stale
        if profile.monthly_points
    ]
    MonthlyStanding.objects.using(using).bulk_create(kept)
    users = [profile.user_id for profile in stale]
    PlayerProfile.objects.using(using).filter(user__in=users).update(month=month, monthly_points=0)
    return len(kept)
