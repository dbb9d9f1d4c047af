"""The numbers of the admin's dashboard (docs/specification.md, "Admin")."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Count, F, Min, Sum, Window
from django.db.models.functions import Lag, TruncDate
from django.utils import timezone

from ..choices import EmailState, HeistRole, HeistStatus
from ..models import Heist, HeistToken, OutboxEmail, Shield
from ..rules import DAY
from . import leaderboard, returns
from .cached import cached
from .rollups import GRACE, OPEN_TIMEOUT, Rollup

# A warning needs more rejections of one player in an hour, or more attacks on one victim in a day.
REJECTIONS_PER_HOUR = 10
ATTACKS_PER_DAY = 5
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


@dataclass(frozen=True, slots=True)
class PlayerWarning:
    """A player with unusually many rejections, or attacks, in the last day, and how many."""

    player: Any
    count: int


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


def players_with_many_rejections(now: dt.datetime) -> list[PlayerWarning]:
    """Return players with over 10 rejections in an hour of the last day, with their rejections of the day."""
    rejections = Heist.objects.rejections().filter(created_at__gte=now - DAY, created_at__lte=now)
    # A rejection less than an hour after the tenth one before it is the eleventh in that hour.
    eleventh = rejections.annotate(
        tenth_before=Window(
            Lag("created_at", REJECTIONS_PER_HOUR), partition_by=F("attacker"), order_by=[F("created_at"), F("pk")]
        )
    ).filter(tenth_before__gt=F("created_at") - dt.timedelta(hours=1))
    keys = cached(
        "many-rejections", lambda: [*map(str, set(eleventh.values_list("attacker", flat=True)))], OPEN_TIMEOUT
    )
    return _warnings(_counted(rejections.filter(attacker__in=keys), HeistRole.ATTACKER, 0)) if keys else []


def players_attacked_often(now: dt.datetime) -> list[PlayerWarning]:
    """Return players whom others attacked over 5 times in the last day, rejections included."""
    attacks = Heist.objects.filter(created_at__gte=now - DAY, created_at__lte=now).exclude(attacker=F("victim"))
    return _warnings(
        cached("attacked-often", lambda: _counted(attacks, HeistRole.VICTIM, ATTACKS_PER_DAY), OPEN_TIMEOUT)
    )


def _counted(heists: Any, role: HeistRole, more_than: int) -> list[list[Any]]:
    """Return the players with the most of these heists, as [key, count]."""
    counted = heists.order_by().values_list(role).annotate(count=Count("*")).filter(count__gt=more_than)
    return [[str(key), count] for key, count in counted.order_by("-count", role)[:PLACES]]


def _warnings(worst: list[list[Any]]) -> list[PlayerWarning]:
    to_key = get_user_model()._meta.pk.to_python
    counts = {to_key(key): count for key, count in worst}
    people = get_user_model()._default_manager.in_bulk(counts)
    return [PlayerWarning(people.get(key), count) for key, count in counts.items()]


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
