"""Points beyond 32 bits, up to the largest integer that every JSON client reads exactly."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone

from gamification import services as points_services
from gamification.errors import BalanceTooLarge
from gamification.models import PlayerProfile, PointEvent
from heists.choices import FailureCode, HeistStatus
from heists.economy import get_economy
from heists.models import Heist
from heists.queries import leaderboard, preview
from heists.services import execute_heist
from tests.factories import player, points_of, tokens_of

pytestmark = pytest.mark.django_db

LARGEST = 9_007_199_254_740_991
GAIN = 1_000_000_000


@pytest.fixture(autouse=True)
def large_gains(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "MAX_STEAL_POINTS": GAIN, "COOLDOWN_HOURS": 0}


@pytest.mark.parametrize("points", [2**31 - 1, 2**31, 2**32, 2**40, LARGEST])
def test_a_victim_of_any_size_is_robbed_exactly(points: int) -> None:
    rich, robber = player(points=points), player(points=2**31 - 1, tokens=1)

    heist = execute_heist(attacker_id=robber.pk, victim_id=rich.pk)

    stolen = min(GAIN, points * 5 // 100)
    heist.refresh_from_db()
    assert (heist.status, heist.points_stolen) == (HeistStatus.SUCCESS, stolen)
    assert (points_of(rich), points_of(robber)) == (points - stolen, 2**31 - 1 + stolen)
    assert sorted(PointEvent.objects.filter(reference=f"heist:{heist.pk}").values_list("points", flat=True)) == [
        -stolen,
        stolen,
    ]
    call_command("audit_heists")


@pytest.mark.parametrize(("room", "code"), [(GAIN, None), (GAIN - 1, FailureCode.BALANCE_FULL), (0, "balance_full")])
def test_a_gain_beyond_the_largest_balance_is_a_rejection_that_the_preview_knows(room: int, code: str | None) -> None:
    rich, robber = player(points=2**40), player(points=LARGEST - room, tokens=1)
    economy = get_economy()
    seen = preview.targets(attacker_id=robber.pk, victim_ids=[rich.pk], economy=economy)[rich.pk]

    heist = execute_heist(attacker_id=robber.pk, victim_id=rich.pk)

    assert (seen.code, heist.failure_code) == (code, code)
    assert points_of(robber) == LARGEST - (room if code else 0)
    if code:
        assert heist.status == HeistStatus.FAILED_INVALID_TARGET
        assert (heist.token_spent, heist.retry_at, tokens_of(robber).balance) == (False, None, 1)
        assert heist.failure_reason == "This heist would give you more points than a player can have."
    call_command("audit_heists")


def test_a_full_balance_is_asked_after_the_loss_limit(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "MONTHLY_LOSS_PERCENT": 0}
    rich, robber = player(points=2**40), player(points=LARGEST, tokens=1)

    assert execute_heist(attacker_id=robber.pk, victim_id=rich.pk).failure_code == FailureCode.LOSS_LIMIT


def test_sums_of_large_points_are_whole_numbers() -> None:
    robber = player(tokens=3)
    for _ in range(3):
        execute_heist(attacker_id=robber.pk, victim_id=player(points=2**40).pk)

    cache.clear()
    [leader] = leaderboard.leaders(now=timezone.now(), limit=1)
    totals = leaderboard.totals(robber.pk)

    assert (leader.points_stolen, totals.points_gained) == (3 * GAIN, 3 * GAIN)
    assert {type(leader.points_stolen), type(totals.points_gained), type(totals.net_points)} == {int}
    assert Heist.objects.count() == 3


def test_the_example_host_counts_as_far_and_no_further() -> None:
    user = player()
    points_services.award_points(player=user, type_name="CHECKIN", points=LARGEST)
    points_services.award_coins(player=user, amount=LARGEST)

    with pytest.raises(BalanceTooLarge):
        points_services.award_points(player=user, type_name="CHECKIN", points=1)
    with pytest.raises(BalanceTooLarge):
        points_services.award_coins(player=user, amount=1)

    profile = PlayerProfile.objects.get(user=user)
    assert (profile.points, profile.monthly_points, profile.coins) == (LARGEST, LARGEST, LARGEST)
