"""Tokens against grants and outcomes: each clause of each check, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pytest

from .rows import MICRO, NOW, SECOND, blocked, found, grant, heist, rejected, rule_set, tokens


@pytest.mark.parametrize(("total", "reported"), [(5, False), (4, True), (6, True)])
def test_total_earned_is_the_sum_of_the_players_own_grants(people: SimpleNamespace, total: int, reported: bool) -> None:
    grant(people.alice, 2), grant(people.alice, 3), grant(people.bob, 7)
    tokens(people.alice, total_earned=total)
    tokens(people.bob, total_earned=7)

    assert found("token_earned") == ([f"player {people.alice.pk}: total_earned {total}, granted 5"] if reported else [])


def test_a_player_without_a_grant_earned_nothing(people: SimpleNamespace) -> None:
    tokens(people.alice)
    tokens(people.bob, total_earned=1)

    assert found("token_earned") == [f"player {people.bob.pk}: total_earned 1, granted 0"]


@pytest.mark.parametrize(("total", "reported"), [(6, False), (5, True), (7, True), (4, True), (2, True)])
def test_total_spent_is_the_cost_of_ones_own_outcomes_and_of_deleted_ones(
    people: SimpleNamespace, total: int, reported: bool
) -> None:
    cheap, dear = rule_set(token_cost=1), rule_set(token_cost=3)
    heist(people.alice, people.bob, cheap)
    blocked(people.alice, people.bob, dear)
    rejected(people.alice, people.bob, dear)
    heist(people.carol, people.alice, dear)
    tokens(people.alice, total_spent=total, spent_on_deleted=2)

    assert found("token_spent") == (
        [f"player {people.alice.pk}: total_spent {total}, paid 4, spent_on_deleted 2"] if reported else []
    )


def test_who_never_attacked_spent_nothing(people: SimpleNamespace) -> None:
    tokens(people.alice)
    tokens(people.bob, total_spent=1)

    assert found("token_spent") == [f"player {people.bob.pk}: total_spent 1, paid 0, spent_on_deleted 0"]


@pytest.mark.parametrize(("balance", "reported"), [(4, False), (3, True), (5, True), (6, True), (8, True)])
def test_a_balance_is_what_was_granted_minus_what_was_spent(
    people: SimpleNamespace, balance: int, reported: bool
) -> None:
    rules = rule_set(token_cost=2)
    grant(people.alice, 10), grant(people.bob, 7)
    heist(people.alice, people.bob, rules), blocked(people.alice, people.carol, rules)
    rejected(people.alice, people.bob, rules), heist(people.carol, people.alice, rules)
    tokens(people.alice, balance=balance, spent_on_deleted=2)

    assert found("token_balance") == (
        [f"player {people.alice.pk}: balance {balance}, granted 10, paid 4, spent_on_deleted 2"] if reported else []
    )


def test_a_grant_needs_a_token_row_of_its_player(people: SimpleNamespace) -> None:
    tokens(people.alice)
    grant(people.alice)
    missing = grant(people.bob, 3)

    assert found("token_missing_for_grant") == [f"grant {missing.pk}, player {people.bob.pk}: amount 3"]


def test_an_attacker_needs_a_token_row(people: SimpleNamespace) -> None:
    rules = rule_set()
    tokens(people.alice)
    heist(people.alice, people.bob, rules)
    missing = rejected(people.bob, people.alice, rules)

    assert found("token_missing_for_attacker") == [f"heist {missing.pk}, player {people.bob.pk}"]


LAST = [
    (NOW, False),
    (NOW - SECOND, False),
    (NOW - SECOND - MICRO, True),
    (NOW + SECOND, False),
    (NOW + SECOND + MICRO, True),
    (None, True),
]


@pytest.mark.parametrize(("at", "reported"), LAST)
def test_last_spent_at_is_the_time_of_the_newest_outcome(
    people: SimpleNamespace, at: dt.datetime | None, reported: bool
) -> None:
    rules = rule_set()
    blocked(people.alice, people.bob, rules, NOW)
    heist(people.alice, people.bob, rules, NOW - 9 * SECOND)
    # Neither a rejection nor being attacked spends a token.
    rejected(people.alice, people.bob, rules, NOW + 9 * SECOND)
    heist(people.bob, people.alice, rules, NOW + 9 * SECOND)
    tokens(people.alice, last_spent_at=at)
    tokens(people.bob, last_spent_at=NOW + 9 * SECOND)

    assert found("token_last_spent") == (
        [f"player {people.alice.pk}: last_spent_at {at}, newest {NOW}, spent_on_deleted 0"] if reported else []
    )


LATER = [
    # last_spent_at, whether an outcome is left, spent_on_deleted, a rule set that costs nothing, whether it is reported
    (NOW + 9 * SECOND, True, 0, False, True),
    (NOW + 9 * SECOND, True, 1, False, False),
    (NOW + 9 * SECOND, True, 0, True, False),
    (NOW, False, 0, False, True),
    (NOW, False, 1, False, False),
    (NOW, False, 0, True, False),
    (NOW - 9 * SECOND, True, 1, False, True),
    (NOW - 9 * SECOND, True, 0, True, True),
    (None, True, 1, False, True),
    (None, True, 0, True, True),
    (None, False, 0, False, False),
    (None, False, 1, False, False),
]


@pytest.mark.parametrize(("at", "left", "deleted", "free", "reported"), LATER)
def test_only_a_deleted_outcome_explains_a_later_last_spent_at(
    people: SimpleNamespace, at: dt.datetime | None, left: bool, deleted: int, free: bool, reported: bool
) -> None:
    rules = rule_set()
    if free:
        rule_set(token_cost=0)
    if left:
        heist(people.alice, people.bob, rules, NOW)
    tokens(people.alice, last_spent_at=at, spent_on_deleted=deleted)

    assert bool(found("token_last_spent")) is reported


@pytest.mark.parametrize(("at", "reported"), LAST)
def test_last_earned_at_is_the_time_of_the_newest_grant(
    people: SimpleNamespace, at: dt.datetime | None, reported: bool
) -> None:
    grant(people.alice, at=NOW)
    grant(people.alice, at=NOW - 9 * SECOND)
    grant(people.bob, at=NOW + 9 * SECOND)
    tokens(people.alice, last_earned_at=at)
    tokens(people.bob, last_earned_at=NOW + 9 * SECOND)

    assert found("token_last_earned") == (
        [f"player {people.alice.pk}: last_earned_at {at}, newest {NOW}"] if reported else []
    )


def test_who_has_no_grant_has_no_last_earned_at(people: SimpleNamespace) -> None:
    tokens(people.alice)
    tokens(people.bob, last_earned_at=NOW)

    assert found("token_last_earned") == [f"player {people.bob.pk}: last_earned_at {NOW}, newest None"]
