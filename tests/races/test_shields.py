"""Shields in two calls at once, made to overlap where it matters. The result is right whichever of the two is first."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.utils import timezone

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile
from heists.errors import ShieldAlreadyLive
from heists.models import Heist, HeistNotification, Shield
from heists.services import buy_shield, execute_heist, expire_shields
from heists.services import heists as heist_service
from heists.services import shields as shield_service
from tests.concurrency import TIMEOUT_SECONDS, at_once
from tests.factories import player, points_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

WEEK = dt.timedelta(days=7)


def robbing(attacker: Any, victim: Any) -> Callable[[], Heist]:
    return lambda: execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)


def buying(user: Any, key: str | None = None) -> Callable[[], Shield]:
    return lambda: buy_shield(player_id=user.pk, idempotency_key=key)


def once_in_both(meet: threading.Barrier) -> Callable[[], None]:
    """Return a function that waits for the other thread when a thread calls it for the first time."""
    met = threading.local()

    def wait() -> None:
        if not getattr(met, "before", False):
            met.before = True
            meet.wait(TIMEOUT_SECONDS)

    return wait


@pytest.fixture
def meet_at_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls wait for each other before the lock: each has read the state from before the other."""
    wait, lock = once_in_both(threading.Barrier(2)), GamificationEconomy.lock

    def meeting(self: GamificationEconomy, *player_ids: Any) -> None:
        wait()
        lock(self, *player_ids)

    monkeypatch.setattr(GamificationEconomy, "lock", meeting)


@pytest.mark.usefixtures("meet_at_the_lock")
def test_of_two_attacks_at_once_the_shield_blocks_exactly_one() -> None:
    alice, carol = player("alice", tokens=1), player("carol", tokens=1)
    bob, now = player("bob", points=1000), timezone.now()
    shield = Shield.objects.create(player=bob, cost=0, bought_at=now, expires_at=now + WEEK)

    heists = at_once(robbing(alice, bob), robbing(carol, bob))

    shield.refresh_from_db()
    assert sorted(heist.status for heist in heists) == ["FAILED_SHIELD", "SUCCESS"]
    assert [heist for heist in heists if heist.status == "FAILED_SHIELD"] == [shield.used_by]
    assert points_of(bob) == 950
    assert HeistNotification.objects.filter(type="SHIELD_ACTIVATED", user=bob).count() == 1


@pytest.mark.usefixtures("meet_at_the_lock")
def test_an_attack_and_a_purchase_at_once_end_with_a_used_shield_or_a_success() -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000, coins=50)

    heist, shield = at_once(robbing(alice, bob), buying(bob))

    shield.refresh_from_db()
    blocked = heist.status == "FAILED_SHIELD"
    assert blocked == (shield.used_by == heist)
    assert points_of(bob) == (1000 if blocked else 950)


def test_a_purchase_waits_for_an_attack_that_holds_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000, coins=50)
    locked, asked = threading.Event(), threading.Event()
    lock, transfer = GamificationEconomy.lock, GamificationEconomy.transfer

    def lock_second(self: GamificationEconomy, *player_ids: Any) -> None:
        if len(player_ids) == 1:
            assert locked.wait(TIMEOUT_SECONDS)
            asked.set()
        lock(self, *player_ids)

    def transfer_while_asked(self: GamificationEconomy, heist: Any) -> None:
        locked.set()
        assert asked.wait(TIMEOUT_SECONDS)
        transfer(self, heist)

    monkeypatch.setattr(GamificationEconomy, "lock", lock_second)
    monkeypatch.setattr(GamificationEconomy, "transfer", transfer_while_asked)

    heist, shield = at_once(robbing(alice, bob), buying(bob))

    assert heist.status == "SUCCESS"
    assert shield.bought_at > heist.created_at
    assert Shield.objects.get().used_at is None


def test_a_shield_that_is_marked_while_it_blocks_is_not_also_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """`expire_shields`, with a clock that is ahead, runs just after the attack has judged the shield live."""
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    now = timezone.now()
    shield = Shield.objects.create(player=bob, cost=0, bought_at=now, expires_at=now + WEEK)
    use_shield = heist_service._use_shield
    expired: list[int] = []

    def use_after_expiry(*args: Any) -> None:
        if not expired:
            with monkeypatch.context() as ahead:
                ahead.setattr(timezone, "now", lambda: now + dt.timedelta(days=8))
                expired.extend(at_once(expire_shields))
        use_shield(*args)

    monkeypatch.setattr(heist_service, "_use_shield", use_after_expiry)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    shield.refresh_from_db()
    assert expired == [1]
    assert heist.status == "SUCCESS"
    assert shield.used_by is None and shield.expired_at is not None
    assert sorted(HeistNotification.objects.filter(user=bob).values_list("type", flat=True)) == [
        "HEIST_VICTIM",
        "SHIELD_EXPIRED",
    ]


@pytest.mark.usefixtures("meet_at_the_lock")
def test_two_purchases_at_once_sell_one_shield() -> None:
    bob = player("bob", coins=100)

    results = at_once(*[buying(bob)] * 2, errors=ShieldAlreadyLive)

    assert {type(result) for result in results} == {Shield, ShieldAlreadyLive}
    assert Shield.objects.count() == 1
    assert PlayerProfile.objects.get(user=bob).coins == 50


@pytest.mark.usefixtures("meet_at_the_lock")
def test_two_purchases_at_once_with_one_key_are_one_purchase() -> None:
    bob = player("bob", coins=100)

    first, second = at_once(*[buying(bob, "a")] * 2)

    assert first == second
    assert PlayerProfile.objects.get(user=bob).coins == 50


def test_a_constraint_decides_where_a_hosts_lock_does_not_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    bob = player("bob", coins=100)
    wait, coins = once_in_both(threading.Barrier(2)), GamificationEconomy.coins

    def meeting(self: GamificationEconomy, player_id: Any) -> int:
        wait()
        return coins(self, player_id)

    monkeypatch.setattr(GamificationEconomy, "lock", lambda self, *player_ids: None)
    monkeypatch.setattr(GamificationEconomy, "coins", meeting)

    results = at_once(*[buying(bob)] * 2, errors=ShieldAlreadyLive)

    assert {type(result) for result in results} == {Shield, ShieldAlreadyLive}
    assert Shield.objects.count() == 1
    assert PlayerProfile.objects.get(user=bob).coins == 50


def test_two_commands_at_once_share_the_work_and_notify_each_player_once(monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = timezone.now() - dt.timedelta(days=30)
    for _ in range(6):
        Shield.objects.create(player=player(), cost=0, bought_at=long_ago, expires_at=long_ago + WEEK)
    wait, expire = once_in_both(threading.Barrier(2)), shield_service._expire

    def both_hold_a_batch(due: Iterable[Shield], *args: Any) -> int:
        locked = list(due)
        wait()
        return expire(locked, *args)

    monkeypatch.setattr(shield_service, "_expire", both_hold_a_batch)

    counts = at_once(*[lambda: expire_shields(batch=3)] * 2)

    assert counts == [3, 3]
    assert HeistNotification.objects.count() == HeistNotification.objects.values("user").distinct().count() == 6
