"""What players have to show for themselves: a player's totals, the month's best attackers (spec section 6)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.db.models import Count, Sum

from . import conf, rules
from .choices import HeistStatus
from .days import Days
from .models import Heist

ATTACKER, VICTIM = "attacker", "victim"
# As many as anybody may ask for.
RANKED = 100
# Candidates for each name on a list: whoever is among the best of two parts together is among these of one.
CANDIDATES = 10


@dataclass(frozen=True, slots=True)
class Totals:
    """All of one player's heists, counted."""

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
    """Count what a player did and what was done to them, in two statements."""
    done = _by_status(Heist.objects.filter(attacker=player_id))
    suffered = _by_status(Heist.objects.filter(victim=player_id, token_spent=True))
    none = (0, 0)
    successful, gained = done.get(HeistStatus.SUCCESS, none)
    blocked, _ = done.get(HeistStatus.FAILED_SHIELD, none)
    robbed, lost = suffered.get(HeistStatus.SUCCESS, none)
    attempts = sum(count for count, _ in done.values())
    return Totals(
        attempts=attempts,
        rejected=attempts - successful - blocked,
        successful=successful,
        blocked=blocked,
        points_gained=gained,
        times_robbed=robbed,
        attacks_blocked=suffered.get(HeistStatus.FAILED_SHIELD, none)[0],
        points_lost=lost,
    )


def _by_status(heists: Any) -> dict[str, tuple[int, int]]:
    rows = heists.order_by().values_list("status").annotate(heists=Count("pk"), points=Sum("points_stolen"))
    return {status: (count, points) for status, count, points in rows}


def leaders(*, now: dt.datetime, limit: int) -> list[Leader]:
    """Return this calendar month's best attackers by points stolen; ties by heists, then by key.

    Where that takes long to add up, the ranking is up to a minute old.
    """
    month = rules.month_start(conf.rules(), now)
    days = Days.up_to(now, month.date(), ZoneInfo(conf.rules().time_zone))
    rows = best(days, ATTACKER, RANKED)[:limit]
    players = get_user_model()._default_manager.in_bulk([key for key, _heists, _points in rows])
    # An account may have been deleted since.
    rows = [row for row in rows if row[0] in players]
    return [Leader(rank, players[key], heists, points) for rank, (key, heists, points) in enumerate(rows, 1)]


def best(days: Days, role: str, named: int) -> list[tuple[Any, int, int]]:
    """Return the players with the most points of successes as (key, heists, points), as attackers or as victims.

    Of the best of the closed days and the best of what came since, whatever the other part holds of them.
    """
    closed = closed_best(days, role, named)
    opened = days.opened(f"{role}-{named}", partial(_ranks, role, limit=CANDIDATES * named))
    totals = {key: (heists, points) for key, heists, points in closed}
    known = {key for key, _heists, _points in opened}
    late = _ranks(role, days.start, days.until, only=[key for key in known if key not in totals])
    rest = _ranks(role, days.until, None, only=[key for key in totals if key not in known]) if opened else []
    for key, heists, points in (*opened, *late, *rest):
        before = totals.get(key, (0, 0))
        totals[key] = (before[0] + heists, before[1] + points)
    to_key = get_user_model()._meta.pk.to_python
    players = [(to_key(key), heists, points) for key, (heists, points) in totals.items()]
    return sorted(players, key=lambda player: (-player[2], -player[1], player[0]))[:named]


def closed_best(days: Days, role: str, named: int) -> list[Any]:
    """Return who may be among the best so far, as [key, heists, points] of the closed days."""
    return days.closed(f"{role}-{named}", partial(_ranks, role, limit=CANDIDATES * named))


def _ranks(
    role: str,
    since: dt.datetime,
    until: dt.datetime | None,
    *,
    only: list[Any] | None = None,
    limit: int | None = None,
) -> list[list[Any]]:
    """Players with their successes, as [key, heists, points], most points first; so many, or only these."""
    rows = Heist.objects.successful().filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    if only is not None:
        rows = rows.filter(**{f"{role}__in": only})
    summed = rows.order_by().values_list(role).annotate(heists=Count("*"), points=Sum("points_stolen"))
    ranked = summed.order_by("-points", "-heists", role)[:limit]
    return [[str(key), heists, points] for key, heists, points in ranked]
