"""Many calls at the same moment: in whatever order they run, the sums are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from heists.db.retry import retry_transient
from heists.models import Heist
from heists.services import execute_heist
from tests.concurrency import at_once
from tests.conftest import HeistSettings
from tests.factories import player, points_of, tokens_of

pytestmark = [
    # One process runs them all: each crowd opens 50 connections, and a server allows 100 by default.
    pytest.mark.xdist_group("crowds"),
    pytest.mark.postgresql,
    pytest.mark.usefixtures("isolation", "audited"),
    # Fifty connections a test: in one worker process, since the server allows a hundred.
    pytest.mark.xdist_group("fifty connections"),
]


def robbing(attacker: Any, victim: Any, key: str | None = None) -> Callable[[], Heist]:
    return lambda: execute_heist(attacker_id=attacker.pk, victim_id=victim.pk, idempotency_key=key)


def results_of(heists: list[Heist]) -> Counter[str]:
    return Counter(heist.failure_code or heist.status for heist in heists)


def test_fifty_requests_with_one_token() -> None:
    alice, victims = player(tokens=1), [player(points=1000) for _ in range(50)]

    heists = at_once(*(robbing(alice, victim) for victim in victims))

    assert results_of(heists) == {"SUCCESS": 1, "insufficient_tokens": 49}
    assert sum(map(points_of, victims)) == 49_950
    assert points_of(alice) == 50


def test_fifty_attackers_on_one_victim() -> None:
    attackers, bob = [player(tokens=1) for _ in range(50)], player(points=1000)

    heists = at_once(*(robbing(attacker, bob) for attacker in attackers))

    assert results_of(heists) == {"SUCCESS": 1, "protected": 49}
    assert points_of(bob) == 950
    assert sum(tokens_of(attacker).balance for attacker in attackers) == 49


def test_twenty_requests_with_one_key() -> None:
    alice, bob = player(tokens=20), player(points=1000)

    heists = at_once(*[robbing(alice, bob, "key")] * 20)

    assert results_of(heists) == {"SUCCESS": 20}
    assert len({heist.pk for heist in heists}) == 1
    assert tokens_of(alice).balance == 19


@pytest.mark.usefixtures("no_cooldowns")
def test_everybody_robs_everybody() -> None:
    cast = [player(points=1000, tokens=12) for _ in range(5)]

    heists = at_once(*(robbing(one, other) for one in cast for other in cast if one is not other))

    assert results_of(heists).keys() <= {"SUCCESS", "loss_limit"}
    assert len(heists) == 20
    assert sum(map(points_of, cast)) == 5000


def test_all_the_attackers_of_one_victim_are_deleted_at_once(no_cooldowns: None, heist_settings: HeistSettings) -> None:
    heist_settings(MONTHLY_LOSS_PERCENT=100)
    attackers, bob = [player(tokens=1) for _ in range(10)], player(points=1000)
    heists = [robbing(attacker, bob)() for attacker in attackers]
    assert results_of(heists) == {"SUCCESS": 10}

    @retry_transient  # as a host has to, at SERIALIZABLE
    def delete(attacker: Any) -> Any:
        return get_user_model().objects.filter(pk=attacker.pk).delete()

    at_once(*(partial(delete, attacker) for attacker in attackers))

    kept = [(loss.heist_id, loss.points) for loss in tokens_of(bob).deleted_losses]
    assert sorted(kept) == [(heist.pk, heist.points_stolen) for heist in heists]
