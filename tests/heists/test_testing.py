"""Each broken economy fails the conformance test of its fault."""

from __future__ import annotations

import datetime as dt
import unittest
from collections import Counter
from typing import Any, ClassVar

import factory
import pytest
from django.contrib.auth import get_user_model
from django.db.models import (
    Case,
    DateTimeField,
    DecimalField,
    ExpressionWrapper,
    F,
    OuterRef,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Cast, Coalesce, TruncDate
from django.test import TransactionTestCase
from django.utils import timezone

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile, PointEvent
from heists.economy import Economy, PointEventRow, current_month
from heists.testing import EconomyConformance
from tests.conftest import HeistSettings
from tests.factories import UserFactory, player

# Hashing a password takes longer than the rest of a test.
NO_PASSWORD = factory.Transformer.Force("!")

pytestmark = pytest.mark.django_db(transaction=True)


class ActiveOnly(GamificationEconomy):
    def players(self) -> Any:
        return super().players().filter(is_active=True)


class Null(GamificationEconomy):
    def players(self) -> Any:
        own = PlayerProfile.objects.filter(user=OuterRef("pk")).values("monthly_points")
        return get_user_model().objects.annotate(monthly_points=Subquery(own))


class Decimals(GamificationEconomy):
    def players(self) -> Any:
        points = Cast("player_profile__monthly_points", DecimalField(max_digits=20, decimal_places=0))
        return get_user_model().objects.annotate(monthly_points=points)


class Snapshot(GamificationEconomy):
    def players(self) -> Any:
        now = [When(pk=user.pk, then=Value(user.monthly_points)) for user in super().players()]
        return get_user_model().objects.annotate(monthly_points=Case(*now, default=0))


class Aggregate(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(monthly_points=Sum("player_profile__monthly_points", default=0))


class Windowed(GamificationEconomy):
    def players(self) -> Any:
        points = Window(Sum("player_profile__monthly_points", default=0), partition_by=F("pk"))
        return get_user_model().objects.annotate(monthly_points=points)


class JoinedOnADay(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(monthly_points=Value(30), joined_at=TruncDate("date_joined"))


class JoinedTomorrow(GamificationEconomy):
    def players(self) -> Any:
        tomorrow = ExpressionWrapper(F("date_joined") + dt.timedelta(days=1), output_field=DateTimeField())
        return get_user_model().objects.annotate(monthly_points=Value(30), joined_at=tomorrow)


class NeverResets(GamificationEconomy):
    def players(self) -> Any:
        points = Coalesce(F("player_profile__monthly_points"), 0)
        return get_user_model().objects.annotate(monthly_points=points)

    def leaderboard(self) -> Any:
        return self.players().order_by("-monthly_points", "pk")


class SaysItNeverResets(GamificationEconomy):
    resets_monthly = False


class ResetsEarly(GamificationEconomy):
    def players(self) -> Any:
        month = current_month(timezone.now() + dt.timedelta(seconds=1))
        points = Case(When(player_profile__month__gte=month, then=F("player_profile__monthly_points")), default=0)
        return get_user_model().objects.annotate(monthly_points=points)


class RanksLastMonth(GamificationEconomy):
    def leaderboard(self) -> Any:
        ranked = get_user_model().objects.filter(player_profile__isnull=False)
        return ranked.annotate(monthly_points=F("player_profile__monthly_points")).order_by("-monthly_points", "pk")


class RevivesLastMonth(GamificationEconomy):
    def lock(self, *player_ids: Any) -> None:
        PlayerProfile.objects.filter(user__in=player_ids).update(month=current_month())


class Endless(NeverResets, RevivesLastMonth):
    pass


class TiesAtRandom(GamificationEconomy):
    def leaderboard(self) -> Any:
        return self.players().order_by("-monthly_points", "-pk")


class NoLock(GamificationEconomy):
    def lock(self, *player_ids: Any) -> None:
        profiles = PlayerProfile.objects.filter(user__in=player_ids)
        missing = set(player_ids) - set(profiles.values_list("user_id", flat=True))
        for player_id in missing:
            PlayerProfile.objects.create(user_id=player_id)


class LockInTheOrderStored(NoLock):
    def lock(self, *player_ids: Any) -> None:
        super().lock(*player_ids)
        list(PlayerProfile.objects.select_for_update().filter(user__in=player_ids))


class LocksEverybody(GamificationEconomy):
    def lock(self, *player_ids: Any) -> None:
        super().lock(*player_ids, *PlayerProfile.objects.values_list("user_id", flat=True))


class LockInTheOrderGiven(GamificationEconomy):
    def lock(self, *player_ids: Any) -> None:
        for player_id in player_ids:
            super().lock(player_id)


class LockForgetsNewcomers(GamificationEconomy):
    def lock(self, *player_ids: Any) -> None:
        list(PlayerProfile.objects.select_for_update().filter(user__in=player_ids).order_by("user_id"))


class Generous(GamificationEconomy):
    def _move(self, player_id: Any, before: int, after: int, month: dt.date) -> None:
        if after > before:
            super()._move(player_id, before, after, month)


class Blind(GamificationEconomy):
    def _move(self, player_id: Any, before: int, after: int, month: dt.date) -> None:
        PlayerProfile.objects.filter(user_id=player_id).update(monthly_points=after)


class InMemory(GamificationEconomy):
    """Keeps what moved in this process, where a rollback does not reach it."""

    moved: ClassVar[Counter[Any]] = Counter()

    def players(self) -> Any:
        moved = [When(pk=pk, then=Value(points)) for pk, points in self.moved.items()]
        return super().players().annotate(monthly_points=F("monthly_points") + Case(*moved, default=0))

    def _move(self, player_id: Any, before: int, after: int, month: dt.date) -> None:
        self.moved[player_id] += after - before


class EventsInMemory(GamificationEconomy):
    events: ClassVar[list[PointEventRow]] = []

    def transfer(self, heist: Any) -> None:
        super().transfer(heist)
        self.events.extend(super().point_events([heist.pk]))

    def point_events(self, heist_ids: Any) -> Any:
        return [event for event in self.events if event.heist_id in heist_ids]


class OneSided(GamificationEconomy):
    def point_events(self, heist_ids: Any) -> Any:
        return [event for event in super().point_events(heist_ids) if event.points > 0]


class AllEvents(GamificationEconomy):
    def point_events(self, heist_ids: Any) -> Any:
        events = PointEvent.objects.filter(reference__startswith="heist:").values_list("reference", "user_id", "points")
        return [PointEventRow(int(reference[6:]), user_id, points) for reference, user_id, points in events]


class Forgetful(GamificationEconomy):
    def give_back(self, reversal: Any) -> None:
        reversal.attacker_points_after = reversal.attacker_points_before
        super().give_back(reversal)


class WithoutReversalEvents(GamificationEconomy):
    def _insert_events(self, heist: Any, points: int, reference: str, created_at: Any) -> None:
        if not reference.startswith("reversal:"):
            super()._insert_events(heist, points, reference, created_at)


class OnCredit(GamificationEconomy):
    def spend_coins(self, player_id: Any, amount: int, *, reference: str) -> None:
        coins = PlayerProfile.objects.get(user=player_id).coins
        PlayerProfile.objects.filter(user=player_id).update(coins=F("coins") - min(coins, amount))


class Free(GamificationEconomy):
    def spend_coins(self, player_id: Any, amount: int, *, reference: str) -> None:
        PlayerProfile.objects.get(user=player_id, coins__gte=amount)


class Penniless(GamificationEconomy):
    def coins(self, player_id: Any) -> int:
        return 0


class SecretCoins(GamificationEconomy):
    has_coins = False


class Unreachable(GamificationEconomy):
    def email(self, player: Any) -> str:
        return "nowhere"


class NoText(GamificationEconomy):
    def email(self, player: Any) -> Any:
        return None


class Nameless(GamificationEconomy):
    def name(self, player: Any) -> str:
        return ""


class FindsNamesThatBeginSo(GamificationEconomy):
    def search_players(self, text: str, *, exact: bool = False) -> Any:
        return super().search_players(text)


class FindsWhatIsAlike(GamificationEconomy):
    def search_players(self, text: str, *, exact: bool = False) -> Any:
        return super().search_players(text.split(" ")[0], exact=exact)


class Indiscreet(GamificationEconomy):
    def name(self, player: Any) -> str:
        return str(player.get_username())


class NamesOfTheirOwn(GamificationEconomy):
    def names(self, players: Any) -> Any:
        return {player.pk: "somebody" for player in players}


class NamesOfSome(GamificationEconomy):
    def names(self, players: Any) -> Any:
        return super().names(players[1:])


class FindsNobody(GamificationEconomy):
    def search_players(self, text: str, *, exact: bool = False) -> Any:
        return get_user_model().objects.none()


class FindsTooMany(GamificationEconomy):
    def search_players(self, text: str, *, exact: bool = False) -> Any:
        return get_user_model().objects.filter(username__startswith=text[:2]).order_by("pk")


class FindsInAnyOrder(GamificationEconomy):
    def search_players(self, text: str, *, exact: bool = False) -> Any:
        found = super().search_players(text, exact=exact)
        return found and found.order_by()


BROKEN = [
    (ActiveOnly, "players_returns_active_and_inactive_users"),
    (Null, "players_returns_zero_for_a_user_without_a_balance"),
    (Decimals, "monthly_points_are_integers"),
    (Snapshot, "players_returns_current_points"),
    (Aggregate, "players_does_not_group"),
    (Windowed, "players_returns_the_same_points_under_joins"),
    (JoinedOnADay, "players_says_when_a_player_joined_or_nothing"),
    (JoinedTomorrow, "players_says_when_a_player_joined_or_nothing"),
    (NeverResets, "players_have_no_points_when_a_month_begins"),
    (Endless, "nobody_is_robbed_of_an_earlier_months_points"),
    (SaysItNeverResets, "players_have_no_points_when_a_month_begins"),
    (ResetsEarly, "players_have_their_points_until_the_month_ends"),
    (RanksLastMonth, "players_have_no_points_when_a_month_begins"),
    (RevivesLastMonth, "a_new_month_begins_at_zero_for_those_who_are_locked"),
    (TiesAtRandom, "leaderboard_orders_by_points_then_primary_key"),
    (LockForgetsNewcomers, "lock_creates_a_missing_balance"),
    (Generous, "transfer_moves_exactly_the_points"),
    (InMemory, "transfer_is_rolled_back_with_the_heist"),
    (EventsInMemory, "transfer_is_rolled_back_with_the_heist"),
    (Blind, "transfer_raises_when_the_balance_is_too_low"),
    (OneSided, "transfer_writes_one_point_event_for_each_player"),
    (AllEvents, "transfer_writes_one_point_event_for_each_player"),
    (Forgetful, "give_back_returns_exactly_the_points"),
    (WithoutReversalEvents, "give_back_returns_exactly_the_points"),
    (InMemory, "give_back_is_rolled_back_with_the_reversal"),
    (Blind, "give_back_raises_when_the_balance_is_too_low"),
    (Free, "spend_coins_takes_the_coins"),
    (Penniless, "spend_coins_takes_the_coins"),
    (SecretCoins, "spend_coins_takes_the_coins"),
    (OnCredit, "spend_coins_raises_when_there_are_too_few"),
    (NamesOfTheirOwn, "names_returns_the_name_of_each_player"),
    (NamesOfSome, "names_returns_the_name_of_each_player"),
    (FindsNobody, "search_players_finds_a_player_by_name"),
    (FindsTooMany, "search_players_finds_a_player_by_name"),
    (FindsInAnyOrder, "search_players_finds_a_player_by_name"),
    (FindsNamesThatBeginSo, "search_players_finds_a_player_by_name"),
    (FindsWhatIsAlike, "search_players_finds_a_player_by_name"),
    (Indiscreet, "name_is_never_an_email_address"),
    (Nameless, "name_is_never_an_email_address"),
    (Unreachable, "email_is_an_address_or_empty"),
    (NoText, "email_is_an_address_or_empty"),
    (Generous, "execute_heist_with_this_economy"),
    pytest.param(NoLock, "lock_blocks_other_transactions", marks=pytest.mark.postgresql, id="NoLock"),
    pytest.param(LocksEverybody, "lock_blocks_other_transactions", marks=pytest.mark.postgresql, id="LocksEverybody"),
    *(
        pytest.param(economy, "lock_locks_in_primary_key_order", marks=pytest.mark.postgresql, id=economy.__name__)
        for economy in (LockInTheOrderGiven, LockInTheOrderStored)
    ),
]


class Suite(EconomyConformance, TransactionTestCase):
    __test__ = False

    def make_player(self, points: int, coins: int = 0) -> Any:
        return player(points=points, coins=coins, password=NO_PASSWORD)

    def make_player_without_balance(self) -> Any:
        return UserFactory.create(password=NO_PASSWORD)


class WithoutReversals(GamificationEconomy):
    give_back = Economy.give_back


class WithoutCoins(GamificationEconomy):
    has_coins, coins, spend_coins = False, Economy.coins, Economy.spend_coins


def run(heist_settings: HeistSettings, economy: type[GamificationEconomy], test: str) -> unittest.TestResult:
    heist_settings(ECONOMY=f"{economy.__module__}.{economy.__qualname__}")
    result = unittest.TestResult()
    Suite(f"test_{test}").run(result)
    return result


@pytest.mark.parametrize(("economy", "test"), BROKEN)
def test_a_broken_economy_fails_its_test(
    heist_settings: HeistSettings, economy: type[GamificationEconomy], test: str
) -> None:
    broken = run(heist_settings, economy, test)

    # The economy that it breaks passes: tests/gamification/test_economy_conformance.py.
    assert len(broken.failures + broken.errors) == 1


@pytest.mark.parametrize(
    ("economy", "test"),
    [
        (WithoutReversals, "give_back_returns_exactly_the_points"),
        (WithoutReversals, "give_back_is_rolled_back_with_the_reversal"),
        (WithoutReversals, "give_back_raises_when_the_balance_is_too_low"),
        (WithoutCoins, "spend_coins_takes_the_coins"),
        (WithoutCoins, "spend_coins_raises_when_there_are_too_few"),
    ],
)
def test_an_economy_without_reversals_or_coins_passes(
    heist_settings: HeistSettings, economy: type[GamificationEconomy], test: str
) -> None:
    result = run(heist_settings, economy, test)

    assert (result.failures, result.errors, result.skipped) == ([], [], [])


def test_each_test_of_the_suite_fails_for_a_broken_economy() -> None:
    broken = {f"test_{getattr(one, 'values', one)[1]}" for one in BROKEN}

    assert broken == {name for name in dir(EconomyConformance) if name.startswith("test_")}
