"""The economy: the one class that a host writes (docs/specification.md, "The two apps").

The host owns players' points and coins; heists never reads or writes those tables itself. A host subclasses `Economy`
and names the class in `HEISTS["ECONOMY"]`. Each method below says what it must read, lock and guarantee.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from . import conf
from .errors import NoCoins

if TYPE_CHECKING:
    from .models import Heist

# The primary key of a user: an integer, a UUID or text.
PlayerId = Hashable


class PointEventRow(NamedTuple):
    """One point event that the host wrote for a heist, as `audit_heists` compares it with the heist."""

    heist_id: int
    player_id: PlayerId
    points: int


class ShieldPayment(NamedTuple):
    """What a player paid for a shield by the host's own records, as `audit_heists` compares it with the shield."""

    shield_id: int
    player_id: PlayerId
    coins: int


class Economy:
    """How heists reads, locks and moves the balances of a host's players.

    Write `players`, `lock` and `transfer`. For a shield shop, also set `has_coins` and write `coins` and `spend_coins`.
    """

    has_coins = False

    def players(self) -> QuerySet[Any]:
        """Return all users, active or not, annotated with `monthly_points` (an integer, never null).

        Annotate a column or a `Subquery`: an aggregate over a join would be multiplied by the joins that heists adds.
        """
        raise NotImplementedError

    def leaderboard(self) -> QuerySet[Any]:
        """Return the players of this month's leaderboard, most points first; ties in primary-key order."""
        return self.players().order_by("-monthly_points", "pk")

    def lock(self, *player_ids: PlayerId) -> None:
        """Lock these players' balances until the transaction ends, in primary-key order.

        Called inside a transaction. All code that changes a player's points or coins must wait for this lock. A player
        without a balance row must have one afterwards.
        """
        raise NotImplementedError

    def transfer(self, heist: Heist) -> None:
        """Move `heist.points_stolen` monthly points from the victim to the attacker; write one point event for each.

        Called inside the transaction that holds `lock` on both. The heist is saved: its `*_points_before` are the
        locked balances, and its `*_points_after` the new ones. An exception rolls the whole heist back.
        """
        raise NotImplementedError

    def coins(self, player_id: PlayerId) -> int:
        """Return how many coins this player has."""
        raise NoCoins

    def spend_coins(self, player_id: PlayerId, amount: int, *, reference: str) -> None:
        """Take `amount` coins from a player and write a ledger entry with `reference`.

        Called inside the transaction that holds `lock` on the player, after `coins` returned enough.
        """
        raise NoCoins

    def point_events(self, heist_ids: Iterable[int]) -> Iterable[PointEventRow] | None:
        """Return the point events of these heists, for the audit; None where the host keeps none."""
        return None

    def all_point_events(self) -> Iterable[PointEventRow] | None:
        """Return the point events of all heists, for the audit; None where the host cannot list them.

        It is also read once when the tables of heists are created, so that a heist never gets the id of one that an
        earlier installation wrote events for. An event that names no heist has the id 0. A large site returns an
        iterator.
        """
        return None

    def shield_payments(self, shield_ids: Iterable[int]) -> Iterable[ShieldPayment] | None:
        """Return what was paid for these shields (reference `shield:<id>`), for the audit; None where unknown."""
        return None

    def ledger_balances(self, player_ids: Collection[PlayerId]) -> Mapping[PlayerId, int] | None:
        """Return the monthly points of these players by the host's own ledger; None where there is no ledger.

        A player who is missing has 0. The audit compares them with `players()`.
        """
        return None

    def name(self, player: Any) -> str:
        """Return the player's name as other players read it; never an email address."""
        name = str(player.get_username())
        if not name or "@" in name:
            return _("Player %(id)s") % {"id": str(player.pk)[:8]}
        return name

    def email(self, player: Any) -> str:
        """Return the player's email address; empty for none."""
        return getattr(player, get_user_model().get_email_field_name(), "") or ""

    def language(self, player: Any) -> str | None:
        """Return the language code of the player's emails; None for the site's default."""
        return None


def get_economy() -> Economy:
    """Return a new instance of the host's economy; it may keep state for one service call.

    Raises ImproperlyConfigured where `HEISTS["ECONOMY"]` is not set.
    """
    economy: Economy = import_string(conf.economy())()
    return economy
