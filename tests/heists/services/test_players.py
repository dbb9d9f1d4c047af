"""The rows of players whose accounts are deleted, many in one statement."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from heists.models import Heist, HeistNotification, Shield
from heists.services import delete_player_rows, execute_heist, reverse_heist
from tests.conftest import HeistSettings
from tests.factories import bought_shield, player, rewrite, tokens_of

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def no_cooldowns(heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, PAIR_COOLDOWN_HOURS=0)


def rob(attacker: Any, victim: Any, days_ago: int) -> Heist:
    """Execute a heist, and move it into the past."""
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    assert heist.is_outcome
    rewrite(heist, created_at=timezone.now() - days_ago * DAY)
    return heist


def delete(*users: Any) -> None:
    with transaction.atomic():
        assert delete_player_rows([user.pk for user in users])
        assert not Heist.objects.filter(attacker__in=users).exists()
        for user in users:
            user.delete()


def test_each_heist_of_one_statement_is_kept_with_its_player() -> None:
    alice, bob, carol = (player(name, points=2000, tokens=9) for name in ("alice", "bob", "carol"))
    old = [rob(alice, bob, 60), rob(alice, bob, 20), rob(alice, carol, 10)]
    against = [rob(bob, alice, 8), rob(bob, alice, 6), rob(carol, alice, 4)]
    losses = [(heist.pk, heist.points_stolen) for heist in old]

    delete(alice)

    assert {heist.pk for heist in old + against}.isdisjoint(Heist.objects.values_list("pk", flat=True))
    assert [(loss.heist_id, loss.points) for loss in tokens_of(bob).deleted_losses] == losses[1:2]
    assert [(loss.heist_id, loss.points) for loss in tokens_of(carol).deleted_losses] == losses[2:]
    assert [tokens_of(user).spent_on_deleted for user in (bob, carol)] == [2, 1]


def test_what_an_earlier_deletion_left_stays() -> None:
    alice, bob, carol = (player(name, points=2000, tokens=9) for name in ("alice", "bob", "carol"))
    heists = [rob(alice, bob, 20), rob(carol, bob, 10)]

    delete(alice)
    delete(carol)

    assert [loss.heist_id for loss in tokens_of(bob).deleted_losses] == [heist.pk for heist in heists]


def test_both_players_reversals_and_used_shields() -> None:
    alice, bob, carol = (player(name, points=2000, tokens=9) for name in ("alice", "bob", "carol"))
    reverse_heist(heist_id=rob(alice, bob, 5).pk, reversed_by=None, reason="a bug")
    bought_shield(carol, timezone.now())
    blocked = rob(alice, carol, 1)
    assert Shield.objects.get().used_by_id == blocked.pk

    delete(alice, bob)

    assert not Heist.objects.exists()
    assert Shield.objects.get().used_by is None
    left: Any = HeistNotification.objects.values_list("user", "heist").distinct().order_by("user")
    assert list(left) == [(carol.pk, None)]
    connection.check_constraints()


def test_outside_the_transaction_of_the_accounts_nothing_is_deleted() -> None:
    heist = rob(player(tokens=1), player(points=500), 1)

    with pytest.raises(transaction.TransactionManagementError):
        delete_player_rows([heist.attacker_id])

    assert Heist.objects.filter(pk=heist.pk).exists()
