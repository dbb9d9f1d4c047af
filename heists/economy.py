"""Where heists meets its host: the economy (spec section 2).

The host owns players' points and coins; heists never touches those tables. A host subclasses `Economy` and names the
class in `HEISTS["ECONOMY"]`. Each method below says what it must read, lock and promise.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.auth import get_user_model
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from . import conf
from .errors import NoCoins

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from .models import Heist

    PlayerId = Hashable


class PointEventRow(NamedTuple):
    """One point event a host wrote for a heist, as `audit_heists` compares it with the heist."""

    heist_id: int
    player_id: PlayerId
    points: int


class Economy:
    """What a host tells heists about its players' balances.

    Write `players`, `lock` and `transfer`; add `coins` and `spend_coins` (and set `has_coins`) to open the shield shop.
    """

    has_coins = False

    def players(self) -> QuerySet[Any]:
        """Every user, active or not, annotated with `monthly_points` (an integer, never null).

        Annotate a column or a `Subquery`; an aggregate over a join would be multiplied by the joins heists adds.
        """
        raise NotImplementedError

    def leaderboard(self) -> QuerySet[Any]:
        """The players who stand on this month's leaderboard, best first; ties in primary-key order."""
        return self.players().order_by("-monthly_points", "pk")

    def lock(self, *player_ids: PlayerId) -> None:
        """Lock these players' balances until the transaction ends, in primary-key order.

        Called inside a transaction. Whatever changes a player's points or coins must wait for this lock, and a player
        who has no balance row yet must have one afterwards.
        """
        raise NotImplementedError

    def transfer(self, heist: Heist) -> None:
        """Move `heist.points_stolen` monthly points from the victim to the attacker, writing one event for each.

        Called inside the transaction that holds `lock` on both. The heist is saved, and its `*_points_before` are the
        locked balances, its `*_points_after` what they have to become. Anything raised undoes the whole heist.
        """
        raise NotImplementedError

    def coins(self, player_id: PlayerId) -> int:
        """How many coins this player has."""
        raise NoCoins

    def spend_coins(self, player_id: PlayerId, amount: int, *, reference: str) -> None:
        """Take `amount` coins from a player, writing a ledger line that carries `reference`.

        Called inside the transaction that holds `lock` on the player, after `coins` said that there are enough.
        """
        raise NoCoins

    def point_events(self, heist_ids: Iterable[int]) -> Iterable[PointEventRow] | None:
        """The point events written for these heists, for the audit; None where the host keeps none."""
        return None

    def name(self, player: Any) -> str:
        """What other players may read as this player's name; never an e-mail address (spec section 5)."""
        name = str(player.get_username())
        if not name or "@" in name:
            return _("Player %(id)s") % {"id": str(player.pk)[:8]}
        return name

    def email(self, player: Any) -> str:
        """Where this player's letters go; empty for nowhere."""
        return getattr(player, get_user_model().get_email_field_name(), "") or ""

    def language(self, player: Any) -> str | None:
        """The language code this player's letters are written in; None for the site's own."""
        return None


def get_economy() -> Economy:
    """Return the host's economy, built anew each time so that it may keep state for one deed.

    Raises ImproperlyConfigured where `HEISTS["ECONOMY"]` names none.
    """
    economy: Economy = import_string(conf.economy())()
    return economy
