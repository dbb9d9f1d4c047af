from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from heists.models import HeistNotification, Shield
from heists.services import buy_shield, execute_heist
from tests.factories import player, points_of

pytestmark = pytest.mark.django_db


def test_a_shield_blocks_one_attack_which_costs_the_token_and_starts_the_cooldown() -> None:
    alice, bob = player("alice", points=100, tokens=2), player("bob", points=1000, coins=50, email="bob@example.com")
    shield = buy_shield(player_id=bob.pk)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    shield.refresh_from_db()
    assert (heist.status, heist.failure_code, heist.token_spent) == ("FAILED_SHIELD", "shield", True)
    assert (points_of(alice), points_of(bob)) == (100, 1000)
    assert (shield.used_by, shield.used_at) == (heist, heist.created_at)
    assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk).failure_code == "cooldown"


def test_only_the_victim_is_notified_with_the_attackers_name() -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000, coins=50)
    HeistNotification.objects.all().delete()
    buy_shield(player_id=bob.pk)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    notification = HeistNotification.objects.get()
    assert (notification.user, notification.type, notification.heist) == (bob, "SHIELD_ACTIVATED", heist)
    assert "alice" in notification.message


def test_the_next_attack_finds_no_shield() -> None:
    alice, carol = player("alice", tokens=1), player("carol", tokens=1)
    bob = player("bob", points=1000, coins=50)
    buy_shield(player_id=bob.pk)

    statuses = [execute_heist(attacker_id=user.pk, victim_id=bob.pk).status for user in (alice, carol)]

    assert statuses == ["FAILED_SHIELD", "SUCCESS"]


def test_an_expired_shield_that_is_not_yet_marked_blocks_nothing() -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    now = timezone.now()
    Shield.objects.create(player=bob, cost=0, bought_at=now - dt.timedelta(days=7), expires_at=now)

    assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk).status == "SUCCESS"


def test_a_rejected_attack_leaves_the_shield_alone() -> None:
    alice, bob = player("alice", tokens=0), player("bob", points=1000, coins=50)
    shield = buy_shield(player_id=bob.pk)

    assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk).status == "FAILED_INSUFFICIENT_TOKENS"

    shield.refresh_from_db()
    assert shield.used_at is None
