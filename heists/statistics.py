"""The economy in plain numbers, for the dashboard. Reads only.

What a closed day holds stays as it is, so the closed part of a period is computed once and remembered in Django's
cache where that took long; what happened since is then at most a minute old. At ten million heists that is the
difference between seconds and milliseconds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count, F, Min, Sum, Window
from django.db.models.functions import Lag, TruncDate
from django.utils import timezone

from .choices import HeistStatus, LetterState
from .models import Heist, HeistToken, Letter, Shield
from .remembered import remembered

DAY = dt.timedelta(days=1)
# The warnings of spec section 7: more rejections of one player in an hour, more attacks on one victim in a day.
REJECTIONS_AN_HOUR = 10
ATTACKS_A_DAY = 5
ROLES = ("attacker", "victim")
# How many players a list names, and how many are kept as candidates for it.
NAMED = 10
CANDIDATES = 100
# The periods of the dashboard, in days.
PERIODS = (7, 30, 90)
# A day is closed this long after its midnight: a heist that is being committed just then still counts.
GRACE = dt.timedelta(hours=1)
# Pages take a day as closed only so much later: in between, `summarize` adds it up and nobody has to wait for it.
AHEAD = dt.timedelta(hours=1)
# How old what happened today may look, on a site where a day takes long to add up.
MINUTE = dt.timedelta(minutes=1)


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
    closed = _closed(first, (now - GRACE - AHEAD).astimezone(zone).date(), zone)
    tallies = closed.tallies + _opened("days", closed, partial(_tallies, closed.until, None, zone))
    by_date: dict[str, tuple[dict[str, int], int]] = {}
    for date, status, count, points in tallies:
        counts, moved = by_date.get(date, ({}, 0))
        by_date[date] = ({**counts, status: counts.get(status, 0) + count}, moved + points)
    dates = [first + number * DAY for number in range(days)]
    tops = {}
    for role in ROLES:
        tops[role] = _top(role, closed)
    people = get_user_model()._default_manager.in_bulk({key for top in tops.values() for key, _h, _p in top})
    ranks = {role: [Rank(people.get(key), heists, points) for key, heists, points in top] for role, top in tops.items()}
    return Period(
        days=[Day(date, *by_date.get(date.isoformat(), ({}, 0))) for date in dates],
        attackers=ranks["attacker"],
        victims=ranks["victim"],
    )


def summarize(now: dt.datetime) -> None:
    """Add up the closed days before a page asks for them: once a day, one to two hours after the site's midnight.

    That is what pages of each period look back on until the next midnight, and in the two hours after it.
    """
    zone = timezone.get_default_timezone()
    until = (now - GRACE).astimezone(zone).date()
    for days in PERIODS:
        for today in (until, until + DAY):
            _closed(today - (days - 1) * DAY, until, zone)


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


@dataclass(frozen=True, slots=True)
class _Closed:
    """What the closed days of a period hold: its tallies, and the best of each role."""

    start: dt.datetime
    until: dt.datetime
    tallies: list[list[Any]]
    best: dict[str, list[list[Any]]]


def _closed(first: dt.date, until: dt.date, zone: dt.tzinfo) -> _Closed:
    """Add up the days from the first one up to, and without, `until`; or remember what they came to."""
    start = dt.datetime.combine(first, dt.time(), zone)
    end = max(start, dt.datetime.combine(until, dt.time(), zone))
    # The newest closed heist is in the name: a database that is filled anew is another one.
    newest = Heist.objects.filter(created_at__lt=end).newest_first().values_list("pk", flat=True).first()
    days = f"{start:%Y%m%d%z}:{end:%Y%m%d%z}:{newest}"

    def part(name: str, compute: Callable[[], list[Any]]) -> list[Any]:
        return remembered(f"{name}:{days}", compute, 2 * DAY)

    return _Closed(
        start,
        end,
        part("days", partial(_tallies, start, end, zone)),
        {role: part(role, partial(_ranks, role, start, end)) for role in ROLES},
    )


def _opened(name: str, closed: _Closed, compute: Callable[[], list[Any]]) -> list[Any]:
    """What came after the closed days; at most a minute old."""
    return remembered(f"open-{name}:{closed.until:%Y%m%d%z}", compute, MINUTE)


def _tallies(since: dt.datetime, until: dt.datetime | None, zone: dt.tzinfo) -> list[list[Any]]:
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


def _ranks(role: str, since: dt.datetime, until: dt.datetime | None, only: list[Any] | None = None) -> list[list[Any]]:
    """The players with the most points of successes, as [key, heists, points]; of all players or only of these."""
    rows = Heist.objects.successful().filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    if only is not None:
        rows = rows.filter(**{f"{role}__in": only})
    summed = rows.order_by().values_list(role).annotate(heists=Count("*"), points=Sum("points_stolen"))
    ranked = summed.order_by("-points", role)
    return [[str(key), heists, points] for key, heists, points in (ranked if only is not None else ranked[:CANDIDATES])]


def _top(role: str, closed: _Closed) -> list[tuple[Any, int, int]]:
    """Add what is still open to the closed part: of the best of both, whatever the other part holds of them."""
    opened = _opened(role, closed, partial(_ranks, role, closed.until, None))
    totals = {key: (heists, points) for key, heists, points in closed.best[role]}
    newcomers = [key for key, _heists, _points in opened if key not in totals]
    known = {key for key, _heists, _points in opened}
    late = _ranks(role, closed.start, closed.until, only=newcomers) if newcomers else []
    rest = _ranks(role, closed.until, None, only=[key for key in totals if key not in known]) if opened else []
    for key, heists, points in (*opened, *late, *rest):
        before = totals.get(key, (0, 0))
        totals[key] = (before[0] + heists, before[1] + points)
    to_key = get_user_model()._meta.pk.to_python
    best = sorted(totals.items(), key=lambda item: (-item[1][1], item[0]))[:NAMED]
    return [(to_key(key), heists, points) for key, (heists, points) in best]
