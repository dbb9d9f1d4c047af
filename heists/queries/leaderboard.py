"""A player's totals, and the month's most successful attackers (docs/specification.md, "HTTP API")."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Count, Sum

from ..choices import HeistRole, HeistStatus
from ..models import Heist
from ..rules import day_start, month_after, month_of
from . import returns
from .rollups import Rollup

# The most places that a client may ask for.
MAX_PLACES = 100
# The most players whose sums of the closed days are cached.
MAX_CANDIDATES = 10_000


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts and sums over all of one player's heists. Points are those that staff did not return."""

    attempts: int
    rejected: int
    successful: int
    blocked: int
    points_gained: int
    times_robbed: int
    attacks_blocked: int
    points_lost: int

    @property
    def net_points(self) -> int:
        return self.points_gained - self.points_lost


@dataclass(frozen=True, slots=True)
class Leader:
    """One place on the leaderboard. Points are those that staff did not return."""

    rank: int
    player: Any
    heists: int
    points_stolen: int


def totals(player_id: Any) -> Totals:
    """Return a player's totals as attacker and as victim, in two statements."""
    as_attacker = _by_status(Heist.objects.filter(attacker=player_id))
    as_victim = _by_status(Heist.objects.filter(victim=player_id, token_spent=True))
    none = (0, 0)
    successful, gained = as_attacker.get(HeistStatus.SUCCESS, none)
    blocked, _ = as_attacker.get(HeistStatus.FAILED_SHIELD, none)
    robbed, lost = as_victim.get(HeistStatus.SUCCESS, none)
    attempts = sum(count for count, _ in as_attacker.values())
    return Totals(
        attempts=attempts,
        rejected=attempts - successful - blocked,
        successful=successful,
        blocked=blocked,
        points_gained=gained,
        times_robbed=robbed,
        attacks_blocked=as_victim.get(HeistStatus.FAILED_SHIELD, none)[0],
        points_lost=lost,
    )


def _by_status(heists: Any) -> dict[str, tuple[int, int]]:
    kept = Sum("points_stolen") - Sum("reversal__points_returned", default=0)
    rows = heists.order_by().values_list("status").annotate(heists=Count("pk"), points=kept)
    return {status: (count, points) for status, count, points in rows}


def first_month(now: dt.datetime) -> dt.date:
    """Return the first day of the month of the oldest heist; of the current month where there is none."""
    oldest = Heist.objects.order_by("created_at").values_list("created_at", flat=True).first()
    return month_of(settings.TIME_ZONE, min(now, oldest or now))


def leaders(*, now: dt.datetime, limit: int, month: dt.date | None = None) -> list[Leader]:
    """Return a calendar month's best attackers by points stolen and kept; ties by heists, then by primary key.

    `month` is its first day; by default the current month. Where the sums are slow, the ranking is a minute old at
    most.
    """
    zone = settings.TIME_ZONE
    month = month or month_of(zone, now)
    rollup = Rollup.up_to(now, month, zone, end=day_start(zone, month_after(month)))
    rows = best(rollup, HeistRole.ATTACKER, MAX_PLACES)[:limit]
    players = get_user_model()._default_manager.in_bulk([key for key, _heists, _points in rows])
    # An account may have been deleted since the sums were cached.
    rows = [row for row in rows if row[0] in players]
    return [Leader(rank, players[key], heists, points) for rank, (key, heists, points) in enumerate(rows, 1)]


def best(rollup: Rollup, role: HeistRole, places: int) -> list[tuple[Any, int, int]]:
    """Return the players with the most points of successes as (key, heists, points), in this role.

    Points are those stolen less those returned; players whose points were all returned are not on the list. The ranking
    is exact. It is computed from the cached sums of the closed days where they decide it, and else from the heists of
    the whole period.
    """

    def compute(since: dt.datetime, until: dt.datetime | None) -> list[list[Any]]:
        returned = returns.by_player(role, rollup.start, rollup.end)
        ranked = _from_closed(rollup, role, places, returned)
        if ranked is None:
            # Each player with returned points may fall behind one of these, and nobody rises by it.
            ranked = _ranks(role, rollup.start, rollup.end, limit=places + len(returned))
        kept = [[key, heists, points - returned.get(key, 0)] for key, heists, points in ranked]
        return [row for row in kept if row[2] > 0]

    to_key = get_user_model()._meta.pk.to_python
    players = [(to_key(key), heists, points) for key, heists, points in rollup.open(f"best-{role}-{places}", compute)]
    return sorted(players, key=lambda player: (-player[2], -player[1], player[0]))[:places]


def closed_best(rollup: Rollup, role: HeistRole) -> list[list[Any]]:
    """Return the players with the most points in the closed days, as [key, heists, points]."""
    return rollup.closed(f"closed-{role}", partial(_ranks, role, limit=MAX_CANDIDATES))


def _from_closed(rollup: Rollup, role: HeistRole, places: int, returned: dict[str, int]) -> list[list[Any]] | None:
    """Return the best players by closed and open sums; None where the candidates may leave one of them out.

    No player adds more than `most` points in the open rest. So a player whose closed sum is more than `most` below the
    last place of the closed days, less what was returned, stays below that place.
    """
    closed = closed_best(rollup, role)
    if len(closed) < places:
        return None
    opened = _ranks(role, rollup.until, rollup.end, limit=1)
    most = opened[0][2] if opened else 0
    last_place = sorted((points - returned.get(key, 0) for key, _heists, points in closed), reverse=True)[places - 1]
    left_out = closed[-1][2] if len(closed) == MAX_CANDIDATES else 0
    if left_out + most >= last_place and (most or returned):
        return None
    totals = {key: [key, heists, points] for key, heists, points in closed if points + most >= last_place}
    rest = _ranks(role, rollup.until, rollup.end, only=list(totals)) if most else []
    for key, heists, points in rest:
        totals[key] = [key, totals[key][1] + heists, totals[key][2] + points]
    return list(totals.values())


def _ranks(
    role: HeistRole,
    since: dt.datetime,
    until: dt.datetime | None,
    *,
    only: list[Any] | None = None,
    limit: int | None = None,
) -> list[list[Any]]:
    """Return players with their successes as [key, heists, points], most points first: `limit` of them, or `only`."""
    rows = Heist.objects.successful().filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    if only is not None:
        rows = rows.filter(**{f"{role}__in": only})
    summed = rows.order_by().values_list(role).annotate(heists=Count("*"), points=Sum("points_stolen"))
    ranked = summed.order_by("-points", "-heists", role)[:limit]
    # PostgreSQL adds up 64-bit integers as decimals.
    return [[str(key), heists, int(points)] for key, heists, points in ranked]
