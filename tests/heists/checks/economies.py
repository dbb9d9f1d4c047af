"""Economies with one fault each."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import CharField, Count, F, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Coalesce, TruncDate

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile
from heists.economy import Economy


class NotAnEconomy:
    pass


class Empty(Economy):
    pass


class CoinsInNameOnly(Empty):
    has_coins = True

    def players(self) -> Any:
        return GamificationEconomy().players()

    def lock(self, *player_ids: Any) -> None:
        pass

    def transfer(self, heist: Any) -> None:
        pass


class Broken(GamificationEconomy):
    def players(self) -> Any:
        raise LookupError("no such table")


class Profiles(GamificationEconomy):
    def players(self) -> Any:
        return PlayerProfile.objects.all()


class Grouped(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(monthly_points=Sum("point_events__points", default=0))


class Distinct(GamificationEconomy):
    def players(self) -> Any:
        return super().players().distinct()


class Flat(GamificationEconomy):
    def players(self) -> Any:
        return super().players().values("pk", "monthly_points")


class Pointless(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.all()


class Wordy(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(monthly_points=Value("many", output_field=CharField()))


class NeverJoined(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(monthly_points=Coalesce(F("player_profile__monthly_points"), 0))


class JoinedOnADay(NeverJoined):
    def players(self) -> Any:
        return super().players().annotate(joined_at=TruncDate("date_joined"))


class JoinedSomehow(NeverJoined):
    def players(self) -> Any:
        return super().players().annotate(joined_at=F("username"))


class OnUserRow(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(monthly_points=Coalesce(F("id"), 0))


class Nullable(GamificationEconomy):
    def players(self) -> Any:
        own = PlayerProfile.objects.filter(user=OuterRef("pk")).values("monthly_points")
        return get_user_model().objects.annotate(monthly_points=Subquery(own))


class Counted(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(friends=Count("referred_players"), monthly_points=F("friends"))


class Coinless(CoinsInNameOnly):
    has_coins = False


class Sliced(GamificationEconomy):
    def players(self) -> Any:
        return super().players()[:10]


class United(GamificationEconomy):
    def players(self) -> Any:
        return super().players().union(super().players())


class Listed(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.values_list("pk")


class PointsAlone(GamificationEconomy):
    def players(self) -> Any:
        return super().players().values("monthly_points")


class Mixed(GamificationEconomy):
    def players(self) -> Any:
        return get_user_model().objects.annotate(monthly_points=F("date_joined") * F("username"))


class JoinedMixed(NeverJoined):
    def players(self) -> Any:
        return super().players().annotate(joined_at=F("date_joined") * F("username"))
