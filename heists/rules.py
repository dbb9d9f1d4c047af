"""The rules of spec section 4, and nothing else: who may rob whom now, and how many points move.

Pure: `now`, the numbers and the facts come in as arguments. No ORM, clock, dice or settings. The preview, the target
list and the execution all ask `refusals` and `amount`, so they can't disagree.
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


@dataclass(frozen=True)
class Rules:
    """The numbers in force: one value of this class is one `RuleSet` row."""

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


# The names of all that a set of rules consists of.
NUMBERS = tuple(number.name for number in fields(Rules))


class Raid(NamedTuple):
    """An outcome the attacker had lately: the token went, whether points came or a shield stood in the way."""

    victim_id: object
    at: dt.datetime


class Loss(NamedTuple):
    """A success somebody had against the victim lately."""

    points: int
    at: dt.datetime


class Attacker(NamedTuple):
    """What the rules know of who robs; `raids` reach back to `raids_since`."""

    id: object
    tokens: int
    last_spent_at: dt.datetime | None
    raids: tuple[Raid, ...] = ()


class Victim(NamedTuple):
    """What the rules know of who is robbed; `losses` reach back to `losses_since`."""

    id: object
    active: bool
    monthly_points: int
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """One question answered no. `retry_at` is null where waiting does not help."""

    code: FailureCode
    retry_at: dt.datetime | None = None
    numbers: dict[str, int] = field(default_factory=dict)


def refusals(rules: Rules, attacker: Attacker, victim: Victim, now: dt.datetime) -> Iterator[Refusal]:
    """Yield every question of the table that is answered no, in the table's order; the first is the answer."""
    if attacker.id == victim.id:
        yield Refusal(FailureCode.SELF_TARGET)
    if not victim.active:
        yield Refusal(FailureCode.INACTIVE_TARGET)
    if attacker.tokens < rules.token_cost:
        yield Refusal(
            FailureCode.INSUFFICIENT_TOKENS, None, {"required": rules.token_cost, "available": attacker.tokens}
        )
    if (ends := cooldown_ends_at(rules, attacker.last_spent_at)) and now < ends:
        yield Refusal(FailureCode.COOLDOWN, ends)
    if (frees := day_frees_at(rules, attacker, now)) and now < frees:
        yield Refusal(FailureCode.DAILY_LIMIT, frees)
    if (ends := pair_ends_at(rules, attacker, victim)) and now < ends:
        yield Refusal(FailureCode.PAIR_COOLDOWN, ends)
    if (ends := protection_ends_at(rules, victim)) and now < ends:
        yield Refusal(FailureCode.PROTECTED, ends)
    enough = victim.monthly_points >= rules.min_target_points and share(rules, victim) >= 1
    if not enough:
        yield Refusal(
            FailureCode.INSUFFICIENT_POINTS,
            None,
            {"required": points_needed(rules), "available": victim.monthly_points},
        )
    # Somebody who simply has no points is not "at the limit": the question makes sense after a loss, or for a share.
    if loss_left(rules, victim, now) < 1 and (enough or lost_this_month(rules, victim, now)):
        yield Refusal(FailureCode.LOSS_LIMIT, next_month(rules, now))


def points_needed(rules: Rules) -> int:
    """The fewest points somebody can be robbed of a share of: the minimum, or what makes the share a whole point."""
    return max(rules.min_target_points, -(-100 // max(1, rules.steal_percentage)))


def share(rules: Rules, victim: Victim) -> int:
    """The points a heist takes before the loss limit: the percentage, at most the cap."""
    return min(victim.monthly_points * rules.steal_percentage // 100, rules.max_steal_points)


def amount(rules: Rules, victim: Victim, now: dt.datetime) -> int:
    """The points a heist takes, the cap and the loss limit applied last; 0 where the victim has too few."""
    if victim.monthly_points < rules.min_target_points:
        return 0
    return max(0, min(share(rules, victim), loss_left(rules, victim, now)))


def lost_this_month(rules: Rules, victim: Victim, now: dt.datetime) -> int:
    """The points stolen from the victim in this calendar month of the site's time zone."""
    if not victim.losses:
        return 0
    start = month_start(rules, now)
    return sum(loss.points for loss in victim.losses if loss.at >= start)


def loss_left(rules: Rules, victim: Victim, now: dt.datetime) -> int:
    """How many more points the victim may lose this month; negative where the limit was lowered since."""
    lost = lost_this_month(rules, victim, now)
    return (victim.monthly_points + lost) * rules.monthly_loss_percent // 100 - lost


def cooldown_ends_at(rules: Rules, last_spent_at: dt.datetime | None) -> dt.datetime | None:
    """When the attacker's cooldown ends or ended; None for somebody who never spent a token, or without a cooldown."""
    # A window of no hours is off: it would still refuse whoever was overtaken between the clock and the read.
    return last_spent_at + rules.cooldown if last_spent_at and rules.cooldown else None


def protection_ends_at(rules: Rules, victim: Victim) -> dt.datetime | None:
    """When the victim's protection ends or ended; None where no known success started one."""
    robbed = [loss.at for loss in victim.losses]
    return max(robbed) + rules.protection if robbed and rules.protection else None


def pair_ends_at(rules: Rules, attacker: Attacker, victim: Victim) -> dt.datetime | None:
    """When this attacker may meet this victim again; None where they have not met lately."""
    met = [raid.at for raid in attacker.raids if raid.victim_id == victim.id]
    return max(met) + rules.pair_cooldown if met and rules.pair_cooldown else None


def day_frees_at(rules: Rules, attacker: Attacker, now: dt.datetime) -> dt.datetime | None:
    """When enough of the day's heists have left the rolling day for one more; None where the day is not full."""
    today = sorted(raid.at for raid in attacker.raids if raid.at > now - DAY)
    surplus = len(today) - rules.max_heists_per_day
    if surplus < 0:
        return None
    # A limit of 0 lets nobody in, on an empty day either.
    return (today[surplus] if today else now) + DAY


def month_start(rules: Rules, now: dt.datetime) -> dt.datetime:
    """The first moment of this calendar month in the site's time zone."""
    return _month_start(rules.time_zone, now)


@lru_cache(maxsize=64)
def _month_start(time_zone: str, now: dt.datetime) -> dt.datetime:
    # Several questions about one attempt ask for it.
    return now.astimezone(ZoneInfo(time_zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(rules: Rules, now: dt.datetime) -> dt.datetime:
    """The first moment of the next calendar month in the site's time zone."""
    return month_start(rules, month_start(rules, now) + dt.timedelta(days=32))


def raids_since(rules: Rules, now: dt.datetime) -> dt.datetime:
    """How far back the attacker's outcomes matter: the rolling day, or the pair's cooldown where that is longer."""
    return now - max(DAY, rules.pair_cooldown)


def losses_since(rules: Rules, now: dt.datetime) -> dt.datetime:
    """How far back the victim's losses matter: this month, or the protection where that reaches further."""
    return min(month_start(rules, now), now - rules.protection)
