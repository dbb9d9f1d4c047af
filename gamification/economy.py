"""The economy of this host: how heists reads, locks and moves the balances of `PlayerProfile`.

A heist's writes to this host's two tables are SQL. The same three writes through the ORM cost about 2 ms more processor
time a heist (docs/performance.md); the economy of docs/integrating.md is plain ORM.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections
from django.db.models import BigIntegerField, Case, F, QuerySet, Sum, When
from django.db.models.functions import Collate
from django.utils import timezone

from heists.economy import CLOCK_TOLERANCE, Economy, MonthlyBalance, PointEventRow, ShieldPayment, current_month
from heists.errors import InsufficientCoins
from heists.models import Heist, Reversal

from . import errors, services
from .models import CoinEntry, CoinReason, MonthlyStanding, PlayerProfile, PointEvent

COINS = "SELECT coins FROM gamification_playerprofile WHERE user_id = %s"
MOVE_POINTS = """
    UPDATE gamification_playerprofile SET monthly_points = %s
     WHERE user_id = %s AND monthly_points = %s AND month >= %s
"""
# An event counts for the month of the profile.
INSERT_EVENTS = """
    INSERT INTO gamification_pointevent (user_id, type, points, reference, created_at, month)
    VALUES (%s, 'HEIST_GAIN', %s, %s, %s, (SELECT month FROM gamification_playerprofile WHERE user_id = %s)),
           (%s, 'HEIST_LOSS', %s, %s, %s, (SELECT month FROM gamification_playerprofile WHERE user_id = %s))
"""
REFERENCES_PER_QUERY = 1000
# Each database's name of the order by code points.
CODE_POINTS = {"postgresql": "C", "sqlite": "BINARY"}
# No user name contains it.
LAST_CHARACTER = "\U0010ffff"
# The references of heists' point events: "heist:12", and "reversal:12" where staff returned the points of heist 12.
REFERENCE_KINDS = ("heist", "reversal")


class GamificationEconomy(Economy):
    """Monthly points and coins, as `PlayerProfile` has them."""

    has_coins = True

    def players(self) -> QuerySet[Any]:
        return _players(current_month()).all()

    def leaderboard(self) -> QuerySet[Any]:
        now = timezone.now()
        month = current_month(now)
        return _leaderboard(month, may_be_ahead=current_month(now + CLOCK_TOLERANCE) != month).all()

    def search_players(self, text: str, *, exact: bool = False) -> QuerySet[Any] | None:
        found = super().search_players(text, exact=exact)
        if exact or found is None:
            return found
        users = get_user_model().objects
        # PostgreSQL stores no NUL.
        if not (begin := users.model.normalize_username(text)) or "\x00" in begin:
            return users.none()
        # Names that begin alike are one range of an index by code points. LIKE, or another order, lets PostgreSQL read
        # all of them, or walk the names of all players, to find a page. A name with an at sign is not shown.
        name = Collate("username", CODE_POINTS[self._connection().vendor])
        players: QuerySet[Any] = users.alias(name=name).order_by(name, "pk")
        return players.filter(name__gte=begin, name__lt=begin + LAST_CHARACTER).exclude(username__contains="@")

    def lock(self, *player_ids: Any) -> None:
        services.lock_profiles(*player_ids)

    def transfer(self, heist: Heist) -> None:
        month = current_month(heist.created_at)
        self._move(heist.victim_id, heist.victim_points_before, heist.victim_points_after, month)
        self._move(heist.attacker_id, heist.attacker_points_before, heist.attacker_points_after, month)
        self._insert_events(heist, heist.points_stolen, f"heist:{heist.pk}", heist.created_at)

    def give_back(self, reversal: Reversal) -> None:
        heist, month = reversal.heist, current_month(reversal.created_at)
        self._move(heist.attacker_id, reversal.attacker_points_before, reversal.attacker_points_after, month)
        self._move(heist.victim_id, reversal.victim_points_before, reversal.victim_points_after, month)
        self._insert_events(heist, -reversal.points_returned, f"reversal:{heist.pk}", reversal.created_at)

    def _insert_events(self, heist: Heist, points: int, reference: str, created_at: dt.datetime) -> None:
        """Insert the attacker's gain of these points and the victim's loss; both are negated for a reversal."""
        connection = self._connection()
        at = connection.ops.adapt_datetimefield_value(created_at)
        gain = (heist.attacker_id, points, reference, at, heist.attacker_id)
        loss = (heist.victim_id, -points, reference, at, heist.victim_id)
        with connection.cursor() as cursor:
            cursor.execute(INSERT_EVENTS, [*gain, *loss])

    def _move(self, player_id: Any, before: int, after: int, month: dt.date) -> None:
        with self._connection().cursor() as cursor:
            cursor.execute(MOVE_POINTS, [after, player_id, before, month])
            if cursor.rowcount != 1:
                raise errors.StaleBalance

    def _connection(self) -> Any:
        return connections[services.written_to()]

    def coins(self, player_id: Any) -> int:
        with self._connection().cursor() as cursor:
            cursor.execute(COINS, [player_id])
            row = cursor.fetchone()
        return row[0] if row else 0

    def spend_coins(self, player_id: Any, amount: int, *, reference: str) -> None:
        try:
            services.add_coins(player_id, -amount, CoinReason.SHIELD, reference)
        except errors.InsufficientCoins as exc:
            raise InsufficientCoins(**exc.details) from exc

    def point_events(self, heist_ids: Iterable[int]) -> Iterable[PointEventRow]:
        ids = iter(heist_ids)
        while chunk := list(islice(ids, REFERENCES_PER_QUERY)):
            references = [f"{kind}:{pk}" for pk in chunk for kind in REFERENCE_KINDS]
            events = PointEvent.objects.using(services.written_to()).filter(
                type__in=["HEIST_GAIN", "HEIST_LOSS"], reference__in=references
            )
            # The condition of the partial index, so that the database can use it.
            rows = events.exclude(reference="").values_list("reference", "user_id", "points")
            for reference, user_id, points in rows:
                yield PointEventRow(_heist_id(reference), user_id, points)

    def all_point_events(self) -> Iterable[PointEventRow]:
        events = PointEvent.objects.using(services.written_to()).filter(type__in=["HEIST_GAIN", "HEIST_LOSS"])
        for reference, user_id, points in events.values_list("reference", "user_id", "points").iterator():
            yield PointEventRow(_heist_id(reference), user_id, points)

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
        profiles = PlayerProfile.objects.using(services.written_to()).filter(month__gte=current_month())
        months = dict(profiles.filter(user__in=player_ids).values_list("user", "month"))
        sums = self._ledger(player_ids)
        return {user: sums.get((user, month), 0) for user, month in months.items()}

    def monthly_balances(self, player_ids: Collection[Any]) -> Iterable[MonthlyBalance]:
        using = services.written_to()
        standings = MonthlyStanding.objects.using(using).filter(player__in=player_ids)
        profiles = PlayerProfile.objects.using(using).filter(user__in=player_ids)
        kept: Counter[tuple[Any, dt.date]] = Counter()
        for player, month, points in standings.values_list("player", "month", "points"):
            kept[player, month] += points
        for player, month, points in profiles.values_list("user", "month", "monthly_points"):
            kept[player, month] += points
        ledger = self._ledger(player_ids)
        for player, month in sorted({*kept, *ledger}):
            yield MonthlyBalance(player, month, kept[player, month], ledger.get((player, month), 0))

    def _ledger(self, player_ids: Collection[Any]) -> dict[tuple[Any, dt.date], int]:
        """Return the sums of these players' events, by player and month."""
        events = PointEvent.objects.using(services.written_to()).filter(user__in=player_ids).order_by()
        rows = events.values_list("user", "month").annotate(points=Sum("points"))
        # PostgreSQL adds up 64-bit integers as decimals.
        return {(user, month): int(points) for user, month, points in rows}


@lru_cache(maxsize=8)
def _players(month: dt.date) -> QuerySet[Any]:
    """Return the users with their points of this month or, by another host's clock, of a later one."""
    points = Case(
        When(player_profile__month__gte=month, then=F("player_profile__monthly_points")),
        default=0,
        output_field=BigIntegerField(),
    )
    return get_user_model().objects.annotate(monthly_points=points, joined_at=F("date_joined"))


@lru_cache(maxsize=8)
def _leaderboard(month: dt.date, *, may_be_ahead: bool) -> QuerySet[Any]:
    """Return the players with points, best first. PostgreSQL walks one month of the index profile_leaderboard.

    Where the next month may have begun by another host's clock, players of both months are merged, which sorts them.
    """
    of_month = {"player_profile__month__gte" if may_be_ahead else "player_profile__month": month}
    ranked = get_user_model().objects.filter(player_profile__monthly_points__gt=0, **of_month)
    return ranked.annotate(monthly_points=F("player_profile__monthly_points")).order_by("-monthly_points", "pk")


def _heist_id(reference: str) -> int:
    """Return the id of the heist that a point event's reference names; 0 for none."""
    kind, _colon, heist_id = reference.partition(":")
    return int(heist_id) if kind in REFERENCE_KINDS and heist_id.isdecimal() else 0
