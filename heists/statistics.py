"""The economy in plain numbers, for the dashboard. Reads only."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, F, Min, Sum, Window
from django.db.models.functions import Lag, TruncDate
from django.utils import timezone

from . import standings
from .choices import HeistStatus, LetterState
from .days import DAY, GRACE, MINUTE, Days
from .models import Heist, HeistToken, Letter, Shield
from .remembered import remembered
from .standings import ATTACKER, VICTIM

# The warnings of spec section 7: more rejections of one player in an hour, more attacks on one victim in a day.
REJECTIONS_AN_HOUR = 10
ATTACKS_A_DAY = 5
# How many players a list names.
NAMED = 10
# The periods of the dashboard, in days.
PERIODS = (7, 30, 90)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the site's time zone: attempts by status, and the points that moved."""

    date: dt.date
    counts: dict[str, int]
    points: int

    @property
    def attempts(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Rank:
    """A player's successes in a period, as attacker or as victim; `player` is None for a deleted account."""

    player: Any
    heists: int
    points: int


@dataclass(frozen=True, slots=True)
class Period:
    """The last days up to now, every day present, also an empty one."""

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
        """Successes per hundred attempts; None without any attempt."""
        return 100 * self.successes / self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class Outbox:
    """Letters that wait, since when the first of them is due, and those given up in the last 30 days."""

    waiting: int
    oldest_due_at: dt.datetime | None
    failed: int


@dataclass(frozen=True, slots=True)
class Warning:
    """A player whose last day looks like no game: how many rejections, or how many attacks."""

    player: Any
    count: int


def period(days: int, now: dt.datetime) -> Period:
    """Return the last `days` days of the site's time zone, today included."""
    zone = timezone.get_default_timezone()
    first = now.astimezone(zone).date() - (days - 1) * DAY
    stretch, tally = Days.up_to(now, first, zone), partial(_tallies, zone)
    tallies = stretch.closed("days", tally) + stretch.opened("days", tally)
    by_date: dict[str, tuple[dict[str, int], int]] = {}
    for date, status, count, points in tallies:
        counts, moved = by_date.get(date, ({}, 0))
        by_date[date] = ({**counts, status: counts.get(status, 0) + count}, moved + points)
    dates = [first + number * DAY for number in range(days)]
    tops = {role: standings.best(stretch, role, NAMED) for role in (ATTACKER, VICTIM)}
    people = get_user_model()._default_manager.in_bulk({key for top in tops.values() for key, _h, _p in top})
    ranks = {role: [Rank(people.get(key), heists, points) for key, heists, points in top] for role, top in tops.items()}
    return Period(
        days=[Day(date, *by_date.get(date.isoformat(), ({}, 0))) for date in dates],
        attackers=ranks[ATTACKER],
        victims=ranks[VICTIM],
    )


def summarize(now: dt.datetime) -> None:
    """Add up the closed days before a page asks for them: once a day, one to two hours after the site's midnight.

    That is what pages of each period, and the leaderboard of the month, look back on until the next midnight, and in
    the two hours after it.
    """
    zone = timezone.get_default_timezone()
    until = (now - GRACE).astimezone(zone).date()
    for today in (until, until + DAY):
        for days in PERIODS:
            stretch = Days.since(today - (days - 1) * DAY, zone, closed_before=until)
            stretch.closed("days", partial(_tallies, zone))
            for role in (ATTACKER, VICTIM):
                standings.closed_best(stretch, role, NAMED)
        month = Days.since(today.replace(day=1), zone, closed_before=until)
        standings.closed_best(month, ATTACKER, standings.RANKED)


def token_distribution() -> list[tuple[int, int]]:
    """How many players hold how many tokens, as (balance, players), few tokens first; at most five minutes old."""

    def count() -> list[list[int]]:
        rows = HeistToken.objects.values_list("balance").annotate(players=Count("*")).order_by("balance")
        return [list(row) for row in rows]

    found = remembered("tokens", count, dt.timedelta(minutes=5))
    return [(balance, players) for balance, players in found]


def live_shields(now: dt.datetime) -> int:
    """How many players are shielded at `now`."""
    return Shield.objects.live(now).count()


def outbox(now: dt.datetime) -> Outbox:
    """How deep the outbox is."""
    waiting = Letter.objects.filter(state=LetterState.WAITING).aggregate(count=Count("*"), oldest=Min("due_at"))
    failed = Letter.objects.filter(state=LetterState.FAILED, created_at__gte=now - 30 * DAY).count()
    return Outbox(waiting["count"], waiting["oldest"], failed)


def hasty_players(now: dt.datetime) -> list[Warning]:
    """Players with over 10 rejections in some hour of the last 24, and how many they had in all of them."""
    rejections = Heist.objects.rejections().filter(created_at__gte=now - DAY, created_at__lte=now)
    # A rejection less than an hour after the tenth before it is the eleventh in that hour.
    eleventh = rejections.annotate(
        tenth_before=Window(
            Lag("created_at", REJECTIONS_AN_HOUR), partition_by=F("attacker"), order_by=[F("created_at"), F("pk")]
        )
    ).filter(tenth_before__gt=F("created_at") - dt.timedelta(hours=1))
    hasty = remembered("hasty", lambda: [*map(str, set(eleventh.values_list("attacker", flat=True)))], MINUTE)
    return _warnings(_counted(rejections.filter(attacker__in=hasty), "attacker", 0)) if hasty else []


def besieged_players(now: dt.datetime) -> list[Warning]:
    """Players whom others attacked over 5 times in the last 24 hours, rejections included."""
    attacks = Heist.objects.filter(created_at__gte=now - DAY, created_at__lte=now).exclude(attacker=F("victim"))
    return _warnings(remembered("besieged", lambda: _counted(attacks, "victim", ATTACKS_A_DAY), MINUTE))


def _counted(heists: Any, role: str, more_than: int) -> list[list[Any]]:
    """The players with the most of these heists, as [key, count]."""
    counted = heists.order_by().values_list(role).annotate(count=Count("*")).filter(count__gt=more_than)
    return [[str(key), count] for key, count in counted.order_by("-count", role)[:NAMED]]


def _warnings(worst: list[list[Any]]) -> list[Warning]:
    to_key = get_user_model()._meta.pk.to_python
    counts = {to_key(key): count for key, count in worst}
    people = get_user_model()._default_manager.in_bulk(counts)
    return [Warning(people.get(key), count) for key, count in counts.items()]


def _tallies(zone: dt.tzinfo, since: dt.datetime, until: dt.datetime | None) -> list[list[Any]]:
    """Attempts and points by date and status, as JSON can keep them."""
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
