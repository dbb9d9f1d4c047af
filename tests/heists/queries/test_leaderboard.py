"""The leaderboard, which is cached where computing it takes long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from heists.queries import cached, leaderboard
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty_cache_afterwards() -> Iterator[None]:
    yield
    cache.clear()


def rob(name: str) -> Any:
    attacker = player(name, tokens=1)
    assert execute_heist(attacker_id=attacker.pk, victim_id=player(f"{name}s-victim", points=500).pk).is_outcome
    return attacker


def board() -> list[tuple[int, Any]]:
    return [(leader.rank, leader.player.pk) for leader in leaderboard.leaders(now=timezone.now(), limit=10)]


def test_a_fast_leaderboard_is_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "SLOW_SECONDS", 3600)
    first = rob("alice")
    assert board() == [(1, first.pk)]

    second = rob("bob")

    assert board() == [(1, first.pk), (2, second.pk)]


def test_a_slow_leaderboard_is_cached_and_omits_deleted_players(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cached, "SLOW_SECONDS", -1)
    first, second = rob("alice"), rob("bob")
    before = board()

    rob("carol")
    assert board() == before == [(1, first.pk), (2, second.pk)]

    pk = second.pk
    first.delete()
    assert board() == [(1, pk)]


@pytest.mark.parametrize("broken", ["get", "set"])
def test_a_cache_that_is_down_costs_time_only(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("the cache is down")

    monkeypatch.setattr(cached, "SLOW_SECONDS", -1)
    monkeypatch.setattr(cache, broken, fail, raising=False)
    first = rob("alice")

    assert board() == [(1, first.pk)]


def test_an_invalid_cached_value_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = rob("alice")
    monkeypatch.setattr(cache, "get", lambda key: "garbage", raising=False)

    assert board() == [(1, first.pk)]
