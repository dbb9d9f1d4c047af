"""What a host's economy adds so that `seed_heists --demo` can fill the host's own tables.

Optional: an economy without it plays as well, and only the demo says that it can't be built. Let the economy inherit
from `DemoEconomy` besides `Economy`, and write its methods with the given `Bulk` or with the ORM.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..rules import Loss, Raid
from .bulk import Bulk


@dataclass(slots=True, eq=False)
class DemoPlayer:
    """One invented player: who they are, and where they stand in the game."""

    name: str
    joined_at: dt.datetime
    email: str = ""
    # Who may sign in, with a password that everybody knows; None for nobody.
    password: str | None = None
    staff: bool = False
    active: bool = True
    referrer: DemoPlayer | None = None
    # Earned and awarded before the first heist.
    starting_points: int = 0
    starting_coins: int = 0
    # The primary key, which the host fills in.
    key: Any = None

    # What the game made of it: at the end, what the host's balances have to be.
    points: int = 0
    coins: int = 0

    # The game's own business.
    tokens: int = 0
    tokens_earned: int = 0
    tokens_spent: int = 0
    has_token_row: bool = False
    last_earned_at: dt.datetime | None = None
    last_spent_at: dt.datetime | None = None
    raids: tuple[Raid, ...] = ()
    losses: tuple[Loss, ...] = ()
    drained_until: dt.datetime | None = None
    shield: DemoShield | None = None
    raider: bool = True
    prey: bool = True


@dataclass(slots=True, eq=False)
class DemoShield:
    """One invented shield, until its row is written."""

    id: int
    player: DemoPlayer
    bought_at: dt.datetime
    expires_at: dt.datetime
    closed: bool = False
    # Where it stands among those that an attacker may run into.
    place: int | None = None


class DemoTransfer(NamedTuple):
    """Points that one successful heist moved."""

    heist_id: int
    attacker: DemoPlayer
    victim: DemoPlayer
    points: int
    at: dt.datetime


class DemoPurchase(NamedTuple):
    """Coins that one shield cost; `reference` is what the shop would have handed to `spend_coins`."""

    player: DemoPlayer
    coins: int
    reference: str
    at: dt.datetime


class DemoEconomy:
    """The hooks of the demo, all called inside its one transaction."""

    def create_demo_players(self, players: Sequence[DemoPlayer], bulk: Bulk) -> None:
        """Create the users, and fill in each player's `key`. Raises DemoRefused where a name is taken."""
        raise NotImplementedError

    def record_demo_transfers(self, transfers: Sequence[DemoTransfer], bulk: Bulk) -> None:
        """Write the point events of these heists, and move nothing: the balances come at the end."""
        raise NotImplementedError

    def record_demo_purchases(self, purchases: Sequence[DemoPurchase], bulk: Bulk) -> None:
        """Write the ledger lines of these shields. Never called where the economy has no coins."""
        raise NotImplementedError

    def settle_demo_players(self, players: Sequence[DemoPlayer], bulk: Bulk) -> None:
        """Write the balances: `starting_points` as earned, `points` as this month's, `coins`; and who referred whom."""
        raise NotImplementedError
