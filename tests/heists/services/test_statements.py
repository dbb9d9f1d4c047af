"""The number of SQL statements of an attempt, BEGIN and COMMIT included, once the rule set is known."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from heists.choices import HeistStatus
from heists.models import Heist, HeistToken
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def known_rule_set(transactional_db: None) -> None:
    execute_heist(attacker_id=player().pk, victim_id=player().pk)


def statements_of(**attempt: Any) -> tuple[int, Heist]:
    with CaptureQueriesContext(connection) as statements:
        heist = execute_heist(**attempt)
    return len(statements), heist


def test_a_success_with_emails_for_both() -> None:
    alice, bob = player(tokens=1, email="a@example.com"), player(points=500, tokens=1, email="b@example.com")

    count, heist = statements_of(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")

    assert heist.status == HeistStatus.SUCCESS
    assert count == 12


def test_a_success_without_emails() -> None:
    assert statements_of(attacker_id=player(tokens=1).pk, victim_id=player(points=500, tokens=1).pk)[0] == 11


def test_a_first_success_against_a_player_makes_their_token_row() -> None:
    bob = player(points=500)

    count, heist = statements_of(attacker_id=player(tokens=1).pk, victim_id=bob.pk)

    assert (heist.status, count) == (HeistStatus.SUCCESS, 12)
    assert HeistToken.objects.filter(user=bob).exists()


def test_a_rejection() -> None:
    alice, bob = player(tokens=1), player(points=5)

    assert statements_of(attacker_id=alice.pk, victim_id=bob.pk)[0] == 2


def test_a_rejection_with_a_key() -> None:
    alice, bob = player(tokens=1), player(points=5)

    assert statements_of(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")[0] == 3


def test_a_first_attempt_makes_the_token_row() -> None:
    assert statements_of(attacker_id=player().pk, victim_id=player(points=500).pk)[0] == 3


def test_a_rejection_locks_nothing() -> None:
    alice, bob = player(tokens=1), player(points=5)

    with CaptureQueriesContext(connection) as statements:
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert not [s["sql"] for s in statements if "FOR UPDATE" in s["sql"] or s["sql"].startswith("BEGIN")]
