"""A reversal, and a correction, against every call that may interfere, at every point, at two isolation levels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from gamification.models import MonthlyStanding, PlayerProfile
from gamification.services import award_points
from heists.choices import HeistNotificationType
from heists.db.retry import retry_transient
from heists.errors import AlreadyReversed, AlreadyTakenBack, AnotherMonth, HeistError, NothingLeft, UnknownHeist
from heists.models import Heist, HeistNotification, Reversal, TokenGrant
from heists.services import execute_heist, reverse_heist, take_back
from tests.concurrency import at_once
from tests.factories import player, points_of, tokens_of

from .staging import POINTS, REVERSAL_POINTS, SUCCESS, concurrent_at

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("isolation", "audited", "no_cooldowns")]

at_each_point_of_a_reversal = pytest.mark.parametrize("point", REVERSAL_POINTS)
at_each_point_of_a_success = pytest.mark.parametrize("point", SUCCESS)


def robbing(attacker: Any, victim: Any) -> Callable[[], Heist]:
    return lambda: execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)


def reversing(heist: Heist) -> Callable[[], Reversal]:
    return lambda: reverse_heist(heist_id=heist.pk, reversed_by=None, reason="a bug", return_token=True)


def taking_back(grant: TokenGrant) -> Callable[[], TokenGrant]:
    return lambda: take_back(grant=grant, by=None, reason="the wrong player")


def race(point: str, first: Callable[[], Any], second: Callable[[], Any], points: Any = REVERSAL_POINTS) -> list[Any]:
    """Run the first call, with the second at the point; return what each returned, or the HeistError it raised."""
    with concurrent_at(point, second, points) as concurrent:
        try:
            result = first()
        except HeistError as error:
            result = error
    if concurrent.error and not isinstance(concurrent.error, HeistError):
        raise concurrent.error
    return [result, concurrent.error or concurrent.result]


@at_each_point_of_a_reversal
def test_two_members_of_staff_reverse_one_heist(point: str) -> None:
    alice, bob = player(points=500, tokens=1), player(points=1000)
    heist = robbing(alice, bob)()

    results = race(point, reversing(heist), reversing(heist))

    assert {type(result) for result in results} == {Reversal, AlreadyReversed}
    assert (points_of(alice), points_of(bob), tokens_of(alice).balance) == (500, 1000, 1)
    assert HeistNotification.objects.filter(type=HeistNotificationType.HEIST_REVERSED).count() == 2


def test_five_members_of_staff_reverse_one_heist_at_once() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbing(alice, bob)()

    results = at_once(*[reversing(heist)] * 5, errors=AlreadyReversed)

    assert [type(result) for result in results].count(Reversal) == 1
    assert (points_of(alice), points_of(bob)) == (0, 1000)


@pytest.mark.parametrize("who", ["attacker robbed", "victim robbed", "victim robs back", "attacker robs again"])
@at_each_point_of_a_reversal
def test_a_reversal_against_a_heist_on_either_side(point: str, who: str) -> None:
    alice, bob, carol = player(tokens=2), player(points=1000, tokens=1), player(points=400, tokens=1)
    heist = robbing(alice, bob)()
    attacker, victim = {
        "attacker robbed": (carol, alice),
        "victim robbed": (carol, bob),
        "victim robs back": (bob, alice),
        "attacker robs again": (alice, carol),
    }[who]

    reversal, other = race(point, reversing(heist), robbing(attacker, victim))

    assert points_of(alice) + points_of(bob) + points_of(carol) == 1400
    assert reversal.points_returned + reversal.attacker_points_after == reversal.attacker_points_before
    if who == "attacker robs again":
        assert (other.points_stolen, points_of(alice), points_of(bob)) == (20, 20, 1000)
    if who == "attacker robbed":
        # The reversal first leaves nothing to rob; the robbery first takes 2 of 50.
        assert reversal.points_returned == 50 - other.points_stolen
        assert other.points_stolen in (0, 2)


@pytest.mark.parametrize("side", ["attacker", "victim"])
@at_each_point_of_a_reversal
def test_a_reversal_against_the_deletion_of_either_side(point: str, side: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbing(alice, bob)()
    deleted, other = (alice.pk, bob) if side == "attacker" else (bob.pk, alice)

    @retry_transient  # as a host has to, at SERIALIZABLE
    def delete() -> Any:
        return get_user_model().objects.filter(pk=deleted).delete()

    result, _count = race(point, reversing(heist), delete)

    assert isinstance(result, Reversal | UnknownHeist)
    assert not get_user_model().objects.filter(pk=deleted).exists()
    assert not Reversal.objects.exists()
    assert points_of(other) in ((1000, 950) if side == "attacker" else (0, 50))


@at_each_point_of_a_reversal
def test_a_reversal_at_the_turn_of_the_month(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [dt.datetime(2026, 3, 31, 23, 59, 59, tzinfo=dt.UTC)]
    monkeypatch.setattr(timezone, "now", lambda: clock[0])
    alice, bob = player(tokens=1), player(points=1000)
    heist = robbing(alice, bob)()

    @retry_transient  # as a host has to, at SERIALIZABLE
    def turn() -> None:
        clock[0] = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
        award_points(player=alice, type_name="CHECKIN", points=30)

    def in_march(user: Any) -> int:
        march = dt.date(2026, 3, 1)
        closed = MonthlyStanding.objects.filter(player=user, month=march).values_list("points", flat=True)
        current = PlayerProfile.objects.filter(user=user, month=march).values_list("monthly_points", flat=True)
        return sum([*closed, *current])

    result, _event = race(point, reversing(heist), turn)

    assert isinstance(result, Reversal | AnotherMonth)
    assert (in_march(alice), in_march(bob)) == ((0, 1000) if isinstance(result, Reversal) else (50, 950))
    assert PlayerProfile.objects.get(user=alice).monthly_points == 30


@at_each_point_of_a_success
def test_a_correction_against_a_heist_that_spends_the_token(point: str) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    grant = TokenGrant.objects.get(player=alice)

    heist, correction = race(point, robbing(alice, bob), taking_back(grant), POINTS)

    spent = heist.failure_code is None
    assert spent or heist.failure_code == "insufficient_tokens"
    assert isinstance(correction, NothingLeft if spent else TokenGrant)
    token = tokens_of(alice)
    assert (token.balance, token.total_earned, token.total_spent) == (0, int(spent), int(spent))


@at_each_point_of_a_success
def test_a_correction_takes_what_a_heist_leaves(point: str) -> None:
    alice, bob = player(tokens=3), player(points=1000)
    grant = TokenGrant.objects.get(player=alice)

    heist, correction = race(point, robbing(alice, bob), taking_back(grant), POINTS)

    assert tokens_of(alice).balance == 0
    assert -correction.amount == (2 if heist.failure_code is None else 3)


def test_a_grant_is_taken_back_once_by_many_at_once() -> None:
    alice = player(tokens=5)
    grant = TokenGrant.objects.get(player=alice)

    results = at_once(*[taking_back(grant)] * 5, errors=HeistError)

    assert sorted(type(result).__name__ for result in results) == ["AlreadyTakenBack"] * 4 + ["TokenGrant"]
    assert isinstance(next(result for result in results if isinstance(result, HeistError)), AlreadyTakenBack)
    assert tokens_of(alice).balance == 0
