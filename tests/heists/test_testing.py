"""Each way to break an economy is found, by the test that is there for it."""

from __future__ import annotations

import unittest
from typing import Any

import factory
import pytest
from django.contrib.auth import get_user_model
from django.db.models import F, OuterRef, Subquery, Sum
from django.test import TransactionTestCase

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile, PointEvent
from heists.economy import PointEventRow
from heists.testing import EconomyConformance
from tests.conftest import HeistSettings
from tests.factories import UserFactory, player

# Hashing one takes longer than the rest of a test.
NO_PASSWORD = factory.Transformer.Force("!")

pytestmark = pytest.mark.django_db(transaction=True)


class ActiveOnly(GamificationEconomy):
    def players(self) -> Any:
        return super().players().filter(is_active=True)


class Null(GamificationEconomy):
    def players(self) -> Any:
        own = PlayerProfile.objects.filter(user=OuterRef("pk")).values("monthly_points")
        return get_user_model().objects.annotate(monthly_points=Subquery(own))


class Aggregate(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(monthly_points=Sum("player_profile__monthly_points", default=0))


class TiesAtRandom(GamificationEconomy):
    def leaderboard(self) -> Any:
        return self.players().order_by("-monthly_points", "-pk")


class NoLock(GamificationEconomy):
    def lock(self, *player_ids: Any) -> None:
        profiles = PlayerProfile.objects.filter(user__in=player_ids)
        missing = set(player_ids) - set(profiles.values_list("user_id", flat=True))
        for player_id in missing:
            PlayerProfile.objects.create(user_id=player_id)


class LockInTheOrderGiven(GamificationEconomy):
    def lock(self, *player_ids: Any) -> None:
        for player_id in player_ids:
            super().lock(player_id)


class LockForgetsNewcomers(GamificationEconomy):
    def lock(self, *player_ids: Any) -> None:
        list(PlayerProfile.objects.select_for_update().filter(user__in=player_ids).order_by("user_id"))


class Generous(GamificationEconomy):
    def _move(self, player_id: Any, before: int, after: int) -> None:
        if after > before:
            super()._move(player_id, before, after)


class Blind(GamificationEconomy):
    def _move(self, player_id: Any, before: int, after: int) -> None:
        PlayerProfile.objects.filter(user_id=player_id).update(monthly_points=after)


class OneSided(GamificationEconomy):
    def point_events(self, heist_ids: Any) -> Any:
        return [event for event in super().point_events(heist_ids) if event.points > 0]


class AllEvents(GamificationEconomy):
    def point_events(self, heist_ids: Any) -> Any:
        events = PointEvent.objects.filter(reference__startswith="heist:").values_list("reference", "user_id", "points")
        return [PointEventRow(int(reference[6:]), user_id, points) for reference, user_id, points in events]


class OnCredit(GamificationEconomy):
    def spend_coins(self, player_id: Any, amount: int, *, reference: str) -> None:
        coins = PlayerProfile.objects.get(user=player_id).coins
        PlayerProfile.objects.filter(user=player_id).update(coins=F("coins") - min(coins, amount))


class Indiscreet(GamificationEconomy):
    def name(self, player: Any) -> str:
        return str(player.get_username())


BROKEN = [
    (ActiveOnly, "players_has_every_user_whether_active_or_not"),
    (Null, "players_knows_a_newcomer_and_says_zero"),
    (Aggregate, "players_does_not_group"),
    (TiesAtRandom, "leaderboard_is_best_first_and_ties_go_by_primary_key"),
    (LockForgetsNewcomers, "lock_gives_a_newcomer_a_balance_that_can_move"),
    (Generous, "transfer_moves_exactly_the_points_and_loses_none"),
    (Blind, "transfer_refuses_what_is_not_there"),
    (OneSided, "transfer_writes_one_event_for_each"),
    (AllEvents, "transfer_writes_one_event_for_each"),
    (OnCredit, "coins_never_fall_below_zero"),
    (Indiscreet, "a_name_is_never_an_address"),
    pytest.param(
        NoLock, "lock_makes_others_wait_until_the_transaction_ends", marks=pytest.mark.postgresql, id="NoLock"
    ),
    pytest.param(
        LockInTheOrderGiven,
        "lock_goes_in_primary_key_order_whatever_order_it_is_given",
        marks=pytest.mark.postgresql,
        id="LockInTheOrderGiven",
    ),
]


class Suite(EconomyConformance, TransactionTestCase):
    __test__ = False

    def make_player(self, points: int, coins: int = 0) -> Any:
        return player(points=points, coins=coins, password=NO_PASSWORD)

    def make_newcomer(self) -> Any:
        return UserFactory.create(password=NO_PASSWORD)


def run(heist_settings: HeistSettings, economy: type[GamificationEconomy], test: str) -> unittest.TestResult:
    heist_settings(ECONOMY=f"{economy.__module__}.{economy.__qualname__}")
    result = unittest.TestResult()
    Suite(f"test_{test}").run(result)
    return result


@pytest.mark.parametrize(("economy", "test"), BROKEN)
def test_a_broken_promise_is_found(
    heist_settings: HeistSettings, economy: type[GamificationEconomy], test: str
) -> None:
    broken, kept = run(heist_settings, economy, test), run(heist_settings, GamificationEconomy, test)

    assert len(broken.failures + broken.errors) == 1
    assert (kept.failures, kept.errors, kept.skipped) == ([], [], [])
