"""The economy: the one class that a host writes (docs/specification.md, "The two apps").

The host owns players' points and coins; heists never reads or writes those tables itself. A host subclasses `Economy`
and names the class in `HEISTS["ECONOMY"]`. The docstring of each method states what it must read, lock and guarantee.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import EmailField, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_noop

from . import conf, user_model
from .errors import NoCoins, NoReversals
from .messages import fill
from .rules import CLOCK_TOLERANCE as CLOCK_TOLERANCE
from .rules import month_of

if TYPE_CHECKING:
    from .models import Heist, Reversal

# The primary key of a user: an integer, a UUID or text.
PlayerId = Hashable

UNNAMED_PLAYER = gettext_noop("Player %(id)s")


class PointEventRow(NamedTuple):
    """One point event that the host wrote for a heist or its reversal, as `audit_heists` compares it with the heist."""

    heist_id: int
    player_id: PlayerId
    points: int


class ShieldPayment(NamedTuple):
    """What a player paid for a shield by the host's own records, as `audit_heists` compares it with the shield."""

    shield_id: int
    player_id: PlayerId
    coins: int


class MonthlyBalance(NamedTuple):
    """A player's points of one month as the host keeps them, and the sum of that month's ledger."""

    player_id: PlayerId
    month: dt.date
    points: int
    ledger: int


def current_month(at: dt.datetime | None = None) -> dt.date:
    """Return the first day of the calendar month, in the site's time zone, that has begun at `at`, by default now.

    A month begins at the earliest instant whose local date lies in it, also where clocks are set forward or back over
    midnight (docs/specification.md, "The month turns").
    """
    return month_of(settings.TIME_ZONE, at or timezone.now())


class Economy:
    """How heists reads, locks and moves the balances of a host's players.

    Write `players`, `lock` and `transfer`. For a shield shop, also set `has_coins` and write `coins` and `spend_coins`.
    So that staff can return the points of a heist, also write `give_back`.
    """

    has_coins = False
    # Whether everybody's monthly points are 0 from the moment a calendar month begins (see `current_month`).
    resets_monthly = True

    def players(self) -> QuerySet[Any]:
        """Return all users, active or not, annotated with `monthly_points` (an integer, never null).

        Optionally also with `joined_at`, when each joined (a DateTimeField; null where unknown): without it, nobody is
        protected as a newcomer.

        It is called again for each operation, and points of an earlier month count as 0 then.

        Annotate a column or a `Subquery`: an aggregate over a join would be multiplied by the joins that heists adds.
        """
        raise NotImplementedError

    def leaderboard(self) -> QuerySet[Any]:
        """Return the players of this month's leaderboard, most points first; ties in primary-key order.

        Players without points may be left out.
        """
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

    @property
    def can_give_back(self) -> bool:
        """Whether `give_back` is written. Without it, the admin offers no reversals."""
        return type(self).give_back is not Economy.give_back

    def give_back(self, reversal: Reversal) -> None:
        """Move `reversal.points_returned` monthly points back from the attacker of `reversal.heist` to the victim.

        The opposite of `transfer`, and called like it: the reversal is saved, its `*_points_before` are the locked
        balances, and its `*_points_after` the new ones. Write one point event for each player: HEIST_GAIN with minus
        the points for the attacker, HEIST_LOSS with the points for the victim. An exception rolls everything back.
        """
        raise NoReversals

    def coins(self, player_id: PlayerId) -> int:
        """Return how many coins this player has."""
        raise NoCoins

    def spend_coins(self, player_id: PlayerId, amount: int, *, reference: str) -> None:
        """Take `amount` coins from a player and write a ledger entry with `reference`.

        Called inside the transaction that holds `lock` on the player, after `coins` returned enough.
        """
        raise NoCoins

    def point_events(self, heist_ids: Iterable[int]) -> Iterable[PointEventRow] | None:
        """Return the point events of these heists and of their reversals, for the audit and the heist's page.

        None where the host keeps none.
        """
        return None

    def all_point_events(self) -> Iterable[PointEventRow] | None:
        """Return the point events of all heists and reversals, for the audit; None where the host cannot list them.

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

    def monthly_balances(self, player_ids: Collection[PlayerId]) -> Iterable[MonthlyBalance] | None:
        """Return these players' points of each month, past ones too, for the audit; None where none are kept.

        A month is included where the host keeps points of it, or its ledger has entries in it.
        """
        return None

    def name(self, player: Any) -> str:
        """Return the player's name, as shown to other players; never an email address or a part of one.

        By default the user name, or "Player" with a number where that is empty or an address.
        """
        name = user_model.username(player)
        if not name or user_model.may_be_address(name):
            return fill(UNNAMED_PLAYER, {"id": user_model.public_id(player.pk)})
        return name

    def names(self, players: Iterable[Any]) -> dict[PlayerId, str]:
        """Return the names of the players on a page, by primary key; each as `name` returns it.

        Override it where names are in another table, so that a page costs one query instead of one a row.
        """
        return {player.pk: self.name(player) for player in players}

    @property
    def shows_user_names(self) -> bool:
        """Whether players see user names: neither `name` nor `names` is overridden."""
        return type(self).name is Economy.name and type(self).names is Economy.names

    def search_players(self, text: str, *, exact: bool = False) -> QuerySet[Any] | None:
        """Return the users whose name begins with `text`, or is `text`, ordered by their names (`order_by`).

        Names are those that `name` returns, so that a search finds what players read and never an address. heists
        filters the queryset further and reads it in pages. None where names can't be searched: override it together
        with `name`, with columns that are indexed. By default it searches the user names, if `name` is not overridden.
        """
        field = user_model.username_field()
        if not self.shows_user_names or field is None or isinstance(field, EmailField):
            return None
        users, spellings = get_user_model()._default_manager.order_by(field.name, "pk"), user_model.spellings(text)
        if exact and not user_model.may_be_address(text):
            return users.filter(**{f"{field.name}__in": spellings})
        if getattr(field, "db_collation", None) and not exact:
            # It may be nondeterministic, and PostgreSQL has no LIKE for such columns.
            return None
        if exact or not text or not spellings:
            return users.none()
        # The last is the form in which sign-up stores names. A name with an at sign is not shown.
        begins = users.filter(**{f"{field.name}__startswith": spellings[-1]})
        return begins.exclude(**{f"{field.name}__contains": "@"})

    def email(self, player: Any) -> str:
        """Return the player's email address; empty for none."""
        return str(getattr(player, user_model.email_field_name(), "") or "")

    def language(self, player: Any) -> str | None:
        """Return the language code of the player's emails; None for the site's default."""
        return None


def get_economy() -> Economy:
    """Return a new instance of the host's economy; it may keep state for one service call.

    Raises ImproperlyConfigured where `HEISTS["ECONOMY"]` is not set.
    """
    economy: Economy = import_string(conf.economy())()
    return economy
