"""The economy of this host: how heists reads, locks and moves the balances of `PlayerProfile`.

A heist's writes to this host's two tables are SQL. The same three writes through the ORM add about a third to the
processor time of a heist (docs/performance.md); the economy of docs/integrating.md is plain ORM.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Coalesce

from heists.economy import Economy, PointEventRow, ShieldPayment
from heists.errors import InsufficientCoins
from heists.models import Heist

from . import errors, services
from .models import CoinEntry, CoinReason, PlayerProfile, PointEvent

MOVE_POINTS = """
    UPDATE gamification_playerprofile SET monthly_points = %s WHERE user_id = %s AND monthly_points = %s
"""
INSERT_EVENTS = """
    INSERT INTO gamification_pointevent (user_id, type, points, reference, created_at)
    VALUES (%s, 'HEIST_GAIN', %s, %s, %s), (%s, 'HEIST_LOSS', %s, %s, %s)
"""
REFERENCES_PER_QUERY = 1000


class GamificationEconomy(Economy):
    """Monthly points and coins, as `PlayerProfile` has them."""

    has_coins = True

    def players(self) -> QuerySet[Any]:
        return get_user_model().objects.annotate(
            monthly_points=Coalesce(F("player_profile__monthly_points"), 0), joined_at=F("date_joined")
        )

    def leaderboard(self) -> QuerySet[Any]:
        # An inner join and the bare column, so that PostgreSQL can walk the index profile_leaderboard.
        ranked = get_user_model().objects.filter(player_profile__isnull=False)
        return ranked.annotate(monthly_points=F("player_profile__monthly_points")).order_by("-monthly_points", "pk")

    def lock(self, *player_ids: Any) -> None:
        services.lock_profiles(*player_ids)

    def transfer(self, heist: Heist) -> None:
        self._move(heist.victim_id, heist.victim_points_before, heist.victim_points_after)
        self._move(heist.attacker_id, heist.attacker_points_before, heist.attacker_points_after)
        points, reference, connection = heist.points_stolen, f"heist:{heist.pk}", self._connection()
        at = connection.ops.adapt_datetimefield_value(heist.created_at)
        gain, loss = (heist.attacker_id, points, reference, at), (heist.victim_id, -points, reference, at)
        with connection.cursor() as cursor:
            cursor.execute(INSERT_EVENTS, [*gain, *loss])

    def _move(self, player_id: Any, before: int, after: int) -> None:
        with self._connection().cursor() as cursor:
            cursor.execute(MOVE_POINTS, [after, player_id, before])
            if cursor.rowcount != 1:
                raise errors.StaleBalance

    def _connection(self) -> Any:
        return connections[services.written_to()]

    def coins(self, player_id: Any) -> int:
        profiles = PlayerProfile.objects.using(services.written_to())
        return profiles.filter(user_id=player_id).values_list("coins", flat=True).first() or 0

    def spend_coins(self, player_id: Any, amount: int, *, reference: str) -> None:
        try:
            services.add_coins(player_id, -amount, CoinReason.SHIELD, reference)
        except errors.InsufficientCoins as exc:
            raise InsufficientCoins(**exc.details) from exc

    def point_events(self, heist_ids: Iterable[int]) -> Iterable[PointEventRow]:
        ids = iter(heist_ids)
        while references := [f"heist:{pk}" for pk in islice(ids, REFERENCES_PER_QUERY)]:
            events = PointEvent.objects.using(services.written_to()).filter(
                type__in=["HEIST_GAIN", "HEIST_LOSS"], reference__in=references
            )
            # The condition of the partial index, so that the database can use it.
            rows = events.exclude(reference="").values_list("reference", "user_id", "points")
            for reference, user_id, points in rows:
                yield PointEventRow(int(reference.removeprefix("heist:")), user_id, points)

    def all_point_events(self) -> Iterable[PointEventRow]:
        events = PointEvent.objects.using(services.written_to()).filter(type__in=["HEIST_GAIN", "HEIST_LOSS"])
        for reference, user_id, points in events.values_list("reference", "user_id", "points").iterator():
            heist_id = reference.removeprefix("heist:")
            yield PointEventRow(int(heist_id) if heist_id.isdecimal() else 0, user_id, points)

    def shield_payments(self, shield_ids: Iterable[int]) -> Iterable[ShieldPayment]:
        ids = iter(shield_ids)
        while references := [f"shield:{pk}" for pk in islice(ids, REFERENCES_PER_QUERY)]:
            entries = CoinEntry.objects.using(services.written_to()).filter(
                reason=CoinReason.SHIELD, reference__in=references
            )
            rows = entries.exclude(reference="").values_list("reference", "user_id", "amount")
            for reference, user_id, amount in rows:
                yield ShieldPayment(int(reference.removeprefix("shield:")), user_id, -amount)

    def ledger_balances(self, player_ids: Collection[Any]) -> Mapping[Any, int]:
        events = PointEvent.objects.using(services.written_to()).filter(user__in=player_ids).order_by()
        return {user: int(points) for user, points in events.values_list("user").annotate(points=Sum("points"))}
