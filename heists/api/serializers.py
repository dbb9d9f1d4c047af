"""What goes in and out of the API (spec section 6): the shape of requests, and what each side may see.

The rows of the long lists are written by `to_representation` outright, and their fields say what OpenAPI tells of it:
asking each field for its value took longer than the queries (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from django.utils import translation
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from ..choices import FailureCode, HeistNotificationType, HeistRole, HeistStatus
from ..economy import Economy, get_economy
from ..errors import FeatureDisabled
from ..messages import failure_message, notification_message, success_message
from ..models import Heist, HeistNotification
from ..queries import leaderboard
from ..queries.preview import Prospect, Reason
from ..rules import cooldown_ends_at
from . import player_ids
from .fields import PlayerIdField, TimeField, WordField, moment

# The codes of a preview, which never reveals a shield.
PREVIEW_CODES = [(FeatureDisabled.code, "Switched off"), *((code, code.label) for code in FailureCode.rejections())]


class RowSerializer(serializers.Serializer[Any]):
    """Writes the rows of a page, and looks up once what they have in common."""

    @cached_property
    def economy(self) -> Economy:
        return get_economy()

    @cached_property
    def gettext(self) -> Callable[[str], str]:
        # A page has the same few sentences over and over.
        return cache(translation.gettext)


class PlayerSerializer(serializers.Serializer[Any]):
    """A player, as others may know them."""

    id = PlayerIdField(source="pk", read_only=True)
    name = serializers.CharField(read_only=True)

    def to_representation(self, player: Any) -> dict[str, Any]:
        return named(player, get_economy())


def named(player: Any, economy: Economy) -> dict[str, Any]:
    """Return a player as others may know them."""
    return {"id": player_ids.to_json(player.pk), "name": economy.name(player)}


class HeistRequestSerializer(serializers.Serializer[Any]):
    """Whom to rob."""

    victim = PlayerIdField(help_text="The player's id, as the target list has it.")


class HeistQuerySerializer(serializers.Serializer[Any]):
    """What of my history to list."""

    role = WordField(
        HeistRole.choices, component="HeistRole", required=False, help_text="Only heists where this was my part."
    )
    status = WordField(
        HeistStatus.choices, component="HeistStatus", required=False, help_text="Only heists with this status."
    )
    created_after = TimeField(required=False, help_text="Only heists from this moment on.")
    created_before = TimeField(required=False, help_text="Only heists before this moment.")


class HeistSerializer(RowSerializer):
    """A heist, as the player who asks may see it: either side reads its own points only."""

    id = serializers.IntegerField(source="pk")
    role = WordField(HeistRole.choices, component="HeistRole", read_only=True)
    attacker = PlayerSerializer()
    victim = PlayerSerializer()
    status = WordField(HeistStatus.choices, component="HeistStatus")
    failure_code = WordField(FailureCode.choices, component="HeistFailureCode", allow_null=True)
    failure_reason = serializers.CharField(
        read_only=True, allow_null=True, help_text="`failure_code` as a sentence, in your language."
    )
    points_stolen = serializers.IntegerField()
    token_spent = serializers.BooleanField()
    my_points_before = serializers.IntegerField(read_only=True)
    my_points_after = serializers.IntegerField(read_only=True)
    created_at = TimeField()

    def to_representation(self, heist: Heist) -> dict[str, Any]:
        code = heist.failure_code
        is_attacker = heist.attacker_id == self.context["player_id"]
        return {
            "id": heist.pk,
            "role": HeistRole.ATTACKER.value if is_attacker else HeistRole.VICTIM.value,
            "attacker": named(heist.attacker, self.economy),
            "victim": named(heist.victim, self.economy),
            "status": str(heist.status),
            "failure_code": str(code) if code else None,
            "failure_reason": failure_message(code, heist.retry_at, self.gettext) if code else None,
            "points_stolen": heist.points_stolen,
            "token_spent": heist.token_spent,
            "my_points_before": heist.attacker_points_before if is_attacker else heist.victim_points_before,
            "my_points_after": heist.attacker_points_after if is_attacker else heist.victim_points_after,
            "created_at": moment(heist.created_at),
        }


class NewHeistSerializer(HeistSerializer):
    """A heist that was just carried out, and where that leaves the attacker."""

    tokens_remaining = serializers.IntegerField(source="attacker_token.balance")
    cooldown_ends_at = TimeField(read_only=True, allow_null=True)
    message = serializers.CharField(read_only=True)

    def to_representation(self, heist: Heist) -> dict[str, Any]:
        ends = cooldown_ends_at(heist.rule_set.rules, heist.created_at)
        return super().to_representation(heist) | {
            "tokens_remaining": heist.attacker_token.balance,
            "cooldown_ends_at": moment(ends) if ends and ends > heist.created_at else None,
            "message": success_message(
                heist.status, victim_name=self.economy.name(heist.victim), points=heist.points_stolen
            ),
        }


class TokenSerializer(serializers.Serializer[Any]):
    """My tokens."""

    balance = serializers.IntegerField()
    total_earned = serializers.IntegerField()
    total_spent = serializers.IntegerField()
    last_earned_at = TimeField(allow_null=True)
    last_spent_at = TimeField(allow_null=True)
    cooldown_ends_at = TimeField(allow_null=True, help_text="When I may rob again; null where I need not wait.")


class StatsAttackerSerializer(serializers.Serializer[Any]):
    """What I did."""

    attempts = serializers.IntegerField(help_text="All attempts, rejected ones too.")
    rejected = serializers.IntegerField(help_text="Refused by a rule; cost nothing.")
    successful = serializers.IntegerField()
    blocked = serializers.IntegerField(help_text="Blocked by a shield.")
    points_gained = serializers.IntegerField()


class StatsVictimSerializer(serializers.Serializer[Any]):
    """What was done to me."""

    times_robbed = serializers.IntegerField()
    attacks_blocked = serializers.IntegerField(help_text="Blocked by my shields.")
    points_lost = serializers.IntegerField()


class StatsSerializer(serializers.Serializer[Any]):
    """My totals."""

    as_attacker = StatsAttackerSerializer(source="*")
    as_victim = StatsVictimSerializer(source="*")
    net_points = serializers.IntegerField(help_text="Points gained minus points lost.")


class TargetSerializer(RowSerializer):
    """A possible victim."""

    player = PlayerSerializer()
    monthly_points = serializers.IntegerField()
    eligible = serializers.BooleanField(help_text="Whether an attempt would reach this player now.")
    code = WordField(
        PREVIEW_CODES, component="HeistPreviewCode", allow_null=True, help_text="Why not; null where eligible."
    )
    potential_points = serializers.IntegerField(help_text="What a heist would take from this player's points now.")
    retry_at = TimeField(allow_null=True, help_text="When `code` stops standing in the way, where time decides.")

    def to_representation(self, prospect: Prospect) -> dict[str, Any]:
        return {
            "player": named(prospect.player, self.economy),
            "monthly_points": prospect.monthly_points,
            "eligible": prospect.eligible,
            "code": prospect.code,
            "potential_points": prospect.potential_points,
            "retry_at": moment(prospect.retry_at),
        }


class ReasonSerializer(serializers.Serializer[Any]):
    """One rule that stands in the way."""

    code = WordField(PREVIEW_CODES, component="HeistPreviewCode")
    detail = serializers.CharField(help_text="A sentence, in your language.")
    retry_at = TimeField(allow_null=True)
    required = serializers.IntegerField(  # type: ignore[assignment]
        read_only=True, allow_null=True, help_text="How many tokens or points it takes, where that decides."
    )
    available = serializers.IntegerField(read_only=True, allow_null=True, help_text="How many there are.")

    def to_representation(self, reason: Reason) -> dict[str, Any]:
        return {
            "code": reason.code,
            "detail": reason.message,
            "retry_at": moment(reason.retry_at),
            "required": reason.details.get("required"),
            "available": reason.details.get("available"),
        }


class PreviewSerializer(TargetSerializer):
    """A possible victim, with everything that stands in the way."""

    reasons = ReasonSerializer(many=True, help_text="Every rule that says no; the first is `code`.")

    def to_representation(self, prospect: Prospect) -> dict[str, Any]:
        reasons = ReasonSerializer(prospect.reasons, many=True).data
        return super().to_representation(prospect) | {"reasons": reasons}


class NotificationQuerySerializer(serializers.Serializer[Any]):
    """Which of my notifications to list."""

    read = serializers.BooleanField(required=False, help_text="Only read ones, or only unread ones.")
    type = WordField(
        HeistNotificationType.choices, component="HeistNotificationType", required=False, help_text="Only this type."
    )


class NotificationSerializer(RowSerializer):
    """What I was told."""

    id = serializers.IntegerField(source="pk")
    type = WordField(HeistNotificationType.choices, component="HeistNotificationType")
    message = serializers.CharField(read_only=True, help_text="In your language.")
    heist = serializers.IntegerField(source="heist_id", allow_null=True, help_text="The heist it tells of.")
    metadata = serializers.DictField(read_only=True, help_text="Ids, names and numbers that belong to the type.")
    read = serializers.BooleanField()
    created_at = TimeField()

    def to_representation(self, notification: HeistNotification) -> dict[str, Any]:
        sentence = notification_message(notification.type, notification.metadata, self.gettext)
        return {
            "id": notification.pk,
            "type": notification.type,
            "message": sentence or notification.message,
            "heist": notification.heist_id,
            "metadata": notification.metadata or {},
            "read": notification.read,
            "created_at": moment(notification.created_at),
        }


class MarkedSerializer(serializers.Serializer[Any]):
    """How many notifications were marked."""

    marked = serializers.IntegerField()
    unread_count = serializers.IntegerField()


class LeaderboardQuerySerializer(serializers.Serializer[Any]):
    """How much of the leaderboard."""

    limit = serializers.IntegerField(min_value=1, max_value=leaderboard.MAX_PLACES, default=10)


class LeaderSerializer(serializers.Serializer[Any]):
    """One place on the leaderboard."""

    rank = serializers.IntegerField()
    player = PlayerSerializer()
    heists = serializers.IntegerField(help_text="Successful heists this month.")
    points_stolen = serializers.IntegerField()


class LeaderboardSerializer(serializers.Serializer[Any]):
    """This month's most successful attackers."""

    since = TimeField(help_text="When the month began, in the site's time zone.")
    results = LeaderSerializer(many=True)


# Names of components are a promise to generated clients; these carry the app's name beside a host's own.
for serializer, name in {
    PlayerSerializer: "HeistPlayer",
    HeistRequestSerializer: "HeistAttempt",
    HeistSerializer: "Heist",
    NewHeistSerializer: "NewHeist",
    TokenSerializer: "HeistToken",
    StatsAttackerSerializer: "HeistStatsAttacker",
    StatsVictimSerializer: "HeistStatsVictim",
    StatsSerializer: "HeistStats",
    TargetSerializer: "HeistTarget",
    ReasonSerializer: "HeistReason",
    PreviewSerializer: "HeistPreview",
    NotificationSerializer: "HeistNotification",
    MarkedSerializer: "HeistNotificationsMarked",
    LeaderSerializer: "HeistLeader",
    LeaderboardSerializer: "HeistLeaderboard",
}.items():
    extend_schema_serializer(component_name=name)(serializer)
