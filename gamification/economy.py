"""The economy of this host: how heists reads, locks and moves the balances of `PlayerProfile` (spec section 2)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from heists import prepared
from heists.economy import Economy, PointEventRow
from heists.errors import InsufficientCoins
from heists.models import Heist

from . import errors, services
from .models import CoinReason, PlayerProfile, PointEvent


class GamificationEconomy(Economy):
    """Monthly points and coins, as `PlayerProfile` keeps them."""

    has_coins = True

    def players(self) -> QuerySet[Any]:
        return get_user_model().objects.annotate(monthly_points=Coalesce(F("player_profile__monthly_points"), 0))

    def leaderboard(self) -> QuerySet[Any]:
        # An inner join and the bare column: PostgreSQL can then walk the profile_leaderboard index.
        ranked = get_user_model().objects.filter(player_profile__isnull=False)
        return ranked.annotate(monthly_points=F("player_profile__monthly_points")).order_by("-monthly_points", "pk")

    def lock(self, *player_ids: Any) -> None:
        services.lock_profiles(*player_ids)

    def transfer(self, heist: Heist) -> None:
        self._move(heist.victim_id, heist.victim_points_before, heist.victim_points_after)
        self._move(heist.attacker_id, heist.attacker_points_before, heist.attacker_points_after)
        gain, told = heist.points_stolen, {"reference": f"heist:{heist.pk}", "created_at": heist.created_at}
        prepared.insert(
            [
                PointEvent(user_id=heist.attacker_id, type_id="HEIST_GAIN", points=gain, **told),
                PointEvent(user_id=heist.victim_id, type_id="HEIST_LOSS", points=-gain, **told),
            ]
        )

    def _move(self, player_id: Any, before: int, after: int) -> None:
        if not prepared.update(
            PlayerProfile, where={"user": player_id, "monthly_points": before}, to={"monthly_points": after}
        ):
            raise errors.StaleBalance

    def coins(self, player_id: Any) -> int:
        return PlayerProfile.objects.filter(user_id=player_id).values_list("coins", flat=True).first() or 0

    def spend_coins(self, player_id: Any, amount: int, *, reference: str) -> None:
        try:
            services.add_coins(player_id, -amount, CoinReason.SHIELD, reference)
        except errors.InsufficientCoins as exc:
            raise InsufficientCoins(**exc.details) from exc

    def point_events(self, heist_ids: Iterable[int]) -> Iterable[PointEventRow]:
        ids = iter(heist_ids)
        while some := [f"heist:{pk}" for pk in islice(ids, 1000)]:
            events = PointEvent.objects.filter(type__in=["HEIST_GAIN", "HEIST_LOSS"], reference__in=some)
            # The empty reference is excluded in words, so that the partial index may be used.
            rows = events.exclude(reference="").values_list("reference", "user_id", "points")
            for reference, user_id, points in rows:
                yield PointEventRow(int(reference.removeprefix("heist:")), user_id, points)
