"""The players and the steps of the conformance tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import connections, transaction

from .. import user_model
from ..choices import HeistStatus
from ..economy import Economy
from ..errors import NoCoins, NoReversals
from ..models import Heist, HeistToken, Reversal, RuleSet
from ..rules import Rules

if TYPE_CHECKING:
    from django.test import TransactionTestCase as Base
else:
    Base = object


class EconomySteps(Base):
    """Makes players, and moves points as the services do. The tests are in `suite`."""

    economy: Economy
    using: str

    def make_player(self, points: int, coins: int = 0) -> Any:
        """Return a new active user with these monthly points (and coins, where the economy has coins)."""
        raise NotImplementedError

    def make_player_without_balance(self) -> Any:
        """Return a user who has no balance row yet; None where every user has one from the start."""
        return None

    def _points(self, *players: Any) -> dict[Any, Any]:
        rows = self.economy.players().using(self.using).filter(pk__in=[player.pk for player in players])
        return {row.pk: row.monthly_points for row in rows}

    def _inactive(self, player: Any) -> Any:
        if user_model.has_active_field():
            get_user_model()._default_manager.filter(pk=player.pk).update(is_active=False)
        return player

    def _without_balance(self) -> Any:
        # Where every user has a balance from the start, a new player is one with nothing on it.
        return self.make_player_without_balance() or self.make_player(0)

    def _player_with_coins(self, coins: int) -> Any:
        """Return a player with this many coins; None where the economy has no coins and raises NoCoins."""
        if not self.economy.has_coins:
            player = self.make_player(0)
            with self.assertRaises(NoCoins):
                self.economy.coins(player.pk)
            with self.assertRaises(NoCoins):
                self.economy.spend_coins(player.pk, coins, reference="conformance")
            return None
        player = self.make_player(0, coins=coins)
        self.assertEqual(self.economy.coins(player.pk), coins)
        return player

    def _with_address_as_name(self, player: Any) -> Any:
        if field := user_model.username_field():
            setattr(player, field.attname, "somebody@example.com")
        return player

    def _saved_heist(self, attacker: Any, victim: Any, points: int, victim_points: int | None = None) -> Heist:
        """Insert a heist as `execute_heist` does, with the current balances. Moves nothing."""
        before = self._points(attacker, victim)
        loser = before[victim.pk] if victim_points is None else victim_points
        token, _created = HeistToken.objects.using(self.using).get_or_create(user=attacker)
        heist: Heist = Heist.objects.using(self.using).create(
            attacker=attacker,
            attacker_token=token,
            victim=victim,
            rule_set=RuleSet.objects.using(self.using).in_force(Rules()),
            status=HeistStatus.SUCCESS,
            token_spent=True,
            points_stolen=points,
            victim_points_before=loser,
            victim_points_after=loser - points,
            attacker_points_before=before[attacker.pk],
            attacker_points_after=before[attacker.pk] + points,
        )
        return heist

    def _move(self, attacker: Any, victim: Any, points: int, victim_points: int | None = None) -> Heist:
        self.economy.lock(attacker.pk, victim.pk)
        heist = self._saved_heist(attacker, victim, points, victim_points)
        self.economy.transfer(heist)
        return heist

    def _transfer(self, attacker: Any, victim: Any, points: int, victim_points: int | None = None) -> Heist:
        with transaction.atomic(using=self.using):
            return self._move(attacker, victim, points, victim_points)

    def _given_back(
        self,
        attacker: Any,
        victim: Any,
        stolen: int,
        returned: int,
        *,
        attacker_points: int | None = None,
        undo: bool = False,
    ) -> Heist | None:
        """Move points and give some of them back, as `reverse_heist` does; None where the economy can't.

        `attacker_points` is what the reversal says that the attacker has; `undo` rolls the reversal back.
        """
        if not self.economy.can_give_back:
            with self.assertRaises(NoReversals):
                self.economy.give_back(Reversal())
            return None
        heist = self._transfer(attacker, victim, stolen)
        with transaction.atomic(using=self.using):
            self.economy.lock(attacker.pk, victim.pk)
            points = self._points(attacker, victim)
            had = points[attacker.pk] if attacker_points is None else attacker_points
            reversal = Reversal(
                heist=heist,
                points_returned=returned,
                attacker_points_before=had,
                attacker_points_after=had - returned,
                victim_points_before=points[victim.pk],
                victim_points_after=points[victim.pk] + returned,
                reason="conformance",
            )
            reversal.save(using=self.using)
            self.economy.give_back(reversal)
            transaction.set_rollback(undo, using=self.using)
        return heist

    def _two_in_order(self) -> tuple[Any, Any]:
        """Return the primary keys of two new players, in the order of the database."""
        pks = [self._without_balance().pk for _ in range(2)]
        first, second = get_user_model()._default_manager.filter(pk__in=pks).order_by("pk").values_list("pk", flat=True)
        return first, second

    def _has_row_locks(self, *player_ids: Any) -> bool:
        """Call lock() for one player after the other, and return whether this database has row locks to observe."""
        users = get_user_model()
        for player_id in player_ids:
            with transaction.atomic(using=self.using):
                self.economy.lock(player_id)
                # Balances are now stored in this order, in a table of their own or with the users.
                users._base_manager.using(self.using).filter(pk=player_id).update(**{users._meta.pk.name: player_id})
        return connections[self.using].vendor == "postgresql"
