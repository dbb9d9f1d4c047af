"""Shields against heists, rules and payments: each clause of each check, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from heists.economy import ShieldPayment

from .rows import DAY, HOUR, MICRO, NOW, SECOND, blocked, found, heist, rejected, rule_set, shield

WEEK = 7 * DAY


def test_a_block_used_a_shield_and_nothing_else_needs_one(people: SimpleNamespace) -> None:
    rules = rule_set()
    shield(people.bob, used_at=NOW, used_by=blocked(people.alice, people.bob, rules))
    shield(people.dora)
    missing = blocked(people.alice, people.dora, rules)
    heist(people.alice, people.bob, rules), rejected(people.alice, people.bob, rules)

    assert found("shield_missing") == [f"heist {missing.pk}, victim {people.dora.pk}: created_at {NOW}"]


USED = [
    # bought, expires and was used, seen from the moment of the block; whether that is honest
    (-HOUR, WEEK, dt.timedelta(), True),
    (SECOND, WEEK, dt.timedelta(), True),
    (SECOND + MICRO, WEEK, dt.timedelta(), False),
    (-HOUR, MICRO, dt.timedelta(), True),
    (-HOUR, dt.timedelta(), dt.timedelta(), False),
    (-HOUR, WEEK, MICRO, False),
    (-HOUR, WEEK, -MICRO, False),
]


@pytest.mark.parametrize(("bought", "expires", "used", "honest"), USED)
def test_a_used_shield_was_live_at_the_moment_of_the_block(
    people: SimpleNamespace, bought: dt.timedelta, expires: dt.timedelta, used: dt.timedelta, honest: bool
) -> None:
    block = blocked(people.alice, people.bob, rule_set())
    row = shield(people.bob, NOW + bought, expires_at=NOW + expires, used_at=NOW + used, used_by=block)

    assert found("shield_used_wrongly") == (
        []
        if honest
        else [
            f"shield {row.pk}, player {people.bob.pk}, heist {block.pk}: used_by status FAILED_SHIELD,"
            f" bought_at {NOW + bought}, used_at {NOW + used}, expires_at {NOW + expires}"
        ]
    )


def test_a_used_shield_blocked_an_attack_on_its_owner(people: SimpleNamespace) -> None:
    rules = rule_set()
    others = shield(people.dora, used_at=NOW, used_by=blocked(people.alice, people.bob, rules))
    attackers = shield(people.alice, used_at=NOW, used_by=blocked(people.alice, people.bob, rules))
    robbed = shield(people.bob, used_at=NOW, used_by=heist(people.alice, people.bob, rules))
    shield(people.bob)

    assert [row.split(",")[0] for row in found("shield_used_wrongly")] == sorted(
        f"shield {row.pk}" for row in (others, attackers, robbed)
    )


@pytest.mark.parametrize(
    ("used", "honest"),
    [(-SECOND - MICRO, False), (-SECOND, True), (HOUR, True), (WEEK - MICRO, True), (WEEK, False), (None, True)],
)
def test_a_shield_whose_heist_was_deleted_was_used_while_it_was_live(
    people: SimpleNamespace, used: dt.timedelta | None, honest: bool
) -> None:
    row = shield(people.bob, used_at=None if used is None else NOW + used)

    assert [line.split(",")[0] for line in found("shield_used_wrongly")] == ([] if honest else [f"shield {row.pk}"])


@pytest.mark.parametrize(("marked", "early"), [(WEEK - MICRO, True), (WEEK, False), (WEEK + DAY, False)])
def test_a_shield_is_marked_as_expired_after_its_end(
    people: SimpleNamespace, marked: dt.timedelta, early: bool
) -> None:
    shield(people.alice)
    row = shield(people.bob, expired_at=NOW + marked)

    assert found("shield_expired_early") == (
        [f"shield {row.pk}, player {people.bob.pk}: expires_at {NOW + WEEK}, expired_at {NOW + marked}"]
        if early
        else []
    )


END: dict[str, dict[str, Any]] = {
    "its time is over": {},
    "it was used": {"used_at": NOW + HOUR},
    "it was marked early": {"expired_at": NOW + HOUR},
    "it was marked late": {"expired_at": NOW + 9 * DAY},
    "it was used late": {"used_at": NOW + 9 * DAY},
}


@pytest.mark.parametrize("end", END)
@pytest.mark.parametrize(
    ("from_start", "from_end", "ignored"),
    [
        (SECOND, None, False),
        (SECOND + MICRO, None, True),
        (-HOUR, None, False),
        (None, -SECOND, False),
        (None, -SECOND - MICRO, True),
        (None, HOUR, False),
    ],
)
def test_no_success_is_against_a_player_whose_shield_is_live(
    people: SimpleNamespace, end: str, from_start: dt.timedelta | None, from_end: dt.timedelta | None, ignored: bool
) -> None:
    row = shield(people.bob, **END[end])
    ends = NOW + (HOUR if end in ("it was used", "it was marked early") else WEEK)
    at = NOW + from_start if from_start is not None else ends + (from_end or dt.timedelta())
    success = heist(people.alice, people.bob, rule_set(), at)

    assert found("shield_ignored") == (
        [f"shield {row.pk}, player {people.bob.pk}, heist {success.pk}: bought_at {NOW}, expires_at {NOW + WEEK}"]
        if ignored
        else []
    )


def test_a_live_shield_ignores_blocks_rejections_and_other_victims(people: SimpleNamespace) -> None:
    rules = rule_set()
    shield(people.bob)
    for write in (blocked, rejected):
        write(people.alice, people.bob, rules, NOW + HOUR)
    heist(people.bob, people.alice, rules, NOW + HOUR)

    assert found("shield_ignored") == []


def test_of_several_successes_the_first_is_named(people: SimpleNamespace) -> None:
    rules, row = rule_set(), shield(people.bob)
    first = heist(people.alice, people.bob, rules, NOW + HOUR)
    heist(people.carol, people.bob, rules, NOW + HOUR)

    assert [line.split(":")[0] for line in found("shield_ignored")] == [
        f"shield {row.pk}, player {people.bob.pk}, heist {first.pk}"
    ]


TERMS = [
    (50, WEEK, True),
    (60, 3 * DAY, True),
    (51, WEEK, False),
    (50, 3 * DAY, False),
    (60, WEEK, False),
    (50, WEEK + MICRO, False),
    (50, WEEK - MICRO, False),
]


@pytest.mark.parametrize(("cost", "life", "fits"), TERMS)
def test_price_and_length_are_of_the_same_rules(
    people: SimpleNamespace, cost: int, life: dt.timedelta, fits: bool
) -> None:
    rule_set(shield_cost=50, shield_days=7), rule_set(shield_cost=60, shield_days=3)
    row = shield(people.bob, cost=cost, expires_at=NOW + life)

    line = f"shield {row.pk}, player {people.bob.pk}: cost {cost}, bought_at {NOW}, expires_at {NOW + life}"
    assert found("shield_terms") == ([] if fits else [line])


def test_a_site_without_rules_sold_no_shield(people: SimpleNamespace) -> None:
    row = shield(people.bob)

    assert [line.split(",")[0] for line in found("shield_terms")] == [f"shield {row.pk}"]


PAID = [
    # the cost, what the host lists as paid for it by its owner, and by another player; whether that is honest
    (50, [50], [], True),
    (50, [], [], False),
    (50, [49], [], False),
    (50, [51], [], False),
    (50, [50, 50], [], False),
    (50, [], [50], False),
    (0, [], [], True),
    (0, [0], [], False),
    (0, [5], [], False),
]


@pytest.mark.parametrize(("cost", "own", "others", "honest"), PAID)
def test_the_owner_of_a_shield_paid_its_price_once(
    people: SimpleNamespace, monkeypatch: Any, cost: int, own: list[int], others: list[int], honest: bool
) -> None:
    row, other = shield(people.bob, cost=cost), shield(people.alice, cost=7)
    payments = [ShieldPayment(row.pk, people.bob.pk, coins) for coins in own]
    payments += [ShieldPayment(row.pk, people.carol.pk, coins) for coins in others]
    payments.append(ShieldPayment(other.pk, people.alice.pk, 7))
    monkeypatch.setattr("gamification.economy.GamificationEconomy.shield_payments", lambda self, ids: payments)

    assert found("shield_unpaid") == (
        [] if honest else [f"shield {row.pk}, player {people.bob.pk}: cost {cost}, paid {own}"]
    )


def test_every_shield_is_compared_however_few_are_read_at_once(people: SimpleNamespace, monkeypatch: Any) -> None:
    monkeypatch.setattr("heists.audit.base.CHUNK_ROWS", 2)
    rows = [shield(people.bob) for _ in range(5)]
    asked: list[list[int]] = []

    def nothing_paid(self: Any, ids: list[int]) -> list[ShieldPayment]:
        asked.append(ids)
        return []

    monkeypatch.setattr("gamification.economy.GamificationEconomy.shield_payments", nothing_paid)

    lines = found("shield_unpaid")

    assert [line.split(",")[0] for line in lines] == sorted(f"shield {row.pk}" for row in rows)
    assert asked == [[row.pk for row in rows[:2]], [row.pk for row in rows[2:4]], [rows[4].pk]]
