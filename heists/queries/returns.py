"""What staff returned of the points of heists, to be subtracted from what was stolen.

Reversals are few, and one may be of a heist whose day is closed: so they are never part of a cached sum.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDate

from .. import conf
from ..choices import HeistRole
from ..models import Reversal
from ..rules import CLOCK_TOLERANCE, month_start


class Returned(NamedTuple):
    """How many heists were reversed, and how many points they returned."""

    heists: int
    points: int


def by_player(role: HeistRole, since: dt.datetime, until: dt.datetime | None = None) -> dict[str, int]:
    """Return the points returned of heists since a time, and before another, by the key of the player in this role.

    Keys are texts, as in `leaderboard`.
    """
    of_heists = _of_heists(since)
    if until is not None:
        of_heists = of_heists.filter(heist__created_at__lt=until)
    rows = of_heists.values_list(f"heist__{role}").annotate(points=Sum("points_returned"))
    # PostgreSQL adds up 64-bit integers as decimals.
    return {str(key): int(points) for key, points in rows}


def by_day(zone: dt.tzinfo, since: dt.datetime) -> dict[str, int]:
    """Return the points returned of heists since a time, by the date of the heist in this zone, as ISO 8601."""
    dated = _of_heists(since).annotate(date=TruncDate("heist__created_at", tzinfo=zone))
    rows = dated.values_list("date").annotate(points=Sum("points_returned"))
    return {date.isoformat(): int(points) for date, points in rows}


def this_month(now: dt.datetime) -> Returned:
    """Return what was returned in this calendar month of the site's time zone."""
    reversals = Reversal.objects.filter(created_at__gte=month_start(conf.rules(), now))
    found = reversals.aggregate(heists=Count("*"), points=Sum("points_returned", default=0))
    return Returned(found["heists"], int(found["points"]))


def _of_heists(since: dt.datetime) -> QuerySet[Reversal]:
    # A reversal is later than its heist, so the first condition is redundant; an index serves it.
    return Reversal.objects.filter(created_at__gte=since - CLOCK_TOLERANCE, heist__created_at__gte=since).order_by()
