"""The leaderboard: right, and remembered where it takes long to add up."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from heists.queries import cached, leaderboard
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _forget() -> Any:
    cache.clear()
    yield
    cache.clear()


def rob(name: str) -> Any:
    attacker = player(name, tokens=1)
    assert execute_heist(attacker_id=attacker.pk, victim_id=player(f"{name}s-victim", points=500).pk).is_outcome
    return attacker


def board() -> list[tuple[int, Any]]:
    return [(leader.rank, leader.player.pk) for leader in leaderboard.leaders(now=timezone.now(), limit=10)]


def test_a_small_site_always_sees_its_newest_heists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "SLOW_SECONDS", 3600)
    first = rob("alice")
    assert board() == [(1, first.pk)]

    second = rob("bob")

    assert board() == [(1, first.pk), (2, second.pk)]


def test_a_ranking_that_takes_long_stands_for_a_minute_and_forgets_deleted_players(
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
def test_a_broken_cache_costs_time_only(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("the cache is away")

    monkeypatch.setattr(cached, "SLOW_SECONDS", -1)
    monkeypatch.setattr(cached.cache, broken, refuse, raising=False)
    first = rob("alice")

    assert board() == [(1, first.pk)]


def test_what_nobody_remembered_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = rob("alice")
    monkeypatch.setattr(cached.cache, "get", lambda key: "rubbish", raising=False)

    assert board() == [(1, first.pk)]
