"""What the rules have to know of a few players, read from the database in one statement.

The preview and the target list read it as it stands; the execution reads it once to see whether a lock is worth
taking, and once more behind the lock, where the answer counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import EmptyResultSet
from django.db.models import DateTimeField, F, FilteredRelation, Q, QuerySet

from . import rules
from .choices import HeistStatus
from .errors import UnknownPlayer
from .models import HeistToken
from .prepared import Given, Prepared

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
    """The query for the facts about an attacker and possible victims, to be asked as often as needed."""

    attacker_id: Any
    numbers: rules.Rules
    statement: Prepared
    values: dict[str, Any]
    of_oneself: bool

    def ask(self, now: dt.datetime) -> Facts:
        """Read the facts at `now`, in one statement.

        Raises UnknownPlayer where the attacker's id is nobody's; victims who are nobody's are simply missing.
        """
        players: dict[Any, Player] = {}
        # A player stands in as many rows as there are raids and losses to tell of.
        for user in self.statement.ask(self.values):
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
    """Return the query for an attacker and any number of victims, to be asked at `now` or later.

    Raises UnknownPlayer where the economy knows beforehand that there are no players at all.
    """
    values = {
        "attacker": attacker_id,
        "victims": [*victim_ids],
        "players": [attacker_id, *victim_ids],
        "raids since": rules.raids_since(numbers, now),
        "losses since": rules.losses_since(numbers, now),
    }
    try:
        players = _Players(economy.players(), using)
    except EmptyResultSet:
        raise UnknownPlayer from None
    statement = _statement(players, len(victim_ids))
    return Question(attacker_id, numbers, statement, values, of_oneself=attacker_id in victim_ids)


class _Players:
    """The economy's players as a key: equal where they are read by the same SQL with the same values.

    A host's query set may hold values that change, say the season that counts; each gets a statement of its own.
    """

    def __init__(self, rows: QuerySet[Any], using: str) -> None:
        self.rows, self.using = rows, using
        sql, params = rows.query.get_compiler(using).as_sql()
        self.key: Any = (using, rows.model, sql, tuple((type(value), value) for value in params))
        try:
            hash(self.key)
        except TypeError:
            # A value that can't be compared, say a list: only itself is the same.
            self.key = object()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Players) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=256)
def _statement(players: _Players, victims: int) -> Prepared:
    """Return the query of the facts about an attacker and so many victims, compiled."""
    key, moment = get_user_model()._meta.pk, DateTimeField()
    rows = (
        players.rows.filter(pk__in=Given("players", key, length=1 + victims))
        .select_related("heist_token")
        # What no rule asks. Moments are slow to read.
        .defer("heist_token__last_earned_at", "heist_token__created_at", "heist_token__updated_at")
        .annotate(
            raid=FilteredRelation(
                "heists_as_attacker",
                condition=Q(
                    heists_as_attacker__attacker=Given("attacker", key),
                    heists_as_attacker__token_spent=True,
                    heists_as_attacker__created_at__gte=Given("raids since", moment),
                ),
            ),
            loss=FilteredRelation(
                "heists_as_victim",
                condition=Q(
                    heists_as_victim__victim__in=Given("victims", key, length=victims),
                    heists_as_victim__token_spent=True,
                    heists_as_victim__status=HeistStatus.SUCCESS,
                    heists_as_victim__created_at__gte=Given("losses since", moment),
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
    return Prepared(rows.using(players.using))


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
