"""Serializers of the API. See docs/specification.md, "HTTP API".

The serializers of list rows override `to_representation`, because DRF's own loop over the fields takes longer than the
queries (docs/performance.md); their fields only define the OpenAPI schema.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any, cast

from django.utils import translation
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from ..choices import FailureCode, HeistRole, HeistStatus
from ..economy import Economy, get_economy
from ..errors import FeatureDisabled
from ..messages import failure_message, success_message
from ..models import Heist
from ..queries import leaderboard
from ..queries.preview import Reason, Target
from ..rules import cooldown_ends_at
from . import player_ids
from .fields import EnumField, MonthField, PlayerIdField, UTCDateTimeField, utc_isoformat

# Characters of a name to search for.
MIN_SEARCH_LENGTH, MAX_SEARCH_LENGTH = 2, 150
# Without `shield`, which a preview never reveals.
PREVIEW_CODES = [(FeatureDisabled.code, "Switched off"), *((code, code.label) for code in FailureCode.rejections())]


class RowSerializer(serializers.Serializer[Any]):
    """The base class for rows of a list; it creates the economy, and reads all names, once for all rows."""

    @cached_property
    def economy(self) -> Economy:
        return get_economy()

    @cached_property
    def names(self) -> dict[Any, str]:
        """The names of all players in these rows, by primary key."""
        rows: Any = self.parent.instance if isinstance(self.parent, serializers.ListSerializer) else [self.instance]
        players = {player.pk: player for row in rows for player in self.players_of(row)}
        return self.economy.names(players.values())

    def players_of(self, row: Any) -> tuple[Any, ...]:
        """Return the players of a row whose names it shows."""
        return ()

    def player_data(self, player: Any) -> dict[str, Any]:
        """Return a player as others may know them."""
        name = self.names.get(player.pk) or self.economy.name(player)
        return {"id": player_ids.to_json(player.pk), "name": name}

    @cached_property
    def gettext(self) -> Callable[[str], str]:
        # The rows of a page repeat a few sentences.
        return cache(translation.gettext)


class PlayerSerializer(serializers.Serializer[Any]):
    """A player, as other players see them."""

    id = PlayerIdField(source="pk", read_only=True)
    name = serializers.CharField(read_only=True)


class HeistRequestSerializer(serializers.Serializer[Any]):
    """An attempt to rob a player."""

    victim = PlayerIdField(help_text="The player's id, as in the list of targets.")


class HeistQuerySerializer(serializers.Serializer[Any]):
    """Filters of the history."""

    role = EnumField(
        HeistRole.choices, component="HeistRole", required=False, help_text="Only heists in which I had this role."
    )
    status = EnumField(
        HeistStatus.choices, component="HeistStatus", required=False, help_text="Only heists with this status."
    )
    created_after = UTCDateTimeField(required=False, help_text="Only heists at or after this time.")
    created_before = UTCDateTimeField(required=False, help_text="Only heists before this time.")


class ReversedSerializer(serializers.Serializer[Any]):
    """What the team returned of a heist."""

    points = serializers.IntegerField(help_text="Points that went back to the victim.")
    at = UTCDateTimeField()


class HeistSerializer(RowSerializer):
    """A heist. Each side reads only its own points."""

    id = serializers.IntegerField(source="pk")
    role = EnumField(HeistRole.choices, component="HeistRole", read_only=True)
    attacker = PlayerSerializer()
    victim = PlayerSerializer()
    status = EnumField(HeistStatus.choices, component="HeistStatus")
    failure_code = EnumField(FailureCode.choices, component="HeistFailureCode", allow_null=True)
    failure_reason = serializers.CharField(
        read_only=True, allow_null=True, help_text="`failure_code` as a sentence, in your language."
    )
    points_stolen = serializers.IntegerField()
    token_spent = serializers.BooleanField()
    my_points_before = serializers.IntegerField(read_only=True)
    my_points_after = serializers.IntegerField(read_only=True)
    created_at = UTCDateTimeField()
    reversed = ReversedSerializer(
        allow_null=True,
        help_text="Set where the team returned points; `points_stolen` and my points stay as they were.",
    )

    def players_of(self, heist: Heist) -> tuple[Any, ...]:
        return heist.attacker, heist.victim

    def to_representation(self, heist: Heist) -> dict[str, Any]:
        code = heist.failure_code
        is_attacker = heist.attacker_id == self.context["player_id"]
        reversal = heist.known_reversal
        return {
            "id": heist.pk,
            "role": HeistRole.ATTACKER.value if is_attacker else HeistRole.VICTIM.value,
            "attacker": self.player_data(heist.attacker),
            "victim": self.player_data(heist.victim),
            "status": str(heist.status),
            "failure_code": str(code) if code else None,
            "failure_reason": failure_message(code, heist.retry_at, self.gettext) if code else None,
            "points_stolen": heist.points_stolen,
            "token_spent": heist.token_spent,
            "my_points_before": heist.attacker_points_before if is_attacker else heist.victim_points_before,
            "my_points_after": heist.attacker_points_after if is_attacker else heist.victim_points_after,
            "created_at": utc_isoformat(heist.created_at),
            "reversed": reversal and {"points": reversal.points_returned, "at": utc_isoformat(reversal.created_at)},
        }


class NewHeistSerializer(HeistSerializer):
    """A new heist, with the attacker's tokens and cooldown."""

    tokens_remaining = serializers.IntegerField(read_only=True)
    cooldown_ends_at = UTCDateTimeField(read_only=True, allow_null=True)
    message = serializers.CharField(read_only=True)

    def to_representation(self, heist: Heist) -> dict[str, Any]:
        # From the row alone, so that a repeated request gets the first answer. `execute_heist` always sets it.
        tokens_before = cast(int, heist.attacker_tokens)
        ends_at = cooldown_ends_at(heist.rule_set.rules, heist.created_at)
        return super().to_representation(heist) | {
            "tokens_remaining": tokens_before - heist.rule_set.token_cost,
            "cooldown_ends_at": utc_isoformat(ends_at),
            "message": success_message(
                heist.status, victim_name=self.player_data(heist.victim)["name"], points=heist.points_stolen
            ),
        }


class TokenSerializer(serializers.Serializer[Any]):
    """My tokens."""

    balance = serializers.IntegerField()
    total_earned = serializers.IntegerField()
    total_spent = serializers.IntegerField()
    last_earned_at = UTCDateTimeField(allow_null=True)
    last_spent_at = UTCDateTimeField(allow_null=True)
    cooldown_ends_at = UTCDateTimeField(
        allow_null=True, help_text="When I may rob again; null when there is no cooldown."
    )

    def to_representation(self, token: Mapping[str, Any]) -> dict[str, Any]:
        return {name: utc_isoformat(value) if name.endswith("_at") else value for name, value in token.items()}


class StatsAttackerSerializer(serializers.Serializer[Any]):
    """My totals as attacker."""

    attempts = serializers.IntegerField(help_text="All attempts, including rejected ones.")
    rejected = serializers.IntegerField(help_text="Rejected by a rule; nothing was spent.")
    successful = serializers.IntegerField()
    blocked = serializers.IntegerField(help_text="Blocked by a shield.")
    points_gained = serializers.IntegerField()


class StatsVictimSerializer(serializers.Serializer[Any]):
    """My totals as victim."""

    times_robbed = serializers.IntegerField()
    attacks_blocked = serializers.IntegerField(help_text="Blocked by my shields.")
    points_lost = serializers.IntegerField()


class StatsSerializer(serializers.Serializer[Any]):
    """My totals."""

    as_attacker = StatsAttackerSerializer(source="*")
    as_victim = StatsVictimSerializer(source="*")
    net_points = serializers.IntegerField(help_text="Points gained minus points lost.")


@extend_schema_field({"type": "string", "enum": ["true"]})
class OnlyTrueField(serializers.ChoiceField):
    """A filter that is on or left out."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(["true"], **kwargs)


class NameField(serializers.CharField):
    """The beginning of a name, in Unicode's composed form."""

    def to_internal_value(self, data: Any) -> str:
        return unicodedata.normalize("NFC", super().to_internal_value(data))


class TargetQuerySerializer(serializers.Serializer[Any]):
    """Filters of the targets."""

    eligible = OnlyTrueField(
        required=False,
        help_text="`true`: only players for whom no rule about the victim fails. My own tokens, cooldown and limits "
        "and the victims' shields don't matter. A page may have few players, or none, and still have a `next`.",
    )
    search = NameField(
        required=False,
        min_length=MIN_SEARCH_LENGTH,
        max_length=MAX_SEARCH_LENGTH,
        help_text="Only players whose name begins with this, in the order of their names.",
    )


class TargetSerializer(RowSerializer):
    """A possible victim."""

    player = PlayerSerializer()
    monthly_points = serializers.IntegerField()
    eligible = serializers.BooleanField(help_text="Whether an attempt would reach this player now.")
    code = EnumField(
        PREVIEW_CODES,
        component="HeistPreviewCode",
        allow_null=True,
        help_text="The first rule that fails; null where eligible.",
    )
    potential_points = serializers.IntegerField(help_text="Points that a heist would take from this player now.")
    retry_at = UTCDateTimeField(
        allow_null=True, help_text="When the rule of `code` no longer fails, where time decides."
    )

    def players_of(self, target: Target) -> tuple[Any, ...]:
        return (target.player,)

    def to_representation(self, target: Target) -> dict[str, Any]:
        return {
            "player": self.player_data(target.player),
            "monthly_points": target.monthly_points,
            "eligible": target.eligible,
            "code": target.code,
            "potential_points": target.potential_points,
            "retry_at": utc_isoformat(target.retry_at),
        }


class ReasonSerializer(serializers.Serializer[Any]):
    """A rule that fails."""

    code = EnumField(PREVIEW_CODES, component="HeistPreviewCode")
    detail = serializers.CharField(help_text="A sentence, in your language.")
    retry_at = UTCDateTimeField(allow_null=True)
    required = serializers.IntegerField(  # type: ignore[assignment]
        read_only=True, allow_null=True, help_text="Tokens or points that are needed."
    )
    available = serializers.IntegerField(read_only=True, allow_null=True, help_text="Tokens or points that there are.")

    def to_representation(self, reason: Reason) -> dict[str, Any]:
        return {
            "code": reason.code,
            "detail": reason.message,
            "retry_at": utc_isoformat(reason.retry_at),
            "required": reason.details.get("required"),
            "available": reason.details.get("available"),
        }


class PreviewSerializer(TargetSerializer):
    """A possible victim, with all rules that fail."""

    reasons = ReasonSerializer(many=True, help_text="All rules that fail; the first is `code`.")

    def to_representation(self, target: Target) -> dict[str, Any]:
        reasons = ReasonSerializer(target.reasons, many=True).data
        return super().to_representation(target) | {"reasons": reasons}


class LeaderboardQuerySerializer(serializers.Serializer[Any]):
    """Parameters of the leaderboard."""

    limit = serializers.IntegerField(
        min_value=1, max_value=leaderboard.MAX_PLACES, default=10, help_text="Number of places."
    )
    month = MonthField(required=False, help_text="A month that has begun; by default the current one.")


class LeaderSerializer(RowSerializer):
    """One place on the leaderboard."""

    rank = serializers.IntegerField()
    player = PlayerSerializer()
    heists = serializers.IntegerField(help_text="Successful heists in the month.")
    points_stolen = serializers.IntegerField()

    def players_of(self, leader: leaderboard.Leader) -> tuple[Any, ...]:
        return (leader.player,)

    def to_representation(self, leader: leaderboard.Leader) -> dict[str, Any]:
        return {
            "rank": leader.rank,
            "player": self.player_data(leader.player),
            "heists": leader.heists,
            "points_stolen": leader.points_stolen,
        }


class LeaderboardSerializer(serializers.Serializer[Any]):
    """A month's most successful attackers."""

    month = MonthField(help_text="The calendar month of the site's time zone.")
    since = UTCDateTimeField(help_text="When the month began.")
    until = UTCDateTimeField(help_text="When it ended or ends.")
    results = LeaderSerializer(many=True)

    def to_representation(self, board: dict[str, Any]) -> dict[str, Any]:
        return {
            "month": f"{board['month']:%Y-%m}",
            "since": utc_isoformat(board["since"]),
            "until": utc_isoformat(board["until"]),
            "results": LeaderSerializer(board["results"], many=True).data,
        }


# Generated clients depend on component names; these do not collide with a host's own.
for serializer, name in {
    PlayerSerializer: "HeistPlayer",
    HeistRequestSerializer: "HeistAttempt",
    ReversedSerializer: "HeistReversed",
    HeistSerializer: "Heist",
    NewHeistSerializer: "NewHeist",
    TokenSerializer: "HeistToken",
    StatsAttackerSerializer: "HeistStatsAttacker",
    StatsVictimSerializer: "HeistStatsVictim",
    StatsSerializer: "HeistStats",
    TargetSerializer: "HeistTarget",
    ReasonSerializer: "HeistReason",
    PreviewSerializer: "HeistPreview",
    LeaderSerializer: "HeistLeader",
    LeaderboardSerializer: "HeistLeaderboard",
}.items():
    extend_schema_serializer(component_name=name)(serializer)
