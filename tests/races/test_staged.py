"""Every pairing of a heist with somebody else's deed, at every step of the heist, at two isolation levels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models import Sum
from django.utils import timezone

from gamification.models import PlayerProfile
from gamification.services import award_points
from heists.choices import FailureCode, GrantReason, HeistStatus
from heists.db.retry import retry_transient
from heists.errors import HeistError, InactiveAccount, UnknownPlayer
from heists.models import Heist, HeistNotification, Shield
from heists.services import buy_shield, execute_heist, expire_shields, grant_tokens
from tests.factories import player, points_of, tokens_of

from .staging import POINTS, Rival, rival_at

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("isolation", "audited")]

HOUR = dt.timedelta(hours=1)


def rob(attacker: Any, victim: Any, key: str | None = None) -> Heist:
    return execute_heist(attacker_id=attacker.pk, victim_id=victim.pk, idempotency_key=key)


def race(point: str, deed: Callable[[], Any], against: Callable[[], Any]) -> tuple[Any, Any]:
    """Do the deed with a rival at the point; return what became of both, failures included."""
    result: Any
    rival: Rival
    with rival_at(point, against) as rival:
        try:
            result = deed()
        except HeistError as failure:
            result = failure
    if rival.error and not isinstance(rival.error, HeistError):
        raise rival.error
    return result, rival.error or rival.result


def statuses(*heists: Any) -> list[str]:
    return sorted(heist.failure_code or heist.status for heist in heists)


def points_in_all() -> int:
    return PlayerProfile.objects.aggregate(total=Sum("monthly_points"))["total"]


def test_two_attackers_on_one_victim() -> None:
    for point in POINTS:
        alice, carol, bob = player(tokens=1), player(tokens=1), player(points=1000)
        before = points_in_all()

        heists = race(point, lambda a=alice, b=bob: rob(a, b), lambda c=carol, b=bob: rob(c, b))

        assert statuses(*heists) == ["SUCCESS", "protected"], point
        assert points_of(bob) == 950, point
        assert sorted(tokens_of(one).balance for one in (alice, carol)) == [0, 1], point
        assert points_in_all() == before, point


def test_one_token_and_two_requests() -> None:
    for point in POINTS:
        alice, bob, dora = player(tokens=1), player(points=1000), player(points=1000)

        heists = race(point, lambda a=alice, b=bob: rob(a, b), lambda a=alice, d=dora: rob(a, d))

        # At its second look the loser has neither a token nor a free cooldown; the token is asked for first.
        assert statuses(*heists) == ["SUCCESS", "insufficient_tokens"], point
        assert tokens_of(alice).balance == 0, point
        assert points_of(alice) == 50, point


def test_two_tokens_and_two_requests() -> None:
    for point in POINTS:
        alice, bob, dora = player(tokens=2), player(points=1000), player(points=1000)

        heists = race(point, lambda a=alice, b=bob: rob(a, b), lambda a=alice, d=dora: rob(a, d))

        assert statuses(*heists) == ["SUCCESS", "cooldown"], point
        assert tokens_of(alice).balance == 1, point


def test_a_robs_b_while_b_robs_a() -> None:
    for point in POINTS:
        alice, bob = player(points=1000, tokens=1), player(points=1000, tokens=1)

        heists = race(point, lambda a=alice, b=bob: rob(a, b), lambda a=alice, b=bob: rob(b, a))

        assert statuses(*heists) == ["SUCCESS", "SUCCESS"], point
        assert points_of(alice) + points_of(bob) == 2000, point


def test_a_victim_who_robs_a_third_at_the_same_time() -> None:
    for point in POINTS:
        alice, bob, dora = player(tokens=1), player(points=1000, tokens=1), player(points=1000)

        heists = race(point, lambda a=alice, b=bob: rob(a, b), lambda b=bob, d=dora: rob(b, d))

        assert statuses(*heists) == ["SUCCESS", "SUCCESS"], point
        assert points_of(alice) + points_of(bob) + points_of(dora) == 2000, point


def test_a_heist_against_the_purchase_of_a_shield() -> None:
    for point in POINTS:
        alice, bob = player(tokens=1), player(points=1000, coins=50)

        heist, shield = race(point, lambda a=alice, b=bob: rob(a, b), lambda b=bob: buy_shield(player_id=b.pk))

        shield.refresh_from_db()
        blocked = heist.status == HeistStatus.FAILED_SHIELD
        assert blocked or heist.status == HeistStatus.SUCCESS, point
        assert (shield.used_by_id == heist.pk) == blocked, point
        assert points_of(bob) == (1000 if blocked else 950), point
        assert tokens_of(alice).balance == 0, point


def test_a_heist_against_the_expiry_of_a_shield() -> None:
    for point in POINTS:
        alice, bob = player(tokens=1), player(points=1000)
        now = timezone.now()
        shield = Shield.objects.create(player=bob, cost=50, bought_at=now - HOUR, expires_at=now - HOUR / 2)

        heist, expired = race(point, lambda a=alice, b=bob: rob(a, b), expire_shields)

        shield.refresh_from_db()
        assert (heist.status, expired) == (HeistStatus.SUCCESS, 1), point
        assert shield.expired_at is not None and shield.used_at is None, point


def test_a_blocked_heist_against_a_second_attacker_of_the_shielded() -> None:
    for point in POINTS:
        alice, carol, bob = player(tokens=1), player(tokens=1), player(points=1000)
        now = timezone.now()
        Shield.objects.create(player=bob, cost=50, bought_at=now - HOUR, expires_at=now + HOUR)

        heists = race(point, lambda a=alice, b=bob: rob(a, b), lambda c=carol, b=bob: rob(c, b))

        assert statuses(*heists) == ["SUCCESS", "shield"], point
        assert points_of(bob) == 950, point


def test_a_heist_against_a_grant_to_the_attacker() -> None:
    for point in POINTS:
        alice, bob = player(tokens=1), player(points=1000)

        def grant(alice: Any = alice) -> Any:
            return grant_tokens(player=alice, amount=2, reason=GrantReason.STAFF, source=f"race:{alice.pk}")

        heist, _grant = race(point, lambda a=alice, b=bob: rob(a, b), grant)

        token = tokens_of(alice)
        assert heist.status == HeistStatus.SUCCESS, point
        assert (token.balance, token.total_earned, token.total_spent) == (2, 3, 1), point


def test_a_first_heist_without_tokens_against_a_first_grant() -> None:
    for point in POINTS:
        alice, bob = player(), player(points=1000)

        def grant(alice: Any = alice) -> Any:
            return grant_tokens(player=alice, amount=1, reason=GrantReason.STAFF, source=f"race:{alice.pk}")

        heist, _grant = race(point, lambda a=alice, b=bob: rob(a, b), grant)

        won = heist.status == HeistStatus.SUCCESS
        assert won or heist.failure_code == FailureCode.INSUFFICIENT_TOKENS, point
        assert tokens_of(alice).balance == (0 if won else 1), point


@pytest.mark.parametrize("points", [500, -985])
def test_a_heist_against_a_change_of_the_victims_own_points(points: int) -> None:
    for point in POINTS:
        alice, bob = player(tokens=1), player(points=1000)

        @retry_transient  # as a host has to do, at SERIALIZABLE
        def change(bob: Any = bob) -> Any:
            try:
                return award_points(player=bob, type_name="CHECKIN", points=points)
            except Exception as failure:
                if type(failure).__name__ != "InsufficientPoints":
                    raise
                return None

        heist, event = race(point, lambda a=alice, b=bob: rob(a, b), change)

        moved = heist.points_stolen
        assert points_of(bob) == 1000 + (points if event else 0) - moved, point
        assert points_of(alice) == moved, point
        assert moved in (0, 50, 75), point
        assert tokens_of(alice).balance == (0 if moved else 1), point


def test_a_heist_against_the_deactivation_of_either_side() -> None:
    for point in POINTS:
        for side in (0, 1):
            cast = player(tokens=1), player(points=1000)

            @retry_transient
            def deactivate(user: Any = cast[side]) -> Any:
                return get_user_model().objects.filter(pk=user.pk).update(is_active=False)

            heist, _done = race(point, lambda c=cast: rob(*c), deactivate)

            if isinstance(heist, InactiveAccount):
                assert side == 0 and not Heist.objects.filter(attacker=cast[0]).exists(), point
            else:
                assert heist.failure_code in (None, FailureCode.INACTIVE_TARGET), point
            assert points_of(cast[0]) + points_of(cast[1]) == 1000, point


def test_a_heist_against_the_deletion_of_either_side() -> None:
    for point in POINTS:
        for side in (0, 1):
            cast = player(tokens=1), player(points=1000)
            gone, stays = cast[side].pk, cast[1 - side].pk

            @retry_transient  # as a host has to do, at SERIALIZABLE
            def delete(gone: Any = gone) -> Any:
                return get_user_model().objects.filter(pk=gone).delete()

            heist, _done = race(point, lambda c=cast: rob(*c), delete)

            assert not get_user_model().objects.filter(pk=gone).exists(), point
            assert not Heist.objects.filter(attacker=gone).exists(), point
            assert not Heist.objects.filter(victim=gone).exists(), point
            left = PlayerProfile.objects.get(user=stays).monthly_points
            assert left in ((1000, 950) if side == 0 else (0, 50)), point
            assert isinstance(heist, UnknownPlayer) or heist.status == HeistStatus.SUCCESS, point


def test_the_same_key_twice() -> None:
    for point in POINTS:
        alice, bob = player(tokens=2), player(points=1000)

        heists = race(point, lambda a=alice, b=bob: rob(a, b, "key"), lambda a=alice, b=bob: rob(a, b, "key"))

        assert heists[0].pk == heists[1].pk, point
        assert statuses(*heists) == ["SUCCESS", "SUCCESS"], point
        assert tokens_of(alice).balance == 1, point
        assert HeistNotification.objects.filter(heist=heists[0].pk).count() == 2, point


def test_the_same_key_twice_for_a_rejection() -> None:
    for point in POINTS:
        alice, bob = player(tokens=1), player(points=5)

        heists = race(point, lambda a=alice, b=bob: rob(a, b, "key"), lambda a=alice, b=bob: rob(a, b, "key"))

        assert heists[0].pk == heists[1].pk, point
        assert Heist.objects.filter(attacker=alice).count() == 1, point


def test_the_same_key_for_two_victims() -> None:
    for point in POINTS:
        alice, bob, dora = player(tokens=2), player(points=1000), player(points=1000)

        results = race(point, lambda a=alice, b=bob: rob(a, b, "key"), lambda a=alice, d=dora: rob(a, d, "key"))

        heists = [one for one in results if isinstance(one, Heist)]
        failures = [one.code for one in results if isinstance(one, HeistError)]
        assert len(heists) == 1 and failures == ["idempotency_key_reused"], point
        assert tokens_of(alice).balance == 1, point
