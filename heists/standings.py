"""What players have to show for themselves: a player's totals, the month's best attackers (spec section 6)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, Sum

from . import conf, rules
from .choices import HeistStatus
from .models import Heist
from .remembered import remembered

# As many as anybody may ask for, and how long they stand where adding them up takes long.
RANKED = 100
RANKING_LIFE = dt.timedelta(minutes=1)


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

    Summing a busy month takes longer than a page may, so there the ranking is up to a minute old.
    """
    since = rules.month_start(conf.rules(), now)
    ranking = remembered(f"leaders:{since:%Y%m%d%z}", partial(_ranking, since), RANKING_LIFE)[:limit]
    to_key = get_user_model()._meta.pk.to_python
    rows = [(to_key(key), heists, points) for key, heists, points in ranking]
    players = get_user_model()._default_manager.in_bulk([key for key, _heists, _points in rows])
    # An account may have been deleted since.
    rows = [row for row in rows if row[0] in players]
    return [Leader(rank, players[key], heists, points) for rank, (key, heists, points) in enumerate(rows, 1)]


def _ranking(since: dt.datetime) -> list[list[Any]]:
    best = (
        Heist.objects.successful()
        .filter(created_at__gte=since)
        .order_by()
        .values_list("attacker")
        .annotate(heists=Count("pk"), points=Sum("points_stolen"))
        .order_by("-points", "-heists", "attacker")[:RANKED]
    )
    return [[str(key), heists, points] for key, heists, points in best]
