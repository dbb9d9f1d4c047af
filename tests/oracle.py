"""What docs/specification.md, "The rules", says about one attempt, read from the rows in the simplest way.

Tests compare the code with this. It reads every row and counts in Python, and imports neither `heists.rules` nor
`heists.queries`: two ways to the same answer.
"""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from gamification.models import PlayerProfile, PointEvent
from heists.models import Heist, HeistToken, TokenGrant, Truce

# The specification's table.
DEFAULTS = {
    "TOKEN_COST": 1,
    "STEAL_PERCENTAGE": 5,
    "MAX_STEAL_POINTS": 100,
    "MIN_TARGET_POINTS": 20,
    "COOLDOWN_HOURS": 24,
    "TARGET_COOLDOWN_HOURS": 48,
    "MAX_HEISTS_PER_DAY": 10,
    "PAIR_COOLDOWN_HOURS": 0,
    "MONTHLY_LOSS_PERCENT": 10,
    "NEWCOMER_DAYS": 0,
    "TRUCE_ENABLED": True,
}
DAY = dt.timedelta(hours=24)
# The largest integer that every JSON client reads exactly.
LARGEST = 9_007_199_254_740_991


class No(NamedTuple):
    """One question answered no."""

    code: str
    retry_at: dt.datetime | None = None
    details: dict[str, int] = {}


def rule(name: str) -> int:
    return int(settings.HEISTS.get(name, DEFAULTS[name]))


def questions(attacker: Any, victim: Any, now: dt.datetime) -> list[No]:
    """Return each question that is answered no, in the specification's order; ids are the arguments."""
    answers = [
        other_player(attacker, victim),
        active_player(victim),
        outside_a_truce("own_truce", attacker, now),
        enough_tokens(attacker),
        cooldown_passed(attacker, now),
        under_daily_limit(attacker, now),
        outside_a_truce("truce", victim, now),
        no_newcomer(victim, now),
        pair_may_meet(attacker, victim, now),
        out_of_protection(victim, now),
        enough_points(victim),
        loss_left(victim, now),
        room_for_the_gain(attacker, victim, now),
    ]
    return [answer for answer in answers if answer]


def amount(victim: Any, now: dt.datetime) -> int:
    """Return the points of a success: the percentage, the cap, what is left of the month's loss limit."""
    points = monthly_points(victim)
    if points < rule("MIN_TARGET_POINTS"):
        return 0
    return max(0, min(points * rule("STEAL_PERCENTAGE") // 100, rule("MAX_STEAL_POINTS"), left_to_lose(victim, now)))


def rows(**columns: Any) -> list[dict[str, Any]]:
    """Return the heists with these values, compared here and not by the database."""
    found: Any = Heist.objects.values(
        "attacker", "victim", "status", "created_at", "points_stolen", "rule_set__token_cost"
    )
    return [row for row in found if all(row[name] == value for name, value in columns.items())]


def outcomes(**columns: Any) -> list[dict[str, Any]]:
    """Return the heists that spent a token: successes, and attacks that a shield blocked."""
    return [row for row in rows(**columns) if row["status"] in ("SUCCESS", "FAILED_SHIELD")]


def losses(victim: Any) -> list[dict[str, Any]]:
    """Return the successes against a player; of those to accounts that were deleted, the player's point events."""
    return rows(victim=victim, status="SUCCESS") + [
        {"created_at": event.created_at, "points_stolen": -event.points}
        for event in events_of_deleted(victim, "HEIST_LOSS")
    ]


def events_of_deleted(player: Any, type: str) -> list[PointEvent]:
    """Return a player's point events of this type whose heist is gone: it was deleted with the other account."""
    heists = {f"heist:{pk}" for pk in Heist.objects.values_list("pk", flat=True)}
    # Those of reversals have another reference: a reversed heist counts as before.
    events = [event for event in PointEvent.objects.filter(user=player) if event.reference.startswith("heist:")]
    return [event for event in events if event.type_id == type and event.reference not in heists]


def monthly_points(player: Any) -> int:
    """Return the points of the month on the site's calendar; those of an older month are gone."""
    profile = PlayerProfile.objects.get(user=player)
    today = timezone.now().astimezone(ZoneInfo(settings.TIME_ZONE)).date()
    return profile.monthly_points if (profile.month.year, profile.month.month) >= (today.year, today.month) else 0


def tokens(player: Any) -> int:
    """Return what was granted less what was spent, on deleted heists at the cost in force."""
    granted: int = sum(grant.amount for grant in TokenGrant.objects.all() if grant.player_id == player)
    spent = sum(int(row["rule_set__token_cost"]) for row in outcomes(attacker=player))
    return granted - spent - rule("TOKEN_COST") * len(events_of_deleted(player, "HEIST_GAIN"))


def other_player(attacker: Any, victim: Any) -> No | None:
    return No("self_target") if attacker == victim else None


def active_player(victim: Any) -> No | None:
    return None if get_user_model().objects.get(pk=victim).is_active else No("inactive_target")


def outside_a_truce(code: str, player: Any, now: dt.datetime) -> No | None:
    for truce in Truce.objects.all():
        if truce.player_id == player and rule("TRUCE_ENABLED"):
            ends = truce.ends_at
            if truce.starts_at <= now and not (ends and ends <= now):
                return No(code, ends)
    return None


def no_newcomer(victim: Any, now: dt.datetime) -> No | None:
    """Answer whether the days since the victim joined are over, or they ever had an outcome of their own."""
    ends = get_user_model().objects.get(pk=victim).date_joined + rule("NEWCOMER_DAYS") * DAY
    return No("newcomer", ends) if now < ends and rule("NEWCOMER_DAYS") and not outcomes(attacker=victim) else None


def enough_tokens(attacker: Any) -> No | None:
    has, cost = tokens(attacker), rule("TOKEN_COST")
    return No("insufficient_tokens", None, {"required": cost, "available": has}) if has < cost else None


def cooldown_passed(attacker: Any, now: dt.datetime) -> No | None:
    deleted = [{"created_at": event.created_at} for event in events_of_deleted(attacker, "HEIST_GAIN")]
    return _passed("cooldown", outcomes(attacker=attacker) + deleted, "COOLDOWN_HOURS", now)


def pair_may_meet(attacker: Any, victim: Any, now: dt.datetime) -> No | None:
    return _passed("pair_cooldown", outcomes(attacker=attacker, victim=victim), "PAIR_COOLDOWN_HOURS", now)


def out_of_protection(victim: Any, now: dt.datetime) -> No | None:
    return _passed("protected", losses(victim), "TARGET_COOLDOWN_HOURS", now)


def _passed(code: str, heists: list[dict[str, Any]], hours: str, now: dt.datetime) -> No | None:
    """Answer whether the window after the latest of these is over; a window of no hours is off."""
    window = dt.timedelta(hours=rule(hours))
    ends = [row["created_at"] + window for row in heists if window]
    return No(code, max(ends)) if ends and now < max(ends) else None


def under_daily_limit(attacker: Any, now: dt.datetime) -> No | None:
    """Answer whether the day that ends now has room; else try each moment at which an outcome leaves it."""
    moments = sorted(row["created_at"] for row in outcomes(attacker=attacker))

    def has_room(at: dt.datetime) -> bool:
        return len([moment for moment in moments if moment + DAY > at]) < rule("MAX_HEISTS_PER_DAY")

    if has_room(now):
        return None
    return No("daily_limit", next(moment + DAY for moment in moments if has_room(moment + DAY)))


def enough_points(victim: Any) -> No | None:
    has = monthly_points(victim)
    needed = next(n for n in count(rule("MIN_TARGET_POINTS")) if n * rule("STEAL_PERCENTAGE") // 100 >= 1)
    return No("insufficient_points", None, {"required": needed, "available": has}) if has < needed else None


def lost(victim: Any, now: dt.datetime) -> int:
    """Return the points lost in the calendar month of `now`, on the calendar of the site's time zone."""
    zone = ZoneInfo(settings.TIME_ZONE)

    def month(moment: dt.datetime) -> tuple[int, int]:
        local = moment.astimezone(zone)
        return local.year, local.month

    return sum(row["points_stolen"] for row in losses(victim) if month(row["created_at"]) == month(now))


def left_to_lose(victim: Any, now: dt.datetime) -> int:
    gone = lost(victim, now)
    return (monthly_points(victim) + gone) * rule("MONTHLY_LOSS_PERCENT") // 100 - gone


def loss_left(victim: Any, now: dt.datetime) -> No | None:
    """Answer whether a point is left; a victim who lost nothing this month and has too few points is not asked."""
    if left_to_lose(victim, now) >= 1 or (enough_points(victim) and not lost(victim, now)):
        return None
    zone = ZoneInfo(settings.TIME_ZONE)
    local = now.astimezone(zone)
    year, month = divmod(local.year * 12 + local.month, 12)
    return No("loss_limit", dt.datetime(year, month + 1, 1, tzinfo=zone))


def room_for_the_gain(attacker: Any, victim: Any, now: dt.datetime) -> No | None:
    gain = amount(victim, now)
    return No("balance_full") if gain and monthly_points(attacker) + gain > LARGEST else None


def token_row_agrees(player: Any) -> bool:
    """Return whether the token row equals the sums of the grants and heists."""
    row = HeistToken.objects.filter(user=player).first()
    return (row.balance if row else 0) == tokens(player)
