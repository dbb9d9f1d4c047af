"""The windows between outcomes: each clause of each check, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from .rows import DAY, HOUR, MICRO, NOW, SECOND, blocked, found, heist, rejected, rule_set

OFF = {"cooldown_hours": 0, "target_cooldown_hours": 0, "pair_cooldown_hours": 0, "max_heists_per_day": 1000}
# The clocks of two hosts may differ by a second, so that a window may end a second early.
END = HOUR - SECOND


@pytest.mark.parametrize("first", [heist, blocked])
@pytest.mark.parametrize("second", [heist, blocked])
@pytest.mark.parametrize(("gap", "reported"), [(END, False), (END - MICRO, True), (-HOUR, True)])
def test_the_cooldown_of_an_attacker(
    people: SimpleNamespace, first: Any, second: Any, gap: dt.timedelta, reported: bool
) -> None:
    rules = rule_set(**OFF | {"cooldown_hours": 1})
    before = first(people.alice, people.bob, rules)
    # Rejections open no window and are in none; another attacker's outcomes neither.
    rejected(people.alice, people.bob, rules), heist(people.carol, people.alice, rules)
    after = second(people.alice, people.dora, rules, NOW + gap)

    line = f"heist {after.pk}, attacker {people.alice.pk}: previous_heist {before.pk}, previous {NOW}"
    assert found("window_cooldown") == ([f"{line}, created_at {NOW + gap}"] if reported else [])


@pytest.mark.parametrize("first", [heist, blocked])
@pytest.mark.parametrize("second", [heist, blocked])
@pytest.mark.parametrize(("gap", "reported"), [(END, False), (END - MICRO, True), (-HOUR, True)])
def test_the_cooldown_of_a_pair(
    people: SimpleNamespace, first: Any, second: Any, gap: dt.timedelta, reported: bool
) -> None:
    rules = rule_set(**OFF | {"pair_cooldown_hours": 1})
    before = first(people.alice, people.bob, rules)
    rejected(people.alice, people.bob, rules)
    heist(people.carol, people.bob, rules), heist(people.alice, people.carol, rules)
    after = second(people.alice, people.bob, rules, NOW + gap)

    assert found("window_pair") == (
        [
            f"heist {after.pk}, attacker {people.alice.pk}, victim {people.bob.pk}:"
            f" previous_heist {before.pk}, previous {NOW}, created_at {NOW + gap}"
        ]
        if reported
        else []
    )


@pytest.mark.parametrize("second", [heist, blocked])
@pytest.mark.parametrize(("gap", "reported"), [(END, False), (END - MICRO, True), (-HOUR, True)])
def test_a_success_protects_its_victim_from_every_attacker(
    people: SimpleNamespace, second: Any, gap: dt.timedelta, reported: bool
) -> None:
    rules = rule_set(**OFF | {"target_cooldown_hours": 1})
    heist(people.carol, people.bob, rules, NOW - 5 * HOUR)
    before = heist(people.alice, people.bob, rules)
    rejected(people.carol, people.bob, rules), heist(people.bob, people.carol, rules)
    after = second(people.dora, people.bob, rules, NOW + gap)

    assert found("window_protection") == (
        [
            f"heist {after.pk}, victim {people.bob.pk}: status {after.status}, previous_heist {before.pk},"
            f" previous {NOW}, created_at {NOW + gap}"
        ]
        if reported
        else []
    )


def test_a_block_protects_nobody_but_stands_in_the_protection_of_an_earlier_success(people: SimpleNamespace) -> None:
    rules = rule_set(**OFF | {"target_cooldown_hours": 1})
    blocked(people.alice, people.bob, rules)
    success = heist(people.carol, people.bob, rules, NOW + SECOND)
    block = blocked(people.dora, people.bob, rules, NOW + HOUR / 2)
    last = heist(people.alice, people.bob, rules, NOW + HOUR / 2 + SECOND)

    assert [row.split(",")[0] for row in found("window_protection")] == [f"heist {block.pk}", f"heist {last.pk}"]
    assert all(f"previous_heist {success.pk}, previous {NOW + SECOND}" in row for row in found("window_protection"))


WINDOWS = {
    "window_cooldown": "cooldown_hours",
    "window_protection": "target_cooldown_hours",
    "window_pair": "pair_cooldown_hours",
}


@pytest.mark.parametrize("code", WINDOWS)
@pytest.mark.parametrize("first", ["off", "hour"])
def test_an_outcome_is_judged_by_its_own_rules_and_opens_windows_under_any(
    people: SimpleNamespace, code: str, first: str
) -> None:
    rules = {"off": rule_set(**OFF), "hour": rule_set(**OFF | {WINDOWS[code]: 1})}
    rules["two"] = rule_set(**OFF | {WINDOWS[code]: 2})
    start, courses = NOW, []
    for second, gap in (("off", MICRO), ("hour", END), ("hour", END - MICRO), ("two", HOUR + END)):
        heist(people.alice, people.bob, rules[first], start)
        courses.append(heist(people.alice, people.bob, rules[second], start + gap).pk)
        # The next course is not inside a window of this one.
        start += 9 * HOUR
    inside = heist(people.alice, people.bob, rules["two"], start - 9 * HOUR + HOUR + END + HOUR)

    assert [row.split(",")[0] for row in found(code)] == [f"heist {courses[2]}", f"heist {inside.pk}"]


@pytest.mark.parametrize("code", WINDOWS)
def test_a_window_that_is_off_rejects_nothing(people: SimpleNamespace, code: str) -> None:
    rules = rule_set(**OFF)
    for _ in range(3):
        heist(people.alice, people.bob, rules)

    assert found(code) == []


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize(("gap", "reported"), [(DAY - SECOND, False), (DAY - SECOND - MICRO, True)])
def test_a_rolling_day_has_no_more_outcomes_than_the_limit(
    people: SimpleNamespace, limit: int, gap: dt.timedelta, reported: bool
) -> None:
    rules = rule_set(**OFF | {"max_heists_per_day": limit})
    for number in range(limit):
        (heist, blocked)[number % 2](people.alice, people.bob, rules, NOW + number * HOUR)
    for _ in range(3):
        rejected(people.alice, people.bob, rules, NOW + HOUR), heist(people.bob, people.alice, rule_set(**OFF))
    after = heist(people.alice, people.carol, rules, NOW + gap)

    line = f"heist {after.pk}, attacker {people.alice.pk}: limit {limit}, before {NOW}, created_at {NOW + gap}"
    assert found("window_day") == ([line] if reported else [])


def test_each_outcome_counts_for_the_limits_of_all_rules(people: SimpleNamespace) -> None:
    wide, narrow = rule_set(**OFF | {"max_heists_per_day": 3}), rule_set(**OFF | {"max_heists_per_day": 1})
    for number in range(3):
        heist(people.alice, people.bob, wide, NOW + number * HOUR)
    wrong = heist(people.alice, people.bob, narrow, NOW + 4 * HOUR)
    also = heist(people.alice, people.bob, wide, NOW + 5 * HOUR)

    assert [row.split(", created_at")[0] for row in found("window_day")] == [
        f"heist {wrong.pk}, attacker {people.alice.pk}: limit 1, before {NOW + 2 * HOUR}",
        f"heist {also.pk}, attacker {people.alice.pk}: limit 3, before {NOW + HOUR}",
    ]


def test_under_a_limit_of_0_every_outcome_is_reported(people: SimpleNamespace) -> None:
    none, one = rule_set(**OFF | {"max_heists_per_day": 0}), rule_set(**OFF | {"max_heists_per_day": 1})
    wrong = heist(people.alice, people.bob, none)
    rejected(people.alice, people.bob, none)
    heist(people.bob, people.alice, one)

    assert found("window_day") == [
        f"heist {wrong.pk}, attacker {people.alice.pk}: limit 0, before {NOW}, created_at {NOW}"
    ]
