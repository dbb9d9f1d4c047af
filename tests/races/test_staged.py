"""A heist against every other call that may interfere, at every point of the heist, at two isolation levels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from gamification.errors import InsufficientPoints
from gamification.models import PlayerProfile
from gamification.services import award_points
from heists.choices import FailureCode, GrantReason, HeistStatus
from heists.db.retry import retry_transient
from heists.errors import HeistError, InactiveAccount, UnknownPlayer
from heists.models import Heist, HeistNotification, TokenGrant
from heists.services import buy_shield, execute_heist, expire_shields, grant_tokens
from tests.factories import bought_shield, player, points_of, tokens_of

from .staging import BLOCKED, REJECTED, SUCCESS, concurrent_at

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("isolation", "audited")]

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)

at_each_point_of_a_success = pytest.mark.parametrize("point", SUCCESS)
at_each_point_of_a_blocked_heist = pytest.mark.parametrize("point", BLOCKED)
at_each_point_of_a_rejection = pytest.mark.parametrize("point", REJECTED)


def robbing(attacker: Any, victim: Any, key: str | None = None) -> Callable[[], Heist]:
    return lambda: execute_heist(attacker_id=attacker.pk, victim_id=victim.pk, idempotency_key=key)


def granting(user: Any, amount: int) -> Callable[[], TokenGrant]:
    return lambda: grant_tokens(player=user, amount=amount, reason=GrantReason.STAFF, source=f"race:{user.pk}")


def race(point: str, heist: Callable[[], Heist], call: Callable[[], Any]) -> tuple[Any, Any]:
    """Run the heist, with the call at the point; return what each returned, or the HeistError it raised."""
    result: Heist | HeistError
    with concurrent_at(point, call) as concurrent:
        try:
            result = heist()
        except HeistError as error:
            result = error
    if concurrent.error and not isinstance(concurrent.error, HeistError):
        raise concurrent.error
    return result, concurrent.error or concurrent.result


def statuses(*heists: Heist) -> list[str]:
    return sorted(heist.failure_code or heist.status for heist in heists)


@at_each_point_of_a_success
def test_two_attackers_on_one_victim(point: str) -> None:
    alice, carol, bob = player(tokens=1), player(tokens=1), player(points=1000)

    heists = race(point, robbing(alice, bob), robbing(carol, bob))

    assert statuses(*heists) == ["SUCCESS", "protected"]
    assert points_of(bob) == 950
    assert sorted(tokens_of(attacker).balance for attacker in (alice, carol)) == [0, 1]
    assert points_of(alice) + points_of(carol) == 50


@at_each_point_of_a_success
def test_one_token_and_two_requests(point: str) -> None:
    alice, bob, dora = player(tokens=1), player(points=1000), player(points=1000)

    heists = race(point, robbing(alice, bob), robbing(alice, dora))

    # The loser's second look finds neither a token nor an elapsed cooldown; the question about tokens comes first.
    assert statuses(*heists) == ["SUCCESS", "insufficient_tokens"]
    assert tokens_of(alice).balance == 0
    assert points_of(alice) == 50


@at_each_point_of_a_success
def test_two_tokens_and_two_requests(point: str) -> None:
    alice, bob, dora = player(tokens=2), player(points=1000), player(points=1000)

    heists = race(point, robbing(alice, bob), robbing(alice, dora))

    assert statuses(*heists) == ["SUCCESS", "cooldown"]
    assert tokens_of(alice).balance == 1


@at_each_point_of_a_success
def test_a_robs_b_while_b_robs_a(point: str) -> None:
    alice, bob = player(points=1000, tokens=1), player(points=1000, tokens=1)

    heists = race(point, robbing(alice, bob), robbing(bob, alice))

    assert statuses(*heists) == ["SUCCESS", "SUCCESS"]
    assert points_of(alice) + points_of(bob) == 2000


@at_each_point_of_a_success
def test_a_victim_robs_a_third_player_at_the_same_time(point: str) -> None:
    alice, bob, dora = player(tokens=1), player(points=1000, tokens=1), player(points=1000)

    heists = race(point, robbing(alice, bob), robbing(bob, dora))

    assert statuses(*heists) == ["SUCCESS", "SUCCESS"]
    assert points_of(alice) + points_of(bob) + points_of(dora) == 2000


@at_each_point_of_a_success
def test_a_heist_against_the_purchase_of_a_shield(point: str) -> None:
    alice, bob = player(tokens=1), player(points=1000, coins=50)

    heist, shield = race(point, robbing(alice, bob), lambda: buy_shield(player_id=bob.pk))

    shield.refresh_from_db()
    blocked = heist.status == HeistStatus.FAILED_SHIELD
    assert blocked or heist.status == HeistStatus.SUCCESS
    assert (shield.used_by_id == heist.pk) == blocked
    assert points_of(bob) == (1000 if blocked else 950)
    assert tokens_of(alice).balance == 0


@at_each_point_of_a_success
def test_a_heist_against_the_expiry_of_a_shield(point: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    shield = bought_shield(bob, timezone.now() - 7 * DAY - HOUR)

    heist, expired = race(point, robbing(alice, bob), expire_shields)

    shield.refresh_from_db()
    assert (heist.status, expired) == (HeistStatus.SUCCESS, 1)
    assert shield.expired_at is not None and shield.used_at is None


@at_each_point_of_a_blocked_heist
def test_a_blocked_heist_against_a_second_attacker_of_the_same_victim(point: str) -> None:
    alice, carol, bob = player(tokens=1), player(tokens=1), player(points=1000)
    bought_shield(bob, timezone.now() - HOUR)

    heists = race(point, robbing(alice, bob), robbing(carol, bob))

    assert statuses(*heists) == ["SUCCESS", "shield"]
    assert points_of(bob) == 950


@at_each_point_of_a_success
def test_a_heist_against_a_grant_to_the_attacker(point: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)

    heist, _grant = race(point, robbing(alice, bob), granting(alice, 2))

    token = tokens_of(alice)
    assert heist.status == HeistStatus.SUCCESS
    assert (token.balance, token.total_earned, token.total_spent) == (2, 3, 1)


@at_each_point_of_a_rejection
def test_a_first_heist_without_tokens_against_a_first_grant(point: str) -> None:
    alice, bob = player(), player(points=1000)

    heist, _grant = race(point, robbing(alice, bob), granting(alice, 1))

    success = heist.status == HeistStatus.SUCCESS
    assert success or heist.failure_code == FailureCode.INSUFFICIENT_TOKENS
    assert tokens_of(alice).balance == (0 if success else 1)


@pytest.mark.parametrize("points", [500, -985])
@at_each_point_of_a_success
def test_a_heist_against_a_change_of_the_victims_own_points(point: str, points: int) -> None:
    alice, bob = player(tokens=1), player(points=1000)

    @retry_transient  # as a host has to, at SERIALIZABLE
    def change() -> Any:
        try:
            return award_points(player=bob, type_name="CHECKIN", points=points)
        except InsufficientPoints:
            return None

    heist, event = race(point, robbing(alice, bob), change)

    stolen = heist.points_stolen
    assert points_of(bob) == 1000 + (points if event else 0) - stolen
    assert points_of(alice) == stolen
    assert stolen in (0, 50, 75)
    assert tokens_of(alice).balance == (0 if stolen else 1)


@pytest.mark.parametrize("side", ["attacker", "victim"])
@at_each_point_of_a_success
def test_a_heist_against_the_deactivation_of_either_side(point: str, side: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    inactive = alice if side == "attacker" else bob

    @retry_transient
    def deactivate() -> Any:
        return get_user_model().objects.filter(pk=inactive.pk).update(is_active=False)

    heist, _count = race(point, robbing(alice, bob), deactivate)

    if isinstance(heist, InactiveAccount):
        assert side == "attacker" and not Heist.objects.exists()
    else:
        assert heist.failure_code in (None, FailureCode.INACTIVE_TARGET)
    assert points_of(alice) + points_of(bob) == 1000


@pytest.mark.parametrize("side", ["attacker", "victim"])
@at_each_point_of_a_success
def test_a_heist_against_the_deletion_of_either_side(point: str, side: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    deleted, other = (alice.pk, bob.pk) if side == "attacker" else (bob.pk, alice.pk)

    @retry_transient  # as a host has to, at SERIALIZABLE
    def delete() -> Any:
        return get_user_model().objects.filter(pk=deleted).delete()

    heist, _count = race(point, robbing(alice, bob), delete)

    assert not get_user_model().objects.filter(pk=deleted).exists()
    assert not Heist.objects.exists()
    assert PlayerProfile.objects.get(user=other).monthly_points in ((1000, 950) if side == "attacker" else (0, 50))
    assert isinstance(heist, UnknownPlayer) or heist.status == HeistStatus.SUCCESS


@pytest.mark.parametrize("point", ["after the first look", "before the lock"])
def test_an_account_that_robs_and_is_deleted_while_another_heist_on_the_same_victim_waits(point: str) -> None:
    alice, carol, bob = player(tokens=1), player(tokens=1), player(points=1000)

    @retry_transient  # as a host has to, at SERIALIZABLE
    def rob_and_delete() -> Heist:
        heist = Heist.objects.filter(attacker=carol).first() or robbing(carol, bob)()
        get_user_model().objects.filter(pk=carol.pk).delete()
        return heist

    heist, first = race(point, robbing(alice, bob), rob_and_delete)

    assert first.status == HeistStatus.SUCCESS and not Heist.objects.filter(pk=first.pk).exists()
    assert (heist.failure_code, heist.retry_at) == (FailureCode.PROTECTED, first.created_at + 2 * DAY)
    assert (points_of(bob), tokens_of(alice).balance) == (950, 1)


@at_each_point_of_a_rejection
def test_a_protected_player_whose_attacker_is_deleted_at_the_same_time(point: str) -> None:
    alice, carol, bob = player(tokens=1), player(tokens=1), player(points=1000)
    robbing(carol, bob)()

    @retry_transient  # as a host has to, at SERIALIZABLE
    def delete() -> Any:
        return get_user_model().objects.filter(pk=carol.pk).delete()

    heist, _count = race(point, robbing(alice, bob), delete)

    assert (heist.failure_code, points_of(bob)) == (FailureCode.PROTECTED, 950)
    assert len(tokens_of(bob).deleted_losses) == 1


@at_each_point_of_a_success
def test_the_same_key_twice(point: str) -> None:
    alice, bob = player(tokens=2), player(points=1000)

    first, second = race(point, robbing(alice, bob, "key"), robbing(alice, bob, "key"))

    assert first.pk == second.pk
    assert statuses(first, second) == ["SUCCESS", "SUCCESS"]
    assert tokens_of(alice).balance == 1
    assert HeistNotification.objects.filter(heist=first).count() == 2


@at_each_point_of_a_rejection
def test_the_same_key_twice_for_a_rejection(point: str) -> None:
    alice, bob = player(tokens=1), player(points=5)

    first, second = race(point, robbing(alice, bob, "key"), robbing(alice, bob, "key"))

    assert first.pk == second.pk
    assert Heist.objects.count() == 1


@at_each_point_of_a_success
def test_the_same_key_for_two_victims(point: str) -> None:
    alice, bob, dora = player(tokens=2), player(points=1000), player(points=1000)

    results = race(point, robbing(alice, bob, "key"), robbing(alice, dora, "key"))

    assert len([result for result in results if isinstance(result, Heist)]) == 1
    assert [result.code for result in results if isinstance(result, HeistError)] == ["idempotency_key_reused"]
    assert tokens_of(alice).balance == 1
