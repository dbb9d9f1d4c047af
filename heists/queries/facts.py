"""Reads, in one statement, the facts that the rules need of an attacker and possible victims.

The preview and the target list read it without a lock. The execution reads it once to see whether a lock is needed, and
again under the locks; only the second answer counts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import EmptyResultSet
from django.db.models import Count, DateTimeField, F, FilteredRelation, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from ..choices import HeistStatus
from ..db.cache_keys import CurrentSchema
from ..db.compiled import CompiledQuery, Param
from ..economy import Economy
from ..errors import UnknownPlayer
from ..models import Heist, HeistNotification, HeistToken
from ..rules import (
    Attacker,
    Failure,
    Loss,
    Outcome,
    Rules,
    Truce,
    Victim,
    amount,
    failures,
    losses_since,
    month_start,
    outcomes_since,
)
from ..user_model import is_active


@dataclass(slots=True)
class Player:
    """One player as read: the user, monthly points, token row, live shield, recent outcomes and losses, truces.

    The losses are summed up as one, of this month's points at the time of the last loss; those whose attacker was
    deleted are beside it. `outcomes` are read of the attacker alone.

    `joined_at` is None where the host's `players()` does not say when a player joined.
    """

    user: Any
    monthly_points: int
    token: HeistToken | None
    shield_id: int | None
    outcomes: list[Outcome] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    truces: list[Truce] = field(default_factory=list)
    joined_at: dt.datetime | None = None

    @property
    def active(self) -> bool:
        return is_active(self.user)

    def as_attacker(self) -> Attacker:
        balance, spent = (self.token.balance, self.token.last_spent_at) if self.token else (0, None)
        outcomes, truces = tuple(self.outcomes), tuple(self.truces)
        return Attacker(self.user.pk, balance, spent, outcomes, self.monthly_points, truces)

    def as_victim(self) -> Victim:
        losses, truces, spent = tuple(self.losses), tuple(self.truces), self.token.last_spent_at if self.token else None
        return Victim(self.user.pk, self.active, self.monthly_points, losses, truces, self.joined_at, spent)


@dataclass(slots=True)
class Facts:
    """An attacker and possible victims at one moment, under one set of rules."""

    rules: Rules
    now: dt.datetime
    attacker: Player
    players: dict[Any, Player]
    # The schema in which they were read, for `db.cache_keys`.
    schema: str

    def victim(self, player_id: Any) -> Player:
        """Return the player with this id. Raises UnknownPlayer."""
        try:
            return self.players[player_id]
        except KeyError:
            raise UnknownPlayer from None

    def failures(self, victim: Player) -> Iterator[Failure]:
        """Yield each rule that fails for the attacker and this victim; the first decides."""
        return failures(self.rules, self.attacker.as_attacker(), victim.as_victim(), self.now)

    def amount(self, victim: Player) -> int:
        """Return the points that a heist on this victim takes."""
        return amount(self.rules, victim.as_victim(), self.now)


@dataclass(slots=True)
class FactsQuery:
    """The query for an attacker and possible victims; it may be run more than once."""

    attacker_id: Any
    rules: Rules
    compiled: CompiledQuery
    params: dict[str, Any]
    # When the month began in which the economy was asked for its players.
    month: dt.datetime

    def is_current(self, rules: Rules, now: dt.datetime) -> bool:
        """Return whether the query is right at `now`: neither the month nor the rules have changed since it was built.

        The players' points, and how far back losses matter, depend on the month.
        """
        return self.rules == rules and self.month == month_start(rules, now)

    def fetch(self, now: dt.datetime) -> Facts:
        """Read the facts at `now`, in one statement.

        Raises UnknownPlayer where the attacker's id is unknown. Unknown victims are left out.
        """
        players: dict[Any, Player] = {}
        schema = ""
        # A player has a row for each truce that is not over, the attacker also for each recent outcome.
        for user in self.compiled.fetch(self.params):
            player = players.get(user.pk)
            if player is None:
                token = getattr(user, "heist_token", None)
                live = user.shield_expires_at is not None and user.shield_expires_at > now
                shield = user.shield_id if live else None
                player = Player(user, user.monthly_points, token, shield, joined_at=joined_at(user))
                if token and token.losses_on_deleted:
                    since = self.params["losses since"]
                    player.losses += [Loss(loss.points, loss.at) for loss in token.deleted_losses if loss.at >= since]
                if user.loss_at is not None:
                    player.losses.append(Loss(user.loss_points, user.loss_at))
                players[user.pk] = player
                schema = user.current_schema
            if user.truce_starts_at is not None:
                truce = Truce(user.truce_starts_at, user.truce_ends_at)
                if truce not in player.truces:
                    player.truces.append(truce)
                if truce != player.truces[0]:
                    # The outcomes are those of the first truce's rows.
                    continue
            if user.outcome_at is not None:
                player.outcomes.append(Outcome(user.outcome_victim_id, user.outcome_at))
        if self.attacker_id not in players:
            raise UnknownPlayer
        return Facts(self.rules, now, players[self.attacker_id], players, schema)


def query(
    attacker_id: Any,
    victim_ids: Collection[Any],
    *,
    economy: Economy,
    rules: Rules,
    now: dt.datetime,
    using: str,
) -> FactsQuery:
    """Return the query for an attacker and any number of victims, to be run at `now` or later.

    Raises UnknownPlayer where the economy's queryset is empty by definition.
    """
    params = {
        "attacker": attacker_id,
        "players": [attacker_id, *victim_ids],
        "outcomes since": outcomes_since(rules, now),
        "losses since": losses_since(rules, now),
        "month start": month_start(rules, now),
        "truces since": now,
    }
    try:
        players = _Players(economy.players(), using)
    except EmptyResultSet:
        raise UnknownPlayer from None
    compiled = _compiled(players, len(victim_ids))
    return FactsQuery(attacker_id, rules, compiled, params, params["month start"])


def read(
    attacker_id: Any,
    victim_ids: Collection[Any],
    *,
    economy: Economy,
    rules: Rules,
    now: dt.datetime,
    using: str,
) -> Facts:
    """Read the facts once; see `FactsQuery.fetch`."""
    return query(attacker_id, victim_ids, economy=economy, rules=rules, now=now, using=using).fetch(now)


def joined_at(user: Any) -> dt.datetime | None:
    """Return the optional `joined_at` of the economy's players; None where it is missing or no point in time."""
    # Only what the query read: an attribute of the same name on the host's model may run a query.
    joined_at = vars(user).get("joined_at")
    return joined_at if isinstance(joined_at, dt.datetime) and joined_at.tzinfo else None


class _Players:
    """The economy's players, as a cache key: equal where the SQL and its parameters are equal.

    A host's queryset may contain values that change, such as the current season; each gets a query of its own.
    """

    def __init__(self, rows: QuerySet[Any], using: str) -> None:
        self.rows, self.using = rows, using
        sql, params = rows.query.get_compiler(using).as_sql()
        self.key: Any = (using, rows.model, sql, tuple((type(value), value) for value in params))
        try:
            hash(self.key)
        except (TypeError, ValueError):
            # A parameter that is not hashable, such as a list or writable bytes: equal to itself only.
            self.key = object()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Players) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def read_own(player_id: Any, *, economy: Economy, rules: Rules, now: dt.datetime, using: str) -> Facts:
    """Read the facts of one player, as attacker and as victim, in one statement.

    The user also has `unread_count`, and the whole token row. Raises UnknownPlayer.
    """
    params = {
        "attacker": player_id,
        "players": [player_id],
        "outcomes since": outcomes_since(rules, now),
        "losses since": losses_since(rules, now),
        "month start": month_start(rules, now),
        "truces since": now,
    }
    try:
        compiled = _compiled_own(_Players(economy.players(), using))
    except EmptyResultSet:
        raise UnknownPlayer from None
    return FactsQuery(player_id, rules, compiled, params, params["month start"]).fetch(now)


@lru_cache(maxsize=256)
def _compiled(players: _Players, victims: int) -> CompiledQuery:
    """Return the compiled query for an attacker and this number of victims."""
    # No rule uses these, and times are slow to read.
    unused = ("heist_token__last_earned_at", "heist_token__created_at", "heist_token__updated_at")
    return CompiledQuery(_rows(players, 1 + victims).defer(*unused).using(players.using))


@lru_cache(maxsize=64)
def _compiled_own(players: _Players) -> CompiledQuery:
    """Return the compiled query for one player."""
    me: Any = Param("attacker", get_user_model()._meta.pk)
    unread = HeistNotification.objects.filter(user=me).unread().values("user").annotate(count=Count("*"))
    rows = _rows(players, 1).annotate(unread_count=Coalesce(Subquery(unread.values("count")), 0))
    return CompiledQuery(rows.using(players.using))


def _rows(players: _Players, count: int) -> QuerySet[Any]:
    """Return this number of players with their token row, open shield, losses, and the attacker's recent outcomes.

    Losses are summed up: as a join like that of the outcomes, they would repeat the player in a row for each.
    """
    key, time = get_user_model()._meta.pk, DateTimeField()
    losses = Heist.objects.filter(victim=OuterRef("pk"), token_spent=True, status=HeistStatus.SUCCESS).values("victim")
    this_month = losses.filter(created_at__gte=Param("month start", time)).annotate(points=Sum("points_stolen"))
    recent = losses.filter(created_at__gte=Param("losses since", time)).annotate(last=Max("created_at"))
    rows: QuerySet[Any] = (
        players.rows.filter(pk__in=Param("players", key, length=count))
        .select_related("heist_token")
        .annotate(
            outcome=FilteredRelation(
                "heists_as_attacker",
                condition=Q(
                    heists_as_attacker__attacker=Param("attacker", key),
                    heists_as_attacker__token_spent=True,
                    heists_as_attacker__created_at__gte=Param("outcomes since", time),
                ),
            ),
            shield=FilteredRelation(
                "heist_shields", condition=Q(heist_shields__used_at=None, heist_shields__expired_at=None)
            ),
            truce=FilteredRelation(
                "heist_truces",
                condition=Q(heist_truces__ends_at=None) | Q(heist_truces__ends_at__gt=Param("truces since", time)),
            ),
        )
        .annotate(
            outcome_victim_id=F("outcome__victim"),
            outcome_at=F("outcome__created_at"),
            shield_id=F("shield__pk"),
            shield_expires_at=F("shield__expires_at"),
            truce_starts_at=F("truce__starts_at"),
            truce_ends_at=F("truce__ends_at"),
            loss_points=Coalesce(Subquery(this_month.values("points")), 0),
            loss_at=Subquery(recent.values("last")),
            current_schema=CurrentSchema(),
        )
    )
    return rows
