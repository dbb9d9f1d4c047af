"""The numbers of the admin's dashboard (docs/specification.md, "Admin")."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Count, Min, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from ..choices import EmailState, HeistRole, HeistStatus
from ..models import Heist, HeistToken, OutboxEmail, Shield
from ..rules import DAY
from . import leaderboard, returns, warnings
from .cached import cached
from .rollups import GRACE, Rollup

# Players on a list.
PLACES = 10
PERIODS_DAYS = (7, 30, 90)
FAILED_EMAILS_DAYS = 30


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the site's time zone: attempts by status, and the points that moved and were not returned."""

    date: dt.date
    counts: dict[str, int]
    points: int

    @property
    def attempts(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Rank:
    """A player's successes in a period, as attacker or victim. `player` is None for a deleted account."""

    player: Any
    heists: int
    points: int


@dataclass(frozen=True, slots=True)
class Period:
    """The last days up to now. Days without heists are included."""

    days: list[Day]
    attackers: list[Rank]
    victims: list[Rank]

    @property
    def attempts(self) -> int:
        return sum(day.attempts for day in self.days)

    @property
    def successes(self) -> int:
        return sum(day.counts.get(HeistStatus.SUCCESS, 0) for day in self.days)

    @property
    def points(self) -> int:
        return sum(day.points for day in self.days)

    @property
    def success_rate(self) -> float | None:
        """Successes per hundred attempts; None without attempts."""
        return 100 * self.successes / self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class Outbox:
    """How many emails wait, when the first of them was due, and how many were given up in the last 30 days."""

    waiting: int
    oldest_due_at: dt.datetime | None
    failed: int


def period(days: int, now: dt.datetime) -> Period:
    """Return the last `days` days of the site's time zone, today included."""
    zone = timezone.get_default_timezone()
    first = now.astimezone(zone).date() - (days - 1) * DAY
    rollup, tally = Rollup.up_to(now, first, settings.TIME_ZONE), partial(_tallies, zone)
    tallies = rollup.closed("days", tally) + rollup.open("days", tally)
    by_date: dict[str, tuple[dict[str, int], int]] = {}
    for date, status, count, points in tallies:
        # A clock that is set back over midnight repeats the end of the day before.
        date = max(date, first.isoformat())
        counts, moved = by_date.get(date, ({}, 0))
        by_date[date] = ({**counts, status: counts.get(status, 0) + count}, moved + points)
    for date, points in returns.by_day(zone, rollup.start).items():
        date = max(date, first.isoformat())
        counts, moved = by_date.get(date, ({}, 0))
        by_date[date] = (counts, moved - points)
    dates = [first + number * DAY for number in range(days)]
    tops = {role: leaderboard.best(rollup, role, PLACES) for role in HeistRole}
    people = get_user_model()._default_manager.in_bulk({key for top in tops.values() for key, _h, _p in top})
    ranks = {role: [Rank(people.get(key), heists, points) for key, heists, points in top] for role, top in tops.items()}
    return Period(
        days=[Day(date, *by_date.get(date.isoformat(), ({}, 0))) for date in dates],
        attackers=ranks[HeistRole.ATTACKER],
        victims=ranks[HeistRole.VICTIM],
    )


def summarize(now: dt.datetime) -> None:
    """Cache the sums of the closed days before a page needs them: once a day, one to two hours after midnight.

    These are the sums that pages of each period, and the month's leaderboard, use until two hours after the next
    midnight.
    """
    zone = timezone.get_default_timezone()
    until = (now - GRACE).astimezone(zone).date()
    for today in (until, until + DAY):
        for days in PERIODS_DAYS:
            rollup = Rollup.since(today - (days - 1) * DAY, settings.TIME_ZONE, closed_before=until)
            rollup.closed("days", partial(_tallies, zone))
            for role in HeistRole:
                leaderboard.closed_best(rollup, role)
        warnings.summarize(Rollup.since(warnings.first_day(today), settings.TIME_ZONE, closed_before=until))
        month = Rollup.since(today.replace(day=1), settings.TIME_ZONE, closed_before=until)
        leaderboard.closed_best(month, HeistRole.ATTACKER)


def token_distribution() -> list[tuple[int, int]]:
    """Return how many players hold how many tokens, as (balance, players), by balance; five minutes old at most."""

    def count() -> list[list[int]]:
        rows = HeistToken.objects.values_list("balance").annotate(players=Count("*")).order_by("balance")
        return [list(row) for row in rows]

    found = cached("tokens", count, dt.timedelta(minutes=5))
    return [(balance, players) for balance, players in found]


def live_shields(now: dt.datetime) -> int:
    """Return how many players have a live shield."""
    return Shield.objects.live(now).count()


def outbox(now: dt.datetime) -> Outbox:
    """Return the state of the outbox."""
    waiting = OutboxEmail.objects.filter(state=EmailState.WAITING).aggregate(count=Count("*"), oldest=Min("due_at"))
    failed = OutboxEmail.objects.filter(state=EmailState.FAILED, created_at__gte=now - FAILED_EMAILS_DAYS * DAY).count()
    return Outbox(waiting["count"], waiting["oldest"], failed)


def _tallies(zone: dt.tzinfo, since: dt.datetime, until: dt.datetime | None) -> list[list[Any]]:
    """Return attempts and points by date and status, as rows for JSON."""
    rows = Heist.objects.filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    grouped = (
        rows.order_by()
        .annotate(date=TruncDate("created_at", tzinfo=zone))
        .values_list("date", "status")
        .annotate(count=Count("*"), points=Sum("points_stolen"))
    )
    return [[date.isoformat(), status, count, points] for date, status, count, points in grouped]
