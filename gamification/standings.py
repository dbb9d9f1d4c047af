"""Reads the leaderboard of points of any month (docs/specification.md, "The month turns").

A player's points of an earlier month are in a `MonthlyStanding`, or on the profile until it is closed. Both are
read and merged, a page at a time, so a page is exact at any time and costs the same before and after `close_month`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth import get_user_model
from django.db import router
from django.db.models import F, QuerySet

from heists.economy import CLOCK_TOLERANCE, current_month, get_economy

from .models import MonthlyStanding, PlayerProfile


def boards(month: dt.date, now: dt.datetime) -> list[QuerySet[Any]]:
    """Return querysets of users with `monthly_points`, which together contain all players with points in this month.

    Read them in their order: a profile that is closed in between is then read twice, and never missed.
    """
    using, users = _using(), get_user_model().objects
    if month == current_month(now):
        return [get_economy().leaderboard().using(using)]
    stale = users.filter(player_profile__month=month, player_profile__monthly_points__gt=0)
    closed = users.filter(monthly_standings__month=month)
    return [
        stale.annotate(monthly_points=F("player_profile__monthly_points")).using(using),
        closed.annotate(monthly_points=F("monthly_standings__points")).using(using),
    ]


def is_final(month: dt.date, now: dt.datetime) -> bool:
    """Return whether everybody's points of this month are standings; False until it is over on every host."""
    if month >= current_month(now - CLOCK_TOLERANCE):
        return False
    profiles = PlayerProfile.objects.using(_using()).filter(month=month)
    # In the order of an index. For `exists()`, a prepared plan of PostgreSQL scans all profiles, where none is left.
    most = profiles.order_by("-monthly_points").values_list("monthly_points", flat=True).first()
    return not most


def first_month(now: dt.datetime) -> dt.date:
    """Return the first month whose points are kept; the current month where there is none."""
    using = _using()
    oldest: list[dt.date | None] = [
        model.objects.using(using).order_by("month").values_list("month", flat=True).first()
        for model in (PlayerProfile, MonthlyStanding)
    ]
    return min([current_month(now), *filter(None, oldest)])


def _using() -> str:
    return router.db_for_read(PlayerProfile)
