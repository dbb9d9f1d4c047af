"""Each heist against its rules: each clause of each check, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from heists.models import AttemptLog, FailureCode, HeistStatus

from .rows import DAY, HOUR, MICRO, NOW, blocked, found, heist, rejected, rule_set

# docs/specification.md, "The rules": the table of questions.
STATUS_OF_CODE = {
    None: "SUCCESS",
    "self_target": "FAILED_INVALID_TARGET",
    "inactive_target": "FAILED_INVALID_TARGET",
    "own_truce": "FAILED_COOLDOWN",
    "insufficient_tokens": "FAILED_INSUFFICIENT_TOKENS",
    "cooldown": "FAILED_COOLDOWN",
    "daily_limit": "FAILED_COOLDOWN",
    "truce": "FAILED_TARGET_PROTECTED",
    "newcomer": "FAILED_TARGET_PROTECTED",
    "pair_cooldown": "FAILED_TARGET_PROTECTED",
    "protected": "FAILED_TARGET_PROTECTED",
    "insufficient_points": "FAILED_INSUFFICIENT_POINTS",
    "loss_limit": "FAILED_TARGET_PROTECTED",
    "balance_full": "FAILED_INVALID_TARGET",
    "shield": "FAILED_SHIELD",
}
MINUTE = dt.timedelta(minutes=1)


def test_every_pair_of_a_status_and_a_code_but_the_right_ones_is_reported(people: SimpleNamespace) -> None:
    rules, expected = rule_set(), []
    for code in (None, *FailureCode.values):
        for status in HeistStatus.values:
            row = heist(people.alice, people.bob, rules, status=status, failure_code=code)
            if STATUS_OF_CODE[code] != status:
                expected.append(f"heist {row.pk}: status {status}, failure_code {code}")

    assert len(expected) == 15 * 6
    assert found("heist_failure_code") == sorted(expected)


def test_the_code_self_target_is_on_attempts_on_oneself_and_only_there(people: SimpleNamespace) -> None:
    alice, bob, rules = people.alice, people.bob, rule_set()
    rejected(alice, alice, rules, failure_code="self_target")
    rejected(alice, bob, rules)
    heist(alice, bob, rules)
    uncoded = heist(alice, alice, rules)
    other = rejected(alice, alice, rules)
    wrong = rejected(alice, bob, rules, failure_code="self_target")

    assert found("heist_self_target") == sorted(
        [
            f"heist {uncoded.pk}, attacker {alice.pk}: victim_id {alice.pk}, failure_code None",
            f"heist {other.pk}, attacker {alice.pk}: victim_id {alice.pk}, failure_code cooldown",
            f"heist {wrong.pk}, attacker {alice.pk}: victim_id {bob.pk}, failure_code self_target",
        ]
    )


ENOUGH = [
    # the rules, the victim's points, the share, whether they are enough
    ({"min_target_points": 20, "steal_percentage": 10}, 20, 2, True),
    ({"min_target_points": 20, "steal_percentage": 10}, 19, 1, False),
    ({"min_target_points": 1, "steal_percentage": 5}, 20, 1, True),
    ({"min_target_points": 1, "steal_percentage": 5}, 19, 0, False),
    ({"min_target_points": 1, "steal_percentage": 5}, 1, 0, False),
    ({"min_target_points": 1, "max_steal_points": 1}, 500, 1, True),
    ({"min_target_points": 1, "max_steal_points": 0}, 500, 0, False),
    ({"min_target_points": 0, "steal_percentage": 100, "max_steal_points": 2**31 - 1}, 2**53 - 1, 2**31 - 1, True),
]


@pytest.mark.parametrize(("values", "points", "share", "enough"), ENOUGH)
def test_the_victim_of_an_outcome_had_enough_points(
    people: SimpleNamespace, values: dict[str, int], points: int, share: int, enough: bool
) -> None:
    rules = rule_set(**values)
    had: dict[str, Any] = {"victim_points_before": points}
    success = heist(people.alice, people.bob, rules, **had)
    block = heist(people.alice, people.bob, rules, status="FAILED_SHIELD", failure_code="shield", **had)
    few: dict[str, Any] = {"status": "FAILED_INSUFFICIENT_POINTS", "failure_code": "insufficient_points"}
    rejected(people.alice, people.bob, rules, **few, **had)

    assert found("heist_enough_points") == sorted(
        f"heist {row.pk}: status {row.status}, victim_points_before {points}, share {share}"
        for row in ([] if enough else [success, block])
    )


@pytest.mark.parametrize(
    ("points", "share"), [(999, 49), (1000, 50), (1019, 50), (1020, 51), (2019, 100), (2020, 100), (90_000, 100)]
)
def test_a_success_takes_the_percentage_rounded_down_and_the_cap_at_most(
    people: SimpleNamespace, points: int, share: int
) -> None:
    rules = rule_set(steal_percentage=5, max_steal_points=100)
    heist(people.alice, people.bob, rules, points=share, victim_points_before=points)
    more = heist(people.alice, people.carol, rules, points=share + 1, victim_points_before=points)
    blocked(people.alice, people.dora, rules)
    rejected(people.alice, people.dora, rules, points=share + 1, victim_points_before=points)

    assert found("heist_amount") == [
        f"heist {more.pk}, victim {people.carol.pk}: points_stolen {share + 1}, share {share}, rule_set_id {rules.pk}"
    ]


TIMED = {
    "cooldown": 24 * HOUR,
    "protected": 48 * HOUR,
    "pair_cooldown": 5 * HOUR,
    "daily_limit": 24 * HOUR,
    # The longest month, and a clock that was set back.
    "loss_limit": 31 * DAY + 2 * HOUR,
    # Whatever the host says about when the player joined.
    "newcomer": 99_999 * HOUR,
    "own_truce": 31 * DAY + 2 * HOUR,
    "truce": 31 * DAY + 2 * HOUR,
}


@pytest.mark.parametrize("code", FailureCode.values)
def test_retry_at_is_after_the_attempt_where_time_decides_and_within_the_window(
    people: SimpleNamespace, code: str
) -> None:
    rules = rule_set(cooldown_hours=24, target_cooldown_hours=48, pair_cooldown_hours=5, newcomer_days=3)
    rule_set(cooldown_hours=90, target_cooldown_hours=90, pair_cooldown_hours=90, newcomer_days=4)

    def attempt(retry_at: dt.datetime | None) -> str:
        row = rejected(
            people.alice, people.bob, rules, status=STATUS_OF_CODE[code], failure_code=code, retry_at=retry_at
        )
        return f"heist {row.pk}: failure_code {code}, created_at {NOW}, retry_at {retry_at}"

    if code in TIMED:
        attempt(NOW + MICRO), attempt(NOW + HOUR), attempt(NOW + TIMED[code] + MINUTE)
        expected = [attempt(NOW), attempt(NOW - HOUR)]
        late = attempt(NOW + TIMED[code] + MINUTE + MICRO)
        expected += [] if code == "newcomer" else [late]
        without = attempt(None)
        # A truce has no end while it is wanted.
        expected += [] if code in ("own_truce", "truce") else [without]
    else:
        attempt(None)
        expected = [attempt(NOW - HOUR), attempt(NOW + HOUR)]

    assert found("heist_retry_at") == sorted(expected)


def test_a_success_has_no_retry_at(people: SimpleNamespace) -> None:
    rules = rule_set()
    heist(people.alice, people.bob, rules)
    wrong = heist(people.alice, people.bob, rules, retry_at=NOW + HOUR)

    assert found("heist_retry_at") == [f"heist {wrong.pk}: failure_code None, created_at {NOW}, retry_at {NOW + HOUR}"]


# None is of an earlier version, or another writer.
@pytest.mark.parametrize(("balance", "enough"), [(0, False), (1, False), (2, True), (3, True), (None, True)])
def test_the_attacker_of_an_outcome_had_the_token_cost(
    people: SimpleNamespace, balance: int | None, enough: bool
) -> None:
    rules = rule_set(token_cost=2)
    had: dict[str, Any] = {"attacker_tokens": balance}
    success = heist(people.alice, people.bob, rules, **had)
    block = heist(people.alice, people.bob, rules, status="FAILED_SHIELD", failure_code="shield", **had)
    few: dict[str, Any] = {"status": "FAILED_INSUFFICIENT_TOKENS", "failure_code": "insufficient_tokens"}
    rejected(people.alice, people.bob, rules, **few, **had)
    reported = [] if enough else [success, block]

    assert found("heist_attacker_tokens") == sorted(
        f"heist {row.pk}, attacker {people.alice.pk}: attacker_tokens {balance}, status {row.status}"
        for row in reported
    )


def test_a_deleted_heist_is_reported_where_both_its_players_exist(people: SimpleNamespace) -> None:
    alice, bob, rules = people.alice, people.bob, rule_set()
    there, gone = heist(alice, bob, rules), 2**31 - 1
    AttemptLog.objects.bulk_create(
        [
            AttemptLog(heist_id=there.pk, attacker=alice, victim=bob),
            AttemptLog(heist_id=901, attacker=alice, victim=bob),
            AttemptLog(heist_id=902, attacker=alice, victim=bob, deleted=True),
            AttemptLog(heist_id=903, attacker_id=gone, victim=bob),
            AttemptLog(heist_id=904, attacker=alice, victim_id=gone),
            AttemptLog(heist_id=905),
        ]
    )

    assert found("heist_deleted") == [f"heist 901, attacker {alice.pk}, victim {bob.pk}"]
