"""What players have to show for themselves: a player's totals, the month's best attackers (spec section 6)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, Sum

from . import conf, rules
from .choices import HeistStatus
from .models import Heist


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
    """Return this calendar month's best attackers by points stolen, in two statements; ties by heists, then by key."""
    best = (
        Heist.objects.successful()
        .filter(created_at__gte=rules.month_start(conf.rules(), now))
        .order_by()
        .values_list("attacker")
        .annotate(heists=Count("pk"), points=Sum("points_stolen"))
        .order_by("-points", "-heists", "attacker")[:limit]
    )
    rows = list(best)
    players = get_user_model()._default_manager.in_bulk([player_id for player_id, _, _ in rows])
    # An account may be deleted between the two statements.
    rows = [row for row in rows if row[0] in players]
    return [
        Leader(rank, players[player_id], heists, points) for rank, (player_id, heists, points) in enumerate(rows, 1)
    ]
