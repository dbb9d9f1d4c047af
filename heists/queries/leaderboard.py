"""A player's totals, and the month's most successful attackers (docs/specification.md, "HTTP API")."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.db.models import Count, Sum

from .. import conf
from ..choices import HeistRole, HeistStatus
from ..models import Heist
from ..rules import month_start
from .rollups import Rollup

# The most places that a client may ask for.
MAX_PLACES = 100
# Candidates read for each place: a player among the best of two parts together is among these of one part.
CANDIDATES_PER_PLACE = 10


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts and sums over all of one player's heists."""

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
    """One place on the leaderboard."""

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
    rows = heists.order_by().values_list("status").annotate(heists=Count("pk"), points=Sum("points_stolen"))
    return {status: (count, points) for status, count, points in rows}


def leaders(*, now: dt.datetime, limit: int) -> list[Leader]:
    """Return this calendar month's best attackers by points stolen; ties by heists, then by primary key.

    Where the sums are slow, the ranking is a minute old at most.
    """
    rules = conf.rules()
    rollup = Rollup.up_to(now, month_start(rules, now).date(), ZoneInfo(rules.time_zone))
    rows = best(rollup, HeistRole.ATTACKER, MAX_PLACES)[:limit]
    players = get_user_model()._default_manager.in_bulk([key for key, _heists, _points in rows])
    # An account may have been deleted since the sums were cached.
    rows = [row for row in rows if row[0] in players]
    return [Leader(rank, players[key], heists, points) for rank, (key, heists, points) in enumerate(rows, 1)]


def best(rollup: Rollup, role: HeistRole, places: int) -> list[tuple[Any, int, int]]:
    """Return the players with the most points of successes as (key, heists, points), in this role.

    It merges the best of the closed days and the best of the open rest, each with their sums of the other part.
    """
    closed = closed_best(rollup, role, places)
    opened = rollup.open(f"{role}-{places}", partial(_ranks, role, limit=CANDIDATES_PER_PLACE * places))
    totals = {key: (heists, points) for key, heists, points in closed}
    known = {key for key, _heists, _points in opened}
    late = _ranks(role, rollup.start, rollup.until, only=[key for key in known if key not in totals])
    rest = _ranks(role, rollup.until, None, only=[key for key in totals if key not in known]) if opened else []
    for key, heists, points in (*opened, *late, *rest):
        before = totals.get(key, (0, 0))
        totals[key] = (before[0] + heists, before[1] + points)
    to_key = get_user_model()._meta.pk.to_python
    players = [(to_key(key), heists, points) for key, (heists, points) in totals.items()]
    return sorted(players, key=lambda player: (-player[2], -player[1], player[0]))[:places]


def closed_best(rollup: Rollup, role: HeistRole, places: int) -> list[Any]:
    """Return the candidates of the closed days, as [key, heists, points]."""
    return rollup.closed(f"{role}-{places}", partial(_ranks, role, limit=CANDIDATES_PER_PLACE * places))


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
    return [[str(key), heists, points] for key, heists, points in ranked]
