"""Two at once, stopped on purpose where it matters. Each test ends the same way whichever of the two is first."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from gamification.models import PlayerProfile
from heists.economy import get_economy
from heists.errors import HeistError
from heists.models import HeistNotification, Shield
from heists.services import buy_shield, execute_heist, expire_shields
from heists.services import heists as heist_service
from heists.services import shields as shield_service
from tests.factories import player, points_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

PATIENCE = 20  # seconds, after which a test that hangs has failed


def together(*deeds: Callable[[], Any]) -> list[Any]:
    """Run deeds at once, each on a connection of its own, and return what they returned or refused with."""

    def run(deed: Callable[[], Any]) -> Any:
        try:
            return deed()
        except HeistError as failure:
            return failure.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(run, deed) for deed in deeds]]


@pytest.fixture
def meet_at_the_lock(monkeypatch: pytest.MonkeyPatch):
    """Let two deeds wait for each other in front of the lock: both have seen the world as it was before the other."""
    gate = threading.Barrier(2)
    passed = threading.local()
    economy = type(get_economy())
    lock = economy.lock

    def meeting(self, *player_ids):
        if not getattr(passed, "once", False):
            passed.once = True
            gate.wait(PATIENCE)
        lock(self, *player_ids)

    monkeypatch.setattr(economy, "lock", meeting)


def test_of_two_attacks_at_once_the_shield_blocks_exactly_one(meet_at_the_lock: None) -> None:
    alice, carol = player("alice", tokens=1), player("carol", tokens=1)
    bob = player("bob", points=1000)
    now = timezone.now()
    shield = Shield.objects.create(player=bob, cost=0, bought_at=now, expires_at=now + dt.timedelta(days=7))

    heists = together(
        lambda: execute_heist(attacker_id=alice.pk, victim_id=bob.pk),
        lambda: execute_heist(attacker_id=carol.pk, victim_id=bob.pk),
    )

    shield.refresh_from_db()
    assert sorted(heist.status for heist in heists) == ["FAILED_SHIELD", "SUCCESS"]
    assert shield.used_by.status == "FAILED_SHIELD"
    assert points_of(bob) == 950
    assert HeistNotification.objects.filter(type="SHIELD_ACTIVATED", user=bob).count() == 1


def test_an_attack_and_a_purchase_at_once_leave_either_a_used_shield_or_a_robbery(meet_at_the_lock: None) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000, coins=50)

    heist, shield = together(
        lambda: execute_heist(attacker_id=alice.pk, victim_id=bob.pk),
        lambda: buy_shield(player_id=bob.pk),
    )

    shield.refresh_from_db()
    blocked = heist.status == "FAILED_SHIELD"
    assert blocked == (shield.used_by == heist)
    assert points_of(bob) == (1000 if blocked else 950)


def test_a_purchase_waits_for_an_attack_that_holds_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000, coins=50)
    locked, asked = threading.Event(), threading.Event()
    economy = type(get_economy())
    lock, transfer = economy.lock, economy.transfer

    def tell(self, *player_ids):
        if len(player_ids) == 1:
            locked.wait(PATIENCE)
            asked.set()
        lock(self, *player_ids)

    def hold(self, heist: Any):
        locked.set()
        assert asked.wait(PATIENCE)
        transfer(self, heist)

    monkeypatch.setattr(economy, "lock", tell)
    monkeypatch.setattr(economy, "transfer", hold)

    heist, shield = together(
        lambda: execute_heist(attacker_id=alice.pk, victim_id=bob.pk),
        lambda: buy_shield(player_id=bob.pk),
    )

    assert heist.status == "SUCCESS"
    assert shield.bought_at > heist.created_at
    assert Shield.objects.get().used_at is None


def test_a_shield_that_is_marked_while_it_blocks_is_never_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """`expire_shields` looks with a clock that is ahead, just when the attack has judged the shield live."""
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    now = timezone.now()
    shield = Shield.objects.create(player=bob, cost=0, bought_at=now, expires_at=now + dt.timedelta(days=7))
    judged = []

    use_shield = heist_service._use_shield

    def late(*args):
        if not judged:
            judged.append(True)
            with monkeypatch.context() as ahead:
                ahead.setattr(timezone, "now", lambda: now + dt.timedelta(days=8))
                assert together(expire_shields) == [1]
        use_shield(*args)

    monkeypatch.setattr(heist_service, "_use_shield", late)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    shield.refresh_from_db()
    assert heist.status == "SUCCESS"
    assert (shield.used_by, shield.expired_at is None) == (None, False)
    assert sorted(HeistNotification.objects.filter(user=bob).values_list("type", flat=True)) == [
        "HEIST_VICTIM",
        "SHIELD_EXPIRED",
    ]


def test_two_purchases_at_once_sell_one_shield(meet_at_the_lock: None) -> None:
    bob = player("bob", coins=100)

    sold = together(*[lambda: buy_shield(player_id=bob.pk)] * 2)

    assert "shield_already_live" in sold
    assert Shield.objects.count() == 1
    assert PlayerProfile.objects.get(user=bob).coins == 50


def test_two_purchases_at_once_with_one_key_are_one_purchase(meet_at_the_lock: None) -> None:
    bob = player("bob", coins=100)

    first, second = together(*[lambda: buy_shield(player_id=bob.pk, idempotency_key="a")] * 2)

    assert first == second
    assert PlayerProfile.objects.get(user=bob).coins == 50


def test_a_constraint_decides_where_a_hosts_lock_does_not_hold(
    meet_at_the_lock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = player("bob", coins=100)
    monkeypatch.setattr(shield_service.Economy, "lock", lambda self, *player_ids: None)
    gate, asked = threading.Barrier(2), threading.local()
    economy = type(get_economy())
    coins = economy.coins

    def both_ask(self, player_id: Any):
        if not getattr(asked, "once", False):
            asked.once = True
            gate.wait(PATIENCE)
        return coins(self, player_id)

    monkeypatch.setattr(economy, "lock", lambda self, *player_ids: None)
    monkeypatch.setattr(economy, "coins", both_ask)

    sold = together(*[lambda: buy_shield(player_id=bob.pk)] * 2)

    assert "shield_already_live" in sold
    assert Shield.objects.count() == 1
    assert PlayerProfile.objects.get(user=bob).coins == 50


def test_two_commands_at_once_share_the_work_and_tell_everybody_once(monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = timezone.now() - dt.timedelta(days=30)
    for _ in range(6):
        Shield.objects.create(player=player(), cost=0, bought_at=long_ago, expires_at=long_ago + dt.timedelta(days=7))
    gate, met = threading.Barrier(2), threading.local()
    expire = shield_service._expire

    def both_hold_some(due, *args):
        found = list(due)
        if not getattr(met, "once", False):
            met.once = True
            gate.wait(PATIENCE)
        return expire(found, *args)

    monkeypatch.setattr(shield_service, "_expire", both_hold_some)

    totals = together(*[lambda: expire_shields(batch=3)] * 2)

    assert totals == [3, 3]
    assert HeistNotification.objects.count() == HeistNotification.objects.values("user").distinct().count() == 6
