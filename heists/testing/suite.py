"""The tests of the conformance suite."""

from __future__ import annotations

import datetime as dt
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.utils import timezone

from .. import conf, user_model
from ..choices import GrantReason, HeistStatus
from ..economy import Economy, get_economy
from ..models import Heist, HeistToken
from ..queries import facts
from ..rules import CLOCK_TOLERANCE, RULE_FIELDS, Rules, next_month
from ..services import execute_heist, grant_tokens
from ..services.after_migrate import seed_event_types
from .locks import OtherTransaction, can_lock
from .steps import EconomySteps


class EconomyConformance(EconomySteps):
    """The tests. Mix them into a TransactionTestCase and implement `make_player`."""

    def setUp(self) -> None:
        super().setUp()
        self.economy: Economy = get_economy()
        self.using = router.db_for_write(Heist)
        rules = {name.upper(): getattr(Rules(), name) for name in RULE_FIELDS if name != "time_zone"}
        overridden = self.settings(HEISTS={**settings.HEISTS, **rules, "ENABLED": True})
        overridden.enable()
        self.addCleanup(overridden.disable)
        # A TransactionTestCase empties every table, also those that migrations filled.
        seed_event_types()

    # players()

    def test_players_returns_active_and_inactive_users(self) -> None:
        active, inactive = self.make_player(30), self._inactive(self.make_player(20))

        found = self._points(active, inactive)

        self.assertEqual(found, {active.pk: 30, inactive.pk: 20})

    def test_players_returns_zero_for_a_user_without_a_balance(self) -> None:
        player = self._without_balance()

        self.assertEqual(self._points(player), {player.pk: 0}, "monthly_points is never null")

    def test_monthly_points_are_integers(self) -> None:
        player = self.make_player(30)

        self.assertIs(type(self._points(player)[player.pk]), int)

    def test_players_does_not_group(self) -> None:
        query = self.economy.players().query

        self.assertIsNone(query.group_by, "annotate a column or a Subquery: joins would multiply an aggregate")
        self.assertFalse(query.distinct)

    def test_players_returns_the_same_points_under_joins(self) -> None:
        attacker, victim = self.make_player(1000), self.make_player(900)
        for points in (10, 20, 30):
            self._saved_heist(attacker, victim, points)

        seen = facts.read(
            attacker.pk, [victim.pk], economy=self.economy, rules=Rules(), now=timezone.now(), using=self.using
        )

        self.assertEqual(seen.attacker.monthly_points, 1000)
        self.assertEqual(seen.victim(victim.pk).monthly_points, 900)

    def test_players_returns_current_points(self) -> None:
        attacker, victim = self.make_player(100), self.make_player(1000)
        players = self.economy.players().filter(pk=victim.pk)
        self.assertEqual(players.get().monthly_points, 1000)

        self._transfer(attacker, victim, 50)

        self.assertEqual(players.get().monthly_points, 950)

    def test_players_says_when_a_player_joined_or_nothing(self) -> None:
        player = self.make_player(30)
        seen = self.economy.players().using(self.using).get(pk=player.pk)

        # Optional: without it, no player is protected as a newcomer.
        if (joined_at := vars(seen).get("joined_at")) is not None:
            self.assertIsInstance(joined_at, dt.datetime, "annotate joined_at with a DateTimeField")
            self.assertIsNotNone(joined_at.tzinfo, "joined_at needs a time zone: set USE_TZ")
            self.assertLessEqual(joined_at, timezone.now() + CLOCK_TOLERANCE)

    # The month (docs/specification.md, "The month turns")

    def at(self, moment: dt.datetime) -> AbstractContextManager[Any]:
        """Return a context in which it is this moment. Override it where your economy asks another clock."""
        return mock.patch("django.utils.timezone.now", lambda: moment)

    def test_players_have_their_points_until_the_month_ends(self) -> None:
        player, ends_at = self.make_player(30), next_month(conf.rules(), timezone.now())

        with self.at(ends_at - dt.timedelta(microseconds=1)):
            found = self._points(player)

        self.assertEqual(found, {player.pk: 30})

    def test_players_have_no_points_when_a_month_begins(self) -> None:
        player, ends_at = self.make_player(30), next_month(conf.rules(), timezone.now())

        with self.at(ends_at):
            found = self._points(player)
            ranked = self.economy.leaderboard().using(self.using).filter(pk=player.pk)
            points = [row.monthly_points for row in ranked]

        if not self.economy.resets_monthly:
            self.assertEqual(found, {player.pk: 30}, "points that end with the month need resets_monthly = True")
            return
        reason = "points of an earlier month count as 0; where they never end, set resets_monthly = False"
        self.assertEqual(found, {player.pk: 0}, reason)
        self.assertIn(points, ([], [0]), reason)

    def test_nobody_is_robbed_of_an_earlier_months_points(self) -> None:
        attacker, victim = self.make_player(10), self.make_player(1000)
        grant_tokens(player=attacker, amount=1, reason=GrantReason.PROMOTION, source="conformance")

        with self.at(next_month(conf.rules(), timezone.now())):
            heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)

        if self.economy.resets_monthly:
            self.assertEqual((heist.points_stolen, heist.victim_points_before), (0, 0))
        else:
            self.assertEqual((heist.points_stolen, heist.victim_points_before), (50, 1000))

    def test_a_new_month_begins_at_zero_for_those_who_are_locked(self) -> None:
        attacker, victim = self.make_player(10), self.make_player(1000)

        with self.at(next_month(conf.rules(), timezone.now())):
            with transaction.atomic(using=self.using):
                self.economy.lock(attacker.pk, victim.pk)
            found = self._points(attacker, victim)

        left = {attacker.pk: 0, victim.pk: 0} if self.economy.resets_monthly else {attacker.pk: 10, victim.pk: 1000}
        self.assertEqual(found, left)

    # leaderboard()

    def test_leaderboard_orders_by_points_then_primary_key(self) -> None:
        players = [self.make_player(points) for points in (10, 30, 20, 30, 30)]
        own = [player.pk for player in players]

        ranked = list(self.economy.leaderboard().filter(pk__in=own))

        by_key = list(get_user_model()._default_manager.filter(pk__in=own).order_by("pk").values_list("pk", flat=True))
        points = {player.pk: player.monthly_points for player in ranked}
        self.assertEqual([player.pk for player in ranked], sorted(by_key, key=lambda pk: -points[pk]))
        self.assertEqual([player.monthly_points for player in ranked], [30, 30, 30, 20, 10])

    # lock()

    def test_lock_creates_a_missing_balance(self) -> None:
        attacker, victim = self._without_balance(), self.make_player(1000)

        self._transfer(attacker, victim, 50)

        self.assertEqual(self._points(attacker, victim), {attacker.pk: 50, victim.pk: 950})

    def test_lock_blocks_other_transactions(self) -> None:
        first, second = self._two_in_order()
        if not self._has_row_locks(first, second):
            return
        with OtherTransaction(self.using, first):
            self.assertFalse(can_lock(self.using, first), "lock() took no row lock: use select_for_update()")
            self.assertTrue(can_lock(self.using, second), "lock() locked a player who was not named")
        self.assertTrue(can_lock(self.using, first))

    def test_lock_locks_in_primary_key_order(self) -> None:
        first, second = self._two_in_order()
        if not self._has_row_locks(second, first):
            return
        for given in ((first, second), (second, first)):
            with (
                OtherTransaction(self.using, first) as holder,
                OtherTransaction(self.using, *given, blocked=True) as waiting,
            ):
                self.assertTrue(waiting.is_blocked(), "lock() did not wait for a player that is locked elsewhere.")
                # While it waits for the first lock, it must not hold the second.
                self.assertTrue(can_lock(self.using, second), "lock in primary-key order: add order_by()")
                waiting.finish()
                holder.finish()

    # transfer()

    def test_transfer_moves_exactly_the_points(self) -> None:
        attacker, victim = self.make_player(100), self.make_player(1000)

        self._transfer(attacker, victim, 50)

        self.assertEqual(self._points(attacker, victim), {attacker.pk: 150, victim.pk: 950})

    def test_transfer_writes_one_point_event_for_each_player(self) -> None:
        attacker, victim = self.make_player(100), self.make_player(1000)

        heist = self._transfer(attacker, victim, 50)

        if (events := self.economy.point_events([heist.pk])) is None:
            # None means that this host keeps no point events at all.
            self.assertIsNone(self.economy.point_events([heist.pk + 1]))
            return
        self.assertEqual(
            sorted((event.heist_id, str(event.player_id), event.points) for event in events),
            sorted([(heist.pk, str(attacker.pk), 50), (heist.pk, str(victim.pk), -50)]),
        )
        self.assertEqual(list(self.economy.point_events([heist.pk + 1]) or ()), [], "only those of the given heists")

    def test_transfer_is_rolled_back_with_the_heist(self) -> None:
        attacker, victim = self.make_player(100), self.make_player(1000)

        with transaction.atomic(using=self.using):
            heist = self._move(attacker, victim, 50)
            transaction.set_rollback(True, using=self.using)

        self.assertEqual(self._points(attacker, victim), {attacker.pk: 100, victim.pk: 1000})
        self.assertEqual(list(self.economy.point_events([heist.pk]) or ()), [])

    def test_transfer_raises_when_the_balance_is_too_low(self) -> None:
        attacker, victim = self.make_player(100), self.make_player(30)

        with self.assertRaises(Exception, msg="compare with the balance, or add a CHECK constraint"):  # noqa: B017
            self._transfer(attacker, victim, 50, victim_points=1000)

        self.assertEqual(self._points(attacker, victim), {attacker.pk: 100, victim.pk: 30})

    # give_back()

    def test_give_back_returns_exactly_the_points(self) -> None:
        attacker, victim = self.make_player(100), self.make_player(1000)
        if (heist := self._given_back(attacker, victim, 50, 30)) is None:
            return

        self.assertEqual(self._points(attacker, victim), {attacker.pk: 120, victim.pk: 980})
        if (events := self.economy.point_events([heist.pk])) is not None:
            self.assertEqual(
                sorted((str(event.player_id), event.points) for event in events if event.heist_id == heist.pk),
                sorted([(str(pk), n) for pk, ns in ((attacker.pk, (50, -30)), (victim.pk, (-50, 30))) for n in ns]),
                "two events of the heist, and two of its reversal, which are the other way",
            )

    def test_give_back_is_rolled_back_with_the_reversal(self) -> None:
        attacker, victim = self.make_player(100), self.make_player(1000)

        if self._given_back(attacker, victim, 50, 30, undo=True) is None:
            return

        self.assertEqual(self._points(attacker, victim), {attacker.pk: 150, victim.pk: 950})

    def test_give_back_raises_when_the_balance_is_too_low(self) -> None:
        attacker, victim = self.make_player(0), self.make_player(1000)
        if not self.economy.can_give_back:
            return

        with self.assertRaises(Exception, msg="compare with the balance, or add a CHECK constraint"):  # noqa: B017
            self._given_back(attacker, victim, 50, 60, attacker_points=100)

        self.assertEqual(self._points(attacker, victim), {attacker.pk: 50, victim.pk: 950})

    # coins

    def test_spend_coins_takes_the_coins(self) -> None:
        if (player := self._player_with_coins(80)) is None:
            return

        with transaction.atomic(using=self.using):
            self.economy.lock(player.pk)
            self.economy.spend_coins(player.pk, 50, reference="conformance")

        self.assertEqual(self.economy.coins(player.pk), 30)

    def test_spend_coins_raises_when_there_are_too_few(self) -> None:
        if (player := self._player_with_coins(80)) is None:
            return

        with self.assertRaises(Exception), transaction.atomic(using=self.using):  # noqa: B017
            self.economy.lock(player.pk)
            self.economy.spend_coins(player.pk, 81, reference="conformance")

        self.assertEqual(self.economy.coins(player.pk), 80)

    # name() and email()

    def test_name_is_never_an_email_address(self) -> None:
        player = self.make_player(0)

        name = self.economy.name(player)

        self.assertTrue(name)
        self.assertNotIn("@", name)
        self.assertNotIn("@", self.economy.name(self._with_address_as_name(player)))

    def test_names_returns_the_name_of_each_player(self) -> None:
        players = [self.make_player(0), self.make_player(0), self._without_balance()]

        names = self.economy.names(players)

        self.assertEqual(names, {player.pk: self.economy.name(player) for player in players})

    def test_search_players_finds_a_player_by_name(self) -> None:
        player = self.make_player(0)
        name = self.economy.name(player)
        default = type(self.economy).search_players is Economy.search_players
        if default and name != user_model.username(player):
            return  # The default searches user names, and this one is not shown.

        for found in (self.economy.search_players(name, exact=True), self.economy.search_players(name[:2])):
            if found is not None:
                self.assertIn(player.pk, [row.pk for row in found])
                self.assertTrue(found.ordered, "search_players() has to order the players by name.")
        for text in (f"{name} and more", name[:-1]):
            if (found := self.economy.search_players(text, exact=True)) is not None:
                self.assertNotIn(player.pk, [row.pk for row in found], "with exact=True, the name has to be the text")

    def test_email_is_an_address_or_empty(self) -> None:
        address = self.economy.email(self.make_player(0))

        self.assertIsInstance(address, str)
        self.assertTrue(address == "" or "@" in address)

    # The services

    def test_execute_heist_with_this_economy(self) -> None:
        attacker, victim = self.make_player(100), self.make_player(1000)
        grant_tokens(player=attacker, amount=1, reason=GrantReason.PROMOTION, source="conformance")

        heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
        again = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)

        self.assertEqual((heist.status, heist.points_stolen), (HeistStatus.SUCCESS, 50))
        self.assertEqual(again.status, HeistStatus.FAILED_INSUFFICIENT_TOKENS)
        self.assertEqual(self._points(attacker, victim), {attacker.pk: 150, victim.pk: 950})
        self.assertEqual(HeistToken.objects.get(user=attacker).balance, 0)
