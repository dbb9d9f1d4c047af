"""The rules at their boundaries: each number, each window, each turn of the calendar; without a database.

What is expected is written out, or taken from docs/specification.md, "The numbers".
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heists import rules
from heists.choices import FailureCode
from heists.rules import Attacker, Failure, Loss, Outcome, Rules, Truce, Victim

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
INSTANT = dt.timedelta(microseconds=1)
# No window, no limit: a test adds the one that it is about.
FREE = Rules(
    cooldown_hours=0, target_cooldown_hours=0, pair_cooldown_hours=0, max_heists_per_day=100, monthly_loss_percent=100
)


def with_rules(**numbers: Any) -> Rules:
    return dataclasses.replace(FREE, **numbers)


def attacker(tokens: int = 9, spent: dt.datetime | None = None, outcomes: tuple[Outcome, ...] = ()) -> Attacker:
    return Attacker("alice", tokens, spent, outcomes)


def victim(points: int = 1000, *losses: Loss, id: str = "bob", active: bool = True) -> Victim:
    return Victim(id, active, points, losses)


def failed(numbers: Rules, robber: Attacker, robbed: Victim, now: dt.datetime = NOW) -> list[Failure]:
    return list(rules.failures(numbers, robber, robbed, now))


def outcomes(*moments: dt.datetime, on: str = "carol") -> tuple[Outcome, ...]:
    return tuple(Outcome(on, moment) for moment in moments)


def test_the_defaults_are_those_of_the_specification() -> None:
    assert dataclasses.asdict(Rules()) == {
        "token_cost": 1,
        "tokens_per_referral": 1,
        "steal_percentage": 5,
        "max_steal_points": 100,
        "min_target_points": 20,
        "cooldown_hours": 24,
        "target_cooldown_hours": 48,
        "max_heists_per_day": 10,
        "pair_cooldown_hours": 0,
        "monthly_loss_percent": 10,
        "shield_cost": 50,
        "shield_days": 7,
        "newcomer_days": 0,
        "truce_enabled": True,
        "time_zone": "UTC",
    }
    assert set(dataclasses.asdict(Rules())) == set(rules.RULE_FIELDS)


def test_the_windows_have_the_length_that_their_names_say() -> None:
    numbers = Rules(cooldown_hours=1, target_cooldown_hours=2, pair_cooldown_hours=3, shield_days=4, newcomer_days=5)

    assert (numbers.cooldown, numbers.protection, numbers.pair_cooldown) == (HOUR, 2 * HOUR, 3 * HOUR)
    assert (numbers.shield_life, numbers.newcomer_life) == (96 * HOUR, 120 * HOUR)


def test_clocks_may_differ_by_a_second_and_points_end_at_what_json_reads_exactly() -> None:
    assert rules.CLOCK_TOLERANCE / dt.timedelta(seconds=1) == 1
    assert rules.MAX_POINTS - 9_007_199_254_740_991 == 0
    # 31 days in which a clock is set back, by two hours at most.
    assert rules.LONGEST_MONTH / HOUR == 31 * 24 + 2


def test_rules_are_a_value() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Rules().token_cost = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Failure(FailureCode.COOLDOWN).retry_at = NOW  # type: ignore[misc]

    assert Rules() == Rules(token_cost=1)
    assert len({Rules(), Rules(token_cost=1)}) == 1


@pytest.mark.parametrize(("tokens", "cost", "codes"), [(0, 0, 0), (1, 1, 0), (0, 1, 1), (2, 3, 1), (3, 3, 0)])
def test_as_many_tokens_as_the_cost_are_enough(tokens: int, cost: int, codes: int) -> None:
    expected = [Failure(FailureCode.INSUFFICIENT_TOKENS, None, {"required": cost, "available": tokens})]

    assert failed(with_rules(token_cost=cost), attacker(tokens), victim()) == expected[:codes]


def test_failures_have_neither_time_nor_details_where_there_are_none() -> None:
    found = failed(FREE, attacker(), victim(id="alice", active=False))

    assert found == [Failure(FailureCode.SELF_TARGET, None, {}), Failure(FailureCode.INACTIVE_TARGET, None, {})]


@pytest.mark.parametrize("since", [0 * HOUR, INSTANT, HOUR, 3 * HOUR - INSTANT, 3 * HOUR, 4 * HOUR])
def test_each_window_rejects_until_its_exact_end(since: dt.timedelta) -> None:
    at, over = NOW - since, since >= 3 * HOUR

    for numbers, robber, robbed, code in (
        (with_rules(cooldown_hours=3), attacker(spent=at), victim(), FailureCode.COOLDOWN),
        (with_rules(pair_cooldown_hours=3), attacker(outcomes=outcomes(at, on="bob")), victim(), "pair_cooldown"),
        (with_rules(target_cooldown_hours=3), attacker(), victim(1000, Loss(1, at)), FailureCode.PROTECTED),
    ):
        assert failed(numbers, robber, robbed) == ([] if over else [Failure(FailureCode(code), at + 3 * HOUR)])


@pytest.mark.parametrize("first", [0, 1])
def test_the_later_of_two_outcomes_starts_the_window(first: int) -> None:
    times = (NOW - 2 * HOUR, NOW - 40 * HOUR)
    times = (times[first], times[1 - first])

    pair = failed(with_rules(pair_cooldown_hours=3), attacker(outcomes=outcomes(*times, on="bob")), victim())
    protected = failed(with_rules(target_cooldown_hours=3), attacker(), victim(1000, *(Loss(1, at) for at in times)))

    assert [failure.retry_at for failure in pair + protected] == [NOW + HOUR, NOW + HOUR]


def test_outcomes_of_other_pairs_do_not_count() -> None:
    mixed = outcomes(NOW - HOUR, on="carol") + outcomes(NOW - 4 * HOUR, on="bob")

    assert failed(with_rules(pair_cooldown_hours=3), attacker(outcomes=mixed), victim()) == []
    assert rules.pair_cooldown_ends_at(with_rules(pair_cooldown_hours=3), attacker(outcomes=mixed), victim()) == (
        NOW - HOUR
    )


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_daily_limit_counts_a_rolling_day_without_its_first_moment(limit: int) -> None:
    numbers = with_rules(max_heists_per_day=limit)
    edge = NOW - 24 * HOUR
    times = [edge + INSTANT, NOW - 5 * HOUR, NOW - HOUR]

    for shuffled in (times, times[::-1]):
        found = failed(numbers, attacker(outcomes=outcomes(*shuffled)), victim())
        assert found == [Failure(FailureCode.DAILY_LIMIT, times[3 - limit] + 24 * HOUR)]
        assert failed(numbers, attacker(outcomes=outcomes(edge, *shuffled[: limit - 1])), victim()) == []


@pytest.mark.parametrize(("limit", "left"), [(0, 0), (1, 0), (2, 0), (3, 1), (5, 3)])
def test_what_is_left_of_the_daily_limit_is_what_the_rolling_day_has_room_for(limit: int, left: int) -> None:
    numbers, edge = with_rules(max_heists_per_day=limit), NOW - 24 * HOUR
    robber = attacker(outcomes=outcomes(edge - HOUR, edge, edge + INSTANT, NOW))

    assert rules.heists_left_today(numbers, robber, NOW) == left
    assert ("daily_limit" in {failure.code for failure in failed(numbers, robber, victim())}) is (left == 0)


def test_a_moment_is_ahead_until_it_comes() -> None:
    assert rules.ahead(NOW + INSTANT, NOW) == NOW + INSTANT
    assert rules.ahead(NOW, NOW) is rules.ahead(NOW - INSTANT, NOW) is rules.ahead(None, NOW) is None


def test_a_daily_limit_of_zero_waits_a_day() -> None:
    found = failed(with_rules(max_heists_per_day=0), attacker(), victim())

    assert found == [Failure(FailureCode.DAILY_LIMIT, NOW + 24 * HOUR)]


@pytest.mark.parametrize("percent", [1, 3, 5, 7, 34, 50, 51, 99, 100])
@pytest.mark.parametrize("minimum", [0, 1, 14, 15, 20, 33, 100, 101])
def test_the_points_needed_are_the_fewest_that_yield_a_point(percent: int, minimum: int) -> None:
    numbers = with_rules(steal_percentage=percent, min_target_points=minimum)
    needed = next(points for points in range(minimum, 300) if points * percent // 100 >= 1)

    assert rules.points_needed(numbers) == needed
    assert failed(numbers, attacker(), victim(needed)) == []
    details = {"required": needed, "available": needed - 1}
    few = failed(numbers, attacker(), victim(needed - 1))
    assert few == [Failure(FailureCode.INSUFFICIENT_POINTS, None, details)]


def test_a_percentage_of_zero_needs_a_hundred_points_and_still_yields_nothing() -> None:
    # Outside the setting's range, which only a check watches: a sentence rather than a crash.
    numbers = with_rules(steal_percentage=0, min_target_points=0)

    assert failed(numbers, attacker(), victim()) == [
        Failure(FailureCode.INSUFFICIENT_POINTS, None, {"required": 100, "available": 1000})
    ]


@given(st.integers(0, 10_000), st.integers(1, 100), st.integers(1, 200), st.integers(0, 60))
def test_the_amount_is_rounded_down_and_capped(points: int, percent: int, cap: int, minimum: int) -> None:
    numbers = with_rules(steal_percentage=percent, max_steal_points=cap, min_target_points=minimum)
    # The largest whole number that is no more than the share, by multiplication alone.
    share = max(n for n in range(cap + 1) if n * 100 <= points * percent)

    assert rules.amount(numbers, victim(points), NOW) == (share if points >= minimum else 0)
    assert rules.share(numbers, victim(points)) == share


@pytest.mark.parametrize(
    ("points", "lost", "percent", "left"),
    [
        (900, 100, 10, 0),
        (901, 99, 10, 1),
        (909, 100, 10, 0),
        (910, 100, 10, 1),
        (950, 50, 10, 50),
        (800, 200, 10, -100),
    ],
)
def test_what_is_left_of_the_loss_limit(points: int, lost: int, percent: int, left: int) -> None:
    numbers = with_rules(monthly_loss_percent=percent, max_steal_points=1000)
    robbed = victim(points, Loss(lost - 1, NOW - HOUR), Loss(1, NOW - 2 * HOUR))

    assert rules.loss_left(numbers, robbed, NOW) == left
    assert rules.amount(numbers, robbed, NOW) == max(0, min(points * 5 // 100, left))
    assert [failure.code for failure in failed(numbers, attacker(), robbed)] == (["loss_limit"] if left < 1 else [])


@pytest.mark.parametrize(
    ("points", "losses", "codes"),
    [
        # No point, no loss: the loss limit is not what is in the way.
        (0, (), ["insufficient_points"]),
        (5, (), ["insufficient_points"]),
        (19, (Loss(5, NOW),), ["insufficient_points", "loss_limit"]),
        (20, (), []),
    ],
)
def test_the_loss_limit_is_asked_after_a_loss_or_where_there_is_a_share(
    points: int, losses: tuple[Loss, ...], codes: list[str]
) -> None:
    numbers = with_rules(monthly_loss_percent=10)

    assert [failure.code for failure in failed(numbers, attacker(), victim(points, *losses))] == codes


def test_a_loss_limit_of_zero_rejects_where_there_is_a_share() -> None:
    found = failed(with_rules(monthly_loss_percent=0), attacker(), victim(20))

    assert found == [Failure(FailureCode.LOSS_LIMIT, dt.datetime(2026, 6, 1, tzinfo=dt.UTC))]


BERLIN, NEW_YORK, KATHMANDU = "Europe/Berlin", "America/New_York", "Asia/Kathmandu"
MONTHS = [
    # Zone, a moment, the month's first moment, the next month's: the last two on the zone's own clock.
    ("UTC", "2026-05-01T00:00:00+00:00", "2026-05-01", "2026-06-01"),
    ("UTC", "2026-04-30T23:59:59.999999+00:00", "2026-04-01", "2026-05-01"),
    ("UTC", "2026-12-31T23:59:59.999999+00:00", "2026-12-01", "2027-01-01"),
    ("UTC", "2027-01-01T00:00:00+00:00", "2027-01-01", "2027-02-01"),
    ("UTC", "2028-02-29T12:00:00+00:00", "2028-02-01", "2028-03-01"),
    ("UTC", "2027-02-28T23:59:59+00:00", "2027-02-01", "2027-03-01"),
    ("UTC", "2027-01-31T23:59:59+00:00", "2027-01-01", "2027-02-01"),
    (BERLIN, "2026-03-31T22:00:00+00:00", "2026-04-01", "2026-05-01"),
    (BERLIN, "2026-03-31T21:59:59.999999+00:00", "2026-03-01", "2026-04-01"),
    (BERLIN, "2026-10-31T23:00:00+00:00", "2026-11-01", "2026-12-01"),
    (BERLIN, "2026-10-31T22:59:59+00:00", "2026-10-01", "2026-11-01"),
    (BERLIN, "2026-12-31T23:00:00+00:00", "2027-01-01", "2027-02-01"),
    (NEW_YORK, "2026-11-01T06:30:00+00:00", "2026-11-01", "2026-12-01"),
    (NEW_YORK, "2026-11-01T03:59:59+00:00", "2026-10-01", "2026-11-01"),
    (NEW_YORK, "2026-03-08T07:00:00+00:00", "2026-03-01", "2026-04-01"),
    (KATHMANDU, "2026-05-31T18:15:00+00:00", "2026-06-01", "2026-07-01"),
    (KATHMANDU, "2026-05-31T18:14:59.999999+00:00", "2026-05-01", "2026-06-01"),
]


@pytest.mark.parametrize(("zone", "now", "this", "following"), MONTHS)
def test_the_month_is_the_calendars_of_the_sites_time_zone(zone: str, now: str, this: str, following: str) -> None:
    numbers, moment = with_rules(time_zone=zone), dt.datetime.fromisoformat(now)
    start, following_start = (
        dt.datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(dt.UTC) for day in (this, following)
    )

    assert rules.month_start(numbers, moment) == start
    assert rules.next_month(numbers, moment) == following_start
    assert rules.month_of(zone, moment) == dt.date.fromisoformat(this)
    assert rules.month_after(dt.date.fromisoformat(this)) == dt.date.fromisoformat(following)
    robbed = victim(1000, Loss(50, start), Loss(3, start - INSTANT))
    assert rules.lost_this_month(numbers, robbed, moment) == 50


@pytest.mark.parametrize(
    ("protection", "pair", "losses", "outcomes"),
    [
        (0, 0, "2026-05-01T00:00:00", "2026-05-19T12:00:00"),
        (48, 24, "2026-05-01T00:00:00", "2026-05-19T12:00:00"),
        (48, 25, "2026-05-01T00:00:00", "2026-05-19T11:00:00"),
        (468, 72, "2026-05-01T00:00:00", "2026-05-17T12:00:00"),
        (469, 23, "2026-04-30T23:00:00", "2026-05-19T12:00:00"),
    ],
)
def test_facts_reach_back_as_far_as_the_longest_window(protection: int, pair: int, losses: str, outcomes: str) -> None:
    numbers = with_rules(target_cooldown_hours=protection, pair_cooldown_hours=pair)

    assert rules.losses_since(numbers, NOW) == dt.datetime.fromisoformat(f"{losses}+00:00")
    assert rules.outcomes_since(numbers, NOW) == dt.datetime.fromisoformat(f"{outcomes}+00:00")


@pytest.mark.parametrize(
    ("room", "codes"), [(50, []), (49, ["balance_full"]), (0, ["balance_full"]), (-1, ["balance_full"])]
)
def test_the_gain_may_fill_the_balance_exactly(room: int, codes: list[str]) -> None:
    full = attacker()._replace(monthly_points=9_007_199_254_740_991 - room)

    assert [failure.code for failure in failed(FREE, full, victim(1000))] == codes
    # Without a gain there is nothing to have room for.
    assert [failure.code for failure in failed(FREE, full, victim(0))] == ["insufficient_points"]


def test_a_player_without_history_has_neither_outcomes_nor_points() -> None:
    assert Attacker("alice", 1, None) == ("alice", 1, None, (), 0, ())
    assert Victim("bob", True, 5) == ("bob", True, 5, (), (), None, None)


@pytest.mark.parametrize(
    ("since", "left", "in_force"),
    [
        (-INSTANT, 2 * HOUR, False),
        (0 * HOUR, 2 * HOUR, True),
        (INSTANT, INSTANT, True),
        (HOUR, 0 * HOUR, False),
        (2 * HOUR, -HOUR, False),
        (HOUR, None, True),
        (-HOUR, None, False),
        # Withdrawn before it began, and never in force.
        (0 * HOUR, 0 * HOUR, False),
    ],
)
def test_a_truce_counts_from_its_first_moment_to_its_exact_end(
    since: dt.timedelta, left: dt.timedelta | None, in_force: bool
) -> None:
    ends = None if left is None else NOW + left
    truces = (Truce(NOW - since, ends),)

    own = failed(FREE, attacker()._replace(truces=truces), victim())
    theirs = failed(FREE, attacker(), victim()._replace(truces=truces))

    assert own == [Failure(FailureCode.OWN_TRUCE, ends)][:in_force]
    assert theirs == [Failure(FailureCode.TRUCE, ends)][:in_force]


def test_of_several_truces_the_one_in_force_counts() -> None:
    over, coming = Truce(NOW - 9 * HOUR, NOW), Truce(NOW + INSTANT, None)
    now = Truce(NOW - HOUR, NOW + HOUR)

    for truces in ((over, now, coming), (coming, now, over)):
        assert failed(FREE, attacker(), victim()._replace(truces=truces)) == [Failure(FailureCode.TRUCE, now.ends_at)]
    assert failed(FREE, attacker(), victim()._replace(truces=(over, coming))) == []


def test_truces_that_are_switched_off_do_not_count() -> None:
    truces = (Truce(NOW, None),)
    off = with_rules(truce_enabled=False)

    assert failed(off, attacker()._replace(truces=truces), victim()._replace(truces=truces)) == []


@pytest.mark.parametrize("since", [-HOUR, 0 * HOUR, 72 * HOUR - INSTANT, 72 * HOUR, 73 * HOUR])
def test_a_newcomer_is_protected_to_the_exact_end(since: dt.timedelta) -> None:
    new, over = victim()._replace(joined_at=NOW - since), since >= 72 * HOUR
    expected = [] if over else [Failure(FailureCode.NEWCOMER, NOW - since + 72 * HOUR)]

    assert failed(with_rules(newcomer_days=3), attacker(), new) == expected
    # Off; and never known when the player joined.
    assert failed(FREE, attacker(), new) == failed(with_rules(newcomer_days=3), attacker(), victim()) == []


def test_the_first_outcome_of_ones_own_ends_the_protection_of_a_newcomer() -> None:
    new = victim()._replace(joined_at=NOW, last_spent_at=NOW - 999 * HOUR)

    assert failed(with_rules(newcomer_days=3), attacker(), new) == []
    # The attacker's own state does not count.
    assert failed(with_rules(newcomer_days=3), attacker(spent=NOW), victim()._replace(joined_at=NOW)) == [
        Failure(FailureCode.NEWCOMER, NOW + 72 * HOUR)
    ]
