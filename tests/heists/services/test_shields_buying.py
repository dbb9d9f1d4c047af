from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gamification.models import CoinEntry, PlayerProfile
from heists import errors
from heists.economy import get_economy
from heists.models import HeistNotification, Shield
from heists.services import buy_shield
from heists.signals import shield_bought
from tests.conftest import HeistSettings
from tests.factories import player

pytestmark = pytest.mark.django_db


def coins_of(user: Any) -> int:
    return PlayerProfile.objects.values_list("coins", flat=True).get(user=user)


def test_a_shield_costs_coins_and_lasts_as_long_as_the_rules_say(heist_settings: HeistSettings) -> None:
    heist_settings(SHIELD_COST=30, SHIELD_DAYS=3)
    alice = player("alice", coins=100)

    shield = buy_shield(player_id=alice.pk)

    assert coins_of(alice) == 70
    assert (shield.cost, shield.expires_at - shield.bought_at) == (30, dt.timedelta(days=3))
    assert CoinEntry.objects.filter(user=alice, amount=-30, reference=f"shield:{shield.pk}").count() == 1
    assert Shield.objects.live(timezone.now()).get() == shield


def test_a_free_shield_needs_no_coins_and_leaves_no_line_in_the_ledger(heist_settings: HeistSettings) -> None:
    heist_settings(SHIELD_COST=0)
    alice = player("alice")

    shield = buy_shield(player_id=alice.pk)

    assert shield.cost == 0
    assert not CoinEntry.objects.filter(user=alice).exists()


def test_too_few_coins_are_an_error_with_the_numbers_and_nothing_is_taken() -> None:
    alice = player("alice", coins=49)

    with pytest.raises(errors.InsufficientCoins) as raised:
        buy_shield(player_id=alice.pk)

    assert raised.value.details == {"required": 50, "available": 49}
    assert coins_of(alice) == 49
    assert not Shield.objects.exists()


def test_a_second_live_shield_is_an_error_and_costs_nothing() -> None:
    alice = player("alice", coins=100)
    shield = buy_shield(player_id=alice.pk)

    with pytest.raises(errors.ShieldAlreadyLive) as raised:
        buy_shield(player_id=alice.pk)

    assert raised.value.details == {"expires_at": shield.expires_at}
    assert coins_of(alice) == 50


def test_the_same_key_again_is_the_same_shield_for_the_price_of_one() -> None:
    alice = player("alice", coins=200)

    first, second = (buy_shield(player_id=alice.pk, idempotency_key="a") for _ in range(2))

    assert first == second
    assert coins_of(alice) == 150


def test_the_key_keeps_its_shield_after_the_shield_is_gone_and_after_the_shop_is_closed(
    heist_settings: HeistSettings,
) -> None:
    alice = player("alice", coins=200)
    shield = buy_shield(player_id=alice.pk, idempotency_key="a")
    Shield.objects.update(used_at=timezone.now())

    assert buy_shield(player_id=alice.pk, idempotency_key="a") == shield
    heist_settings(ENABLED=False)
    assert buy_shield(player_id=alice.pk, idempotency_key="a") == shield
    assert coins_of(alice) == 150


def test_two_players_may_use_the_same_key() -> None:
    alice, bob = player("alice", coins=50), player("bob", coins=50)

    shields = {buy_shield(player_id=user.pk, idempotency_key="a").player_id for user in (alice, bob)}

    assert shields == {alice.pk, bob.pk}


def test_a_purchase_marks_an_expired_shield_and_notifies_its_owner_once() -> None:
    alice = player("alice", coins=100)
    old = buy_shield(player_id=alice.pk)
    long_ago = timezone.now() - dt.timedelta(days=30)
    Shield.objects.update(bought_at=long_ago, expires_at=long_ago + dt.timedelta(days=7))

    new = buy_shield(player_id=alice.pk)

    old.refresh_from_db()
    assert new != old
    assert old.expired_at is not None
    assert list(HeistNotification.objects.values_list("user", "type")) == [(alice.pk, "SHIELD_EXPIRED")]


def test_the_shop_is_closed_where_the_feature_is_off(heist_settings: HeistSettings) -> None:
    heist_settings(ENABLED=False)
    alice = player("alice", coins=100)

    with pytest.raises(errors.FeatureDisabled):
        buy_shield(player_id=alice.pk)

    assert coins_of(alice) == 100


def test_an_economy_without_coins_has_no_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player("alice", coins=100)
    monkeypatch.setattr(type(get_economy()), "has_coins", False)

    with pytest.raises(errors.NoCoins):
        buy_shield(player_id=alice.pk)


def test_an_inactive_account_buys_nothing() -> None:
    alice = player("alice", coins=100, is_active=False)

    with pytest.raises(errors.InactiveAccount):
        buy_shield(player_id=alice.pk)


def test_an_unknown_player_is_an_error_and_leaves_no_row() -> None:
    with pytest.raises(errors.UnknownPlayer):
        buy_shield(player_id=987_654)

    assert not PlayerProfile.objects.exists()


def test_an_economy_that_fails_to_take_the_coins_leaves_no_shield(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player("alice", coins=100)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no coins today")

    monkeypatch.setattr(type(get_economy()), "spend_coins", fail)

    with pytest.raises(RuntimeError, match="no coins today"):
        buy_shield(player_id=alice.pk)

    assert not Shield.objects.exists()


def test_the_signal_of_a_purchase_is_sent_after_the_commit(django_capture_on_commit_callbacks: Any) -> None:
    alice = player("alice", coins=100)
    received: list[Shield] = []

    def listener(shield: Shield, **kwargs: Any) -> None:
        received.append(shield)

    shield_bought.connect(listener)
    try:
        with django_capture_on_commit_callbacks() as callbacks:
            shield = buy_shield(player_id=alice.pk)
        assert received == []
        for callback in callbacks:
            callback()
        assert received == [shield]
    finally:
        shield_bought.disconnect(listener)
