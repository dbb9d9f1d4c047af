"""What the rules have to know of a few players, read from the database in one statement.

The preview and the target list read it as it stands; the execution reads it once to see whether a lock is worth
taking, and once more behind the lock, where the answer counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import F, FilteredRelation, Q, QuerySet

from . import rules
from .choices import HeistStatus
from .errors import UnknownPlayer
from .models import HeistToken

if TYPE_CHECKING:
    from .economy import Economy


@dataclass(slots=True)
class Player:
    """One player as read: the user, their points, token row and live shield, and what happened to them lately."""

    user: Any
    monthly_points: int
    token: HeistToken | None
    shield_id: int | None
    raids: list[rules.Raid] = field(default_factory=list)
    losses: list[rules.Loss] = field(default_factory=list)

    @property
    def active(self) -> bool:
        return bool(getattr(self.user, "is_active", True))

    def as_attacker(self) -> rules.Attacker:
        balance, spent = (self.token.balance, self.token.last_spent_at) if self.token else (0, None)
        return rules.Attacker(self.user.pk, balance, spent, tuple(self.raids))

    def as_victim(self) -> rules.Victim:
        return rules.Victim(self.user.pk, self.active, self.monthly_points, tuple(self.losses))


@dataclass(slots=True)
class Facts:
    """An attacker and possible victims at one moment, under one set of rules."""

    numbers: rules.Rules
    now: dt.datetime
    attacker: Player
    players: dict[Any, Player]

    def victim(self, player_id: Any) -> Player:
        """Return the player of this id. Raises UnknownPlayer where it is nobody's."""
        try:
            return self.players[player_id]
        except KeyError:
            raise UnknownPlayer from None

    def refusals(self, victim: Player) -> Iterator[rules.Refusal]:
        """Yield every rule that stands between the attacker and this victim; the first one is the answer."""
        return rules.refusals(self.numbers, self.attacker.as_attacker(), victim.as_victim(), self.now)

    def amount(self, victim: Player) -> int:
        """The points a heist on this victim takes now."""
        return rules.amount(self.numbers, victim.as_victim(), self.now)


@dataclass(slots=True)
class Question:
    """The query for the facts about an attacker and possible victims, built once, to be asked as often as needed.

    Building it costs more than the database takes to answer it, and the execution asks twice.
    """

    attacker_id: Any
    numbers: rules.Rules
    rows: QuerySet[Any]
    of_oneself: bool

    def ask(self, now: dt.datetime) -> Facts:
        """Read the facts at `now`, in one statement.

        Raises UnknownPlayer where the attacker's id is nobody's; victims who are nobody's are simply missing.
        """
        players: dict[Any, Player] = {}
        # A player stands in as many rows as there are raids and losses to tell of.
        for user in self.rows.all():
            player = players.get(user.pk)
            if player is None:
                token = getattr(user, "heist_token", None)
                live = user.shield_expires_at is not None and user.shield_expires_at > now
                player = Player(user, user.monthly_points, token, user.shield_id if live else None)
                players[user.pk] = player
            if user.raid_at is not None:
                player.raids.append(rules.Raid(user.raid_victim_id, user.raid_at))
            if user.loss_at is not None:
                player.losses.append(rules.Loss(user.loss_points, user.loss_at))
        if self.attacker_id not in players:
            raise UnknownPlayer
        if self.of_oneself:
            # Only here are raids and losses joined to the same row, each raid with each loss.
            me = players[self.attacker_id]
            me.raids, me.losses = list(dict.fromkeys(me.raids)), list(dict.fromkeys(me.losses))
        return Facts(self.numbers, now, players[self.attacker_id], players)


def question(
    attacker_id: Any,
    victim_ids: Collection[Any],
    *,
    economy: Economy,
    numbers: rules.Rules,
    now: dt.datetime,
    using: str,
) -> Question:
    """Return the query for an attacker and any number of victims, to be asked at `now` or later."""
    rows = (
        economy.players()
        .using(using)
        .filter(pk__in={attacker_id, *victim_ids})
        .select_related("heist_token")
        .annotate(
            raid=FilteredRelation(
                "heists_as_attacker",
                condition=Q(
                    heists_as_attacker__attacker=attacker_id,
                    heists_as_attacker__token_spent=True,
                    heists_as_attacker__created_at__gte=rules.raids_since(numbers, now),
                ),
            ),
            loss=FilteredRelation(
                "heists_as_victim",
                condition=Q(
                    heists_as_victim__victim__in=victim_ids,
                    heists_as_victim__token_spent=True,
                    heists_as_victim__status=HeistStatus.SUCCESS,
                    heists_as_victim__created_at__gte=rules.losses_since(numbers, now),
                ),
            ),
            shield=FilteredRelation(
                "heist_shields", condition=Q(heist_shields__used_at=None, heist_shields__expired_at=None)
            ),
        )
        .annotate(
            raid_victim_id=F("raid__victim"),
            raid_at=F("raid__created_at"),
            loss_points=F("loss__points_stolen"),
            loss_at=F("loss__created_at"),
            shield_id=F("shield__pk"),
            shield_expires_at=F("shield__expires_at"),
        )
    )
    return Question(attacker_id, numbers, rows, of_oneself=attacker_id in victim_ids)


def read(
    attacker_id: Any,
    victim_ids: Collection[Any],
    *,
    economy: Economy,
    numbers: rules.Rules,
    now: dt.datetime,
    using: str,
) -> Facts:
    """Read the facts once; see `Question.ask`."""
    return question(attacker_id, victim_ids, economy=economy, numbers=numbers, now=now, using=using).ask(now)


def has_active_field() -> bool:
    """Whether the host's user model stores `is_active`, so that a query can ask for it."""
    return any(f.name == "is_active" for f in get_user_model()._meta.concrete_fields)
