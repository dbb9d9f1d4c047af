"""Reads what a player sees of themselves on one screen (docs/specification.md, "HTTP API").

It takes no lock. Nothing in it changes by itself, except at a moment that it names: so an answer that is built from it
stays the same until something happens.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import router
from django.utils import timezone

from .. import in_force
from ..choices import FailureCode
from ..economy import Economy
from ..errors import FeatureDisabled
from ..models import Heist, HeistToken, Truce
from ..rules import (
    Attacker,
    Failure,
    Rules,
    Victim,
    ahead,
    amount,
    cooldown_ends_at,
    failures,
    heists_left_today,
    loss_left,
    lost_this_month,
    newcomer_ends_at,
    next_month,
    protection_ends_at,
)
from ..user_model import player_key
from . import facts, truces
from .preview import Reason
from .truces import TruceState

# Whether the attacker has room for the gain depends on the victim.
ATTACKER_CODES = frozenset(FailureCode.of_attacker()) - {FailureCode.BALANCE_FULL}
VICTIM_CODES = frozenset(FailureCode.of_victim())


@dataclass(frozen=True, slots=True)
class Me:
    """A player's own state at one moment, under the rules in force. `coins` is None where the site has none."""

    user: Any
    rules: Rules
    now: dt.datetime
    enabled: bool
    attacker: Attacker
    victim: Victim
    token: HeistToken
    coins: int | None
    shield_expires_at: dt.datetime | None
    unread_count: int

    @property
    def cooldown_ends_at(self) -> dt.datetime | None:
        return ahead(cooldown_ends_at(self.rules, self.token.last_spent_at), self.now)

    @property
    def heists_left_today(self) -> int:
        return heists_left_today(self.rules, self.attacker, self.now)

    @property
    def protected_until(self) -> dt.datetime | None:
        return ahead(protection_ends_at(self.rules, self.victim), self.now)

    @property
    def newcomer_until(self) -> dt.datetime | None:
        return ahead(newcomer_ends_at(self.rules, self.victim), self.now)

    @property
    def potential_points(self) -> int:
        """The points that a heist on this player would take now, whether or not a rule fails."""
        return amount(self.rules, self.victim, self.now)

    @property
    def lost_this_month(self) -> int:
        return lost_this_month(self.rules, self.victim, self.now)

    @property
    def loss_left(self) -> int:
        """The points that the loss limit leaves for this month."""
        return max(0, loss_left(self.rules, self.victim, self.now))

    @property
    def month_ends_at(self) -> dt.datetime:
        return next_month(self.rules, self.now)

    @property
    def truce(self) -> TruceState:
        """The truce that this player has now or will have, and when a wish takes effect."""
        newest = max(self.victim.truces, key=lambda truce: truce.starts_at, default=None)
        return truces.state(newest and Truce(**newest._asdict()), self.rules, self.now)

    @property
    def attacker_reason(self) -> Reason | None:
        """Why this player can rob nobody now; None where it depends on the victim alone."""
        return self._first_reason(ATTACKER_CODES)

    @property
    def victim_reason(self) -> Reason | None:
        """Why nobody can rob this player now; None where it depends on the attacker alone. A shield is no reason."""
        return self._first_reason(VICTIM_CODES)

    def _first_reason(self, codes: Collection[FailureCode]) -> Reason | None:
        if not self.enabled:
            return Reason(FeatureDisabled.code)
        found: Failure | None = next(
            (f for f in failures(self.rules, self.attacker, self.victim, self.now) if f.code in codes), None
        )
        return Reason(found.code.value, found.retry_at, found.details) if found else None


def read(player_id: Any, *, economy: Economy) -> Me:
    """Read a player's own state, in one statement and the economy's for the coins. Raises UnknownPlayer.

    The coins are read where they are spent, and the rules where they are changed; the rest may lag behind a replica.
    """
    player_id = player_key(player_id)
    changes, now = in_force.changes(), timezone.now()
    rules = changes.rules(now)
    seen = facts.read_own(player_id, economy=economy, rules=rules, now=now, using=router.db_for_read(Heist))
    me = seen.attacker
    return Me(
        user=me.user,
        rules=rules,
        now=now,
        enabled=changes.enabled(now),
        attacker=me.as_attacker(),
        victim=me.as_victim(),
        token=me.token or HeistToken(),
        coins=economy.coins(player_id) if economy.has_coins else None,
        shield_expires_at=me.user.shield_expires_at if me.shield_id else None,
        unread_count=me.user.unread_count,
    )
