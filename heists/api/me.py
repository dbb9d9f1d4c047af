"""The state of the signed-in player, as one screen shows it. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from .. import conf
from ..economy import get_economy
from ..queries import me
from ..queries.preview import Reason
from ..rules import RULE_FIELDS, Rules
from . import schema
from .fields import EnumField, UTCDateTimeField, utc_isoformat
from .polling import PolledView
from .serializers import PREVIEW_CODES, PlayerSerializer, RowSerializer, TokenSerializer
from .truces import TruceSerializer

FIELD_TYPES = {"int": serializers.IntegerField, "bool": serializers.BooleanField, "str": serializers.CharField}
TIME_ZONE_HELP = "The site's time zone, in which months begin."


class RulesSerializer(serializers.Serializer[Any]):
    """The rules in force. Hours and days are whole numbers; percentages are of a hundred."""

    def get_fields(self) -> dict[str, Any]:
        return {rule.name: FIELD_TYPES[str(rule.type)](help_text=_help(rule.name)) for rule in fields(Rules)}

    def to_representation(self, rules: Rules) -> dict[str, Any]:
        return {name: getattr(rules, name) for name in RULE_FIELDS}


def _help(name: str) -> str:
    """Return the meaning and unit of a rule, as the setting has them."""
    setting = conf.SETTINGS.get(name.upper())
    if setting is None:
        return TIME_ZONE_HELP
    return f"{setting.meaning} Unit: {setting.unit}." if setting.unit else setting.meaning


class MeAttackerSerializer(serializers.Serializer[Any]):
    """Whether I can rob now."""

    code = EnumField(
        PREVIEW_CODES,
        component="HeistPreviewCode",
        allow_null=True,
        help_text="Why I can rob nobody now; null where it depends on the victim alone.",
    )
    retry_at = UTCDateTimeField(allow_null=True, help_text="When `code` no longer applies, where time decides.")
    heists_left_today = serializers.IntegerField(help_text="Of the limit in a rolling day.")


class MeShieldSerializer(serializers.Serializer[Any]):
    """My live shield."""

    expires_at = UTCDateTimeField()


class MeVictimSerializer(serializers.Serializer[Any]):
    """Whether I can be robbed now."""

    code = EnumField(
        PREVIEW_CODES,
        component="HeistPreviewCode",
        allow_null=True,
        help_text="Why nobody can rob me now; null where it depends on the attacker alone. A shield is not a reason.",
    )
    retry_at = UTCDateTimeField(allow_null=True, help_text="When `code` no longer applies, where time decides.")
    protected_until = UTCDateTimeField(allow_null=True, help_text="The end of my protection after a heist on me.")
    newcomer_until = UTCDateTimeField(allow_null=True, help_text="The end of my protection as a new player.")
    shield = MeShieldSerializer(allow_null=True)
    potential_points = serializers.IntegerField(help_text="Points that a heist would take from me now.")
    lost_this_month = serializers.IntegerField(help_text="Points stolen from me this month.")
    loss_left = serializers.IntegerField(help_text="Points that I can still lose this month.")


class ShieldShopSerializer(serializers.Serializer[Any]):
    """What a shield costs, and how long it lasts unused."""

    cost = serializers.IntegerField(help_text="In coins.")
    days = serializers.IntegerField()


class MeSerializer(RowSerializer):
    """My own state. Nothing in it changes by itself, except at a moment that it names."""

    player = PlayerSerializer()
    enabled = serializers.BooleanField(help_text="Whether heists are switched on; everything is readable if not.")
    tokens = TokenSerializer()
    monthly_points = serializers.IntegerField()
    coins = serializers.IntegerField(allow_null=True, help_text="Null on a site without coins.")
    as_attacker = MeAttackerSerializer()
    as_victim = MeVictimSerializer()
    truce = TruceSerializer(help_text="As `truce/` has it.")
    shield_shop = ShieldShopSerializer(allow_null=True, help_text="Null on a site without coins.")
    unread_count = serializers.IntegerField(help_text="My unread notifications.")
    month_ends_at = UTCDateTimeField(help_text="When the next calendar month of the site's time zone begins.")
    rules = RulesSerializer()

    def players_of(self, state: me.Me) -> tuple[Any, ...]:
        return (state.user,)

    def to_representation(self, state: me.Me) -> dict[str, Any]:
        token, shield, shop = state.token, state.shield_expires_at, state.coins is not None
        return {
            "player": self.player_data(state.user),
            "enabled": state.enabled,
            "tokens": {
                "balance": token.balance,
                "total_earned": token.total_earned,
                "total_spent": token.total_spent,
                "last_earned_at": utc_isoformat(token.last_earned_at),
                "last_spent_at": utc_isoformat(token.last_spent_at),
                "cooldown_ends_at": utc_isoformat(state.cooldown_ends_at),
            },
            "monthly_points": state.victim.monthly_points,
            "coins": state.coins,
            "as_attacker": {
                **_reason(state.attacker_reason),
                "heists_left_today": state.heists_left_today,
            },
            "as_victim": {
                **_reason(state.victim_reason),
                "protected_until": utc_isoformat(state.protected_until),
                "newcomer_until": utc_isoformat(state.newcomer_until),
                "shield": {"expires_at": utc_isoformat(shield)} if shield else None,
                "potential_points": state.potential_points,
                "lost_this_month": state.lost_this_month,
                "loss_left": state.loss_left,
            },
            "truce": TruceSerializer(state.truce).data,
            "shield_shop": {"cost": state.rules.shield_cost, "days": state.rules.shield_days} if shop else None,
            "unread_count": state.unread_count,
            "month_ends_at": utc_isoformat(state.month_ends_at),
            "rules": RulesSerializer(state.rules).data,
        }


def _reason(reason: Reason | None) -> dict[str, Any]:
    return {
        "code": reason.code if reason else None,
        "retry_at": utc_isoformat(reason.retry_at) if reason else None,
    }


class MeView(PolledView):
    serializer_class = MeSerializer

    @extend_schema(
        operation_id="heists_me",
        summary="Everything one screen needs",
        description="My tokens and points, whether I can rob and be robbed, and the rules in force.",
        tags=["heists"],
        parameters=[*schema.POLLED, schema.RETRY_AFTER],
        examples=schema.answer("heists_me"),
        responses={200: MeSerializer} | schema.NOT_MODIFIED | schema.problems(),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        economy = get_economy()
        return Response(MeSerializer(me.read(self.player_id, economy=economy)).data)


for serializer, name in {
    MeSerializer: "HeistMe",
    MeAttackerSerializer: "HeistMeAttacker",
    MeVictimSerializer: "HeistMeVictim",
    MeShieldSerializer: "HeistMeShield",
    ShieldShopSerializer: "HeistShieldShop",
    RulesSerializer: "HeistRules",
}.items():
    extend_schema_serializer(component_name=name)(serializer)
