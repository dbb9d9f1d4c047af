"""`staging` fails a test whose race does not take place."""

from __future__ import annotations

import pytest

from heists.services import execute_heist
from tests.factories import player, points_of

from .staging import POINTS, REJECTED, concurrent_at

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("transactional_db")]


@pytest.mark.parametrize("point", [point for point in POINTS if point not in REJECTED])
def test_a_point_that_is_not_reached_fails_the_test(point: str) -> None:
    alice, bob, calls = player(), player(points=1000), []

    with pytest.raises(AssertionError, match="not reached"), concurrent_at(point, lambda: calls.append(point)):
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert heist.failure_code == "insufficient_tokens"
    assert calls == []


def test_the_heist_goes_on_while_the_concurrent_call_waits_for_its_lock() -> None:
    alice, carol, bob = player(tokens=1), player(tokens=1), player(points=1000)

    with concurrent_at("after the lock", lambda: execute_heist(attacker_id=carol.pk, victim_id=bob.pk)) as concurrent:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert (heist.status, concurrent.result.failure_code) == ("SUCCESS", "protected")
    assert heist.created_at < concurrent.result.created_at
    assert points_of(bob) == 950
