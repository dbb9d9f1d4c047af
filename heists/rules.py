"""Decides whether an attacker may rob a victim now, and for how much (docs/specification.md, "The rules").

Pure functions: `now`, the rules and the facts of both players are arguments. No ORM, clock, random numbers or
settings. The preview, the target list and the execution all use `failures` and `amount`, so they give the same answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from .choices import FailureCode

DAY = dt.timedelta(days=1)
# No calendar month is longer, also where a clock is set back in it.
LONGEST_MONTH = dt.timedelta(days=31, hours=2)
# How far the clocks of two hosts may differ (docs/specification.md, "The rules").
CLOCK_TOLERANCE = dt.timedelta(seconds=1)
# The least time from a change of the rules until it takes effect. Every process reads the changes every ten seconds, so
# it knows one before it counts.
LEAST_NOTICE = dt.timedelta(minutes=1)
# The most points a player can have: the largest integer that every JSON client reads exactly.
MAX_POINTS = 2**53 - 1


@dataclass(frozen=True)
class Rules:
    """The values in force. Each distinct set of values is one `RuleSet` row."""

    token_cost: int = 1
    tokens_per_referral: int = 1
    steal_percentage: int = 5
    max_steal_points: int = 100
    min_target_points: int = 20
    cooldown_hours: int = 24
    target_cooldown_hours: int = 48
    max_heists_per_day: int = 10
    pair_cooldown_hours: int = 0
    monthly_loss_percent: int = 10
    shield_cost: int = 50
    shield_days: int = 7
    newcomer_days: int = 0
    truce_enabled: bool = True
    time_zone: str = "UTC"

    @cached_property
    def cooldown(self) -> dt.timedelta:
        return dt.timedelta(hours=self.cooldown_hours)

    @cached_property
    def protection(self) -> dt.timedelta:
        return dt.timedelta(hours=self.target_cooldown_hours)

    @cached_property
    def pair_cooldown(self) -> dt.timedelta:
        return dt.timedelta(hours=self.pair_cooldown_hours)

    @cached_property
    def shield_life(self) -> dt.timedelta:
        return dt.timedelta(days=self.shield_days)

    @cached_property
    def newcomer_life(self) -> dt.timedelta:
        return dt.timedelta(days=self.newcomer_days)


RULE_FIELDS = tuple(rule.name for rule in fields(Rules))


class Outcome(NamedTuple):
    """A recent outcome of the attacker: a success, or an attack that a shield blocked."""

    victim_id: object
    at: dt.datetime


class Loss(NamedTuple):
    """A recent success against the victim."""

    points: int
    at: dt.datetime


class Truce(NamedTuple):
    """A truce, from its first moment to its end, which is outside it; None while there is no end."""

    starts_at: dt.datetime
    ends_at: dt.datetime | None


class Attacker(NamedTuple):
    """The facts of an attacker; `outcomes` are those since `outcomes_since`, `truces` those not yet over."""

    id: object
    tokens: int
    last_spent_at: dt.datetime | None
    outcomes: tuple[Outcome, ...] = ()
    monthly_points: int = 0
    truces: tuple[Truce, ...] = ()


class Victim(NamedTuple):
    """The facts of a victim; `losses` are those since `losses_since`, `truces` those not yet over.

    `joined_at` is None where the host does not say when the player joined.
    """

    id: object
    active: bool
    monthly_points: int
    losses: tuple[Loss, ...] = ()
    truces: tuple[Truce, ...] = ()
    joined_at: dt.datetime | None = None
    last_spent_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that fails. `retry_at` is None where waiting does not help; `details` are the numbers compared."""

    code: FailureCode
    retry_at: dt.datetime | None = None
    details: dict[str, int] = field(default_factory=dict)


def failures(rules: Rules, attacker: Attacker, victim: Victim, now: dt.datetime) -> Iterator[Failure]:
    """Yield each rule that fails, in the order of the specification's table; the first decides."""
    if attacker.id == victim.id:
        yield Failure(FailureCode.SELF_TARGET)
    if not victim.active:
        yield Failure(FailureCode.INACTIVE_TARGET)
    if truce := truce_at(rules, attacker.truces, now):
        yield Failure(FailureCode.OWN_TRUCE, truce.ends_at)
    if attacker.tokens < rules.token_cost:
        details = {"required": rules.token_cost, "available": attacker.tokens}
        yield Failure(FailureCode.INSUFFICIENT_TOKENS, None, details)
    if (ends := cooldown_ends_at(rules, attacker.last_spent_at)) and now < ends:
        yield Failure(FailureCode.COOLDOWN, ends)
    if ends := daily_limit_ends_at(rules, attacker, now):
        yield Failure(FailureCode.DAILY_LIMIT, ends)
    if truce := truce_at(rules, victim.truces, now):
        yield Failure(FailureCode.TRUCE, truce.ends_at)
    if (ends := newcomer_ends_at(rules, victim)) and now < ends:
        yield Failure(FailureCode.NEWCOMER, ends)
    if (ends := pair_cooldown_ends_at(rules, attacker, victim)) and now < ends:
        yield Failure(FailureCode.PAIR_COOLDOWN, ends)
    if (ends := protection_ends_at(rules, victim)) and now < ends:
        yield Failure(FailureCode.PROTECTED, ends)
    enough = victim.monthly_points >= rules.min_target_points and share(rules, victim) >= 1
    if not enough:
        details = {"required": points_needed(rules), "available": victim.monthly_points}
        yield Failure(FailureCode.INSUFFICIENT_POINTS, None, details)
    # A player without points is not at the limit: it is reported after a loss, or where there is a share to limit.
    if loss_left(rules, victim, now) < 1 and (enough or lost_this_month(rules, victim, now)):
        yield Failure(FailureCode.LOSS_LIMIT, next_month(rules, now))
    gain = amount(rules, victim, now)
    if gain and attacker.monthly_points + gain > MAX_POINTS:
        yield Failure(FailureCode.BALANCE_FULL)


def points_needed(rules: Rules) -> int:
    """Return the fewest monthly points a victim can have: the minimum, or what makes the share one point."""
    return max(rules.min_target_points, -(-100 // max(1, rules.steal_percentage)))


def share(rules: Rules, victim: Victim) -> int:
    """Return the points a heist takes before the loss limit: the percentage, the cap at most."""
    return min(victim.monthly_points * rules.steal_percentage // 100, rules.max_steal_points)


def amount(rules: Rules, victim: Victim, now: dt.datetime) -> int:
    """Return the points a heist takes, after the cap and the loss limit; 0 where the victim has too few."""
    if victim.monthly_points < rules.min_target_points:
        return 0
    return max(0, min(share(rules, victim), loss_left(rules, victim, now)))


def lost_this_month(rules: Rules, victim: Victim, now: dt.datetime) -> int:
    """Return the points stolen from the victim in this calendar month of the site's time zone."""
    if not victim.losses:
        return 0
    start = month_start(rules, now)
    return sum(loss.points for loss in victim.losses if loss.at >= start)


def loss_left(rules: Rules, victim: Victim, now: dt.datetime) -> int:
    """Return how many more points the victim may lose this month; negative where the limit was lowered since."""
    lost = lost_this_month(rules, victim, now)
    return (victim.monthly_points + lost) * rules.monthly_loss_percent // 100 - lost


def cooldown_ends_at(rules: Rules, last_spent_at: dt.datetime | None) -> dt.datetime | None:
    """Return when the attacker's cooldown ends or ended; None where no token was spent, or the cooldown is off."""
    # A cooldown of 0 hours is off. It would still reject an attacker whose last outcome is later than `now`.
    return last_spent_at + rules.cooldown if last_spent_at and rules.cooldown else None


def protection_ends_at(rules: Rules, victim: Victim) -> dt.datetime | None:
    """Return when the victim's protection ends or ended; None where no known success started one."""
    if not (victim.losses and rules.protection):
        return None
    return max(loss.at for loss in victim.losses) + rules.protection


def truce_at(rules: Rules, truces: tuple[Truce, ...], now: dt.datetime) -> Truce | None:
    """Return the truce that is in force now; None where there is none, or truces are switched off."""
    if not rules.truce_enabled:
        return None
    return next((t for t in truces if t.starts_at <= now and (t.ends_at is None or now < t.ends_at)), None)


def newcomer_ends_at(rules: Rules, victim: Victim) -> dt.datetime | None:
    """Return when the protection of a new player ends or ended; None after the first outcome of their own.

    It is also None where the host does not say when players join, or the protection is off.
    """
    if not rules.newcomer_days or victim.joined_at is None or victim.last_spent_at is not None:
        return None
    return victim.joined_at + rules.newcomer_life


def pair_cooldown_ends_at(rules: Rules, attacker: Attacker, victim: Victim) -> dt.datetime | None:
    """Return when this attacker may attack this victim again; None where there was no recent outcome of the pair."""
    times = [outcome.at for outcome in attacker.outcomes if outcome.victim_id == victim.id]
    return max(times) + rules.pair_cooldown if times and rules.pair_cooldown else None


def daily_limit_ends_at(rules: Rules, attacker: Attacker, now: dt.datetime) -> dt.datetime | None:
    """Return when the rolling day has room for one more outcome; None where it has room now."""
    today = sorted(outcome.at for outcome in attacker.outcomes if outcome.at > now - DAY)
    surplus = len(today) - rules.max_heists_per_day
    if surplus < 0:
        return None
    # A limit of 0 never has room.
    return (today[surplus] if rules.max_heists_per_day else now) + DAY


def heists_left_today(rules: Rules, attacker: Attacker, now: dt.datetime) -> int:
    """Return how many more outcomes the rolling day has room for now."""
    today = sum(outcome.at > now - DAY for outcome in attacker.outcomes)
    return max(0, rules.max_heists_per_day - today)


def ahead(moment: dt.datetime | None, now: dt.datetime) -> dt.datetime | None:
    """Return a moment that is still ahead, such as the end of a cooldown; None once it has come."""
    return moment if moment and now < moment else None


def month_start(rules: Rules, now: dt.datetime) -> dt.datetime:
    """Return when this calendar month of the site's time zone began: the earliest instant whose date lies in it."""
    return _month(rules.time_zone, now)[0]


def next_month(rules: Rules, now: dt.datetime) -> dt.datetime:
    """Return when the next calendar month of the site's time zone begins."""
    return _month(rules.time_zone, now)[1]


def month_of(time_zone: str, now: dt.datetime) -> dt.date:
    """Return the first day of the calendar month that has begun at `now` in this time zone."""
    return _month(time_zone, now)[0].astimezone(ZoneInfo(time_zone)).date().replace(day=1)


def month_after(first: dt.date) -> dt.date:
    """Return the first day of the month after that of `first`, itself the first day of a month."""
    return (first + 31 * DAY).replace(day=1)


@lru_cache(maxsize=1024)
def day_start(time_zone: str, date: dt.date) -> dt.datetime:
    """Return the earliest instant, in UTC, whose date in this time zone is `date` or later.

    It is not always midnight: clocks are set forward over midnight in some zones, and back over it in others.
    """
    zone, midnight = ZoneInfo(time_zone), dt.datetime.combine(date, dt.time())
    before, after = (midnight.replace(tzinfo=zone, fold=fold).astimezone(dt.UTC) for fold in (1, 0))
    # Only where the clock skips this midnight is one later: find the second in which it was set forward.
    while after - before > dt.timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < midnight:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


@lru_cache(maxsize=64)
def _month(time_zone: str, now: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    # Cached: several rules ask for it in one attempt.
    first = now.astimezone(ZoneInfo(time_zone)).date().replace(day=1)
    after = month_after(first)
    start, end = day_start(time_zone, first), day_start(time_zone, after)
    if now < end:
        return start, end
    # The new month has begun, and then the clock was set back into the old one.
    return end, day_start(time_zone, month_after(after))


def outcomes_since(rules: Rules, now: dt.datetime) -> dt.datetime:
    """Return how far back the attacker's outcomes matter: a rolling day, or the pair's cooldown where it is longer."""
    return now - max(DAY, rules.pair_cooldown)


def losses_since(rules: Rules, now: dt.datetime) -> dt.datetime:
    """Return how far back the victim's losses matter: this month, or the protection where it reaches further back."""
    return min(month_start(rules, now), now - rules.protection)
