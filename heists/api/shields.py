"""Buy shields and read one's own. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from ..choices import ShieldState
from ..models import Shield
from ..services import buy_shield
from . import schema
from .base import AttemptMixin, PlayerView
from .fields import EnumField, UTCDateTimeField
from .pagination import KeysetPagination

SHIELDS_TAG = ["shields"]


class ShieldSerializer(serializers.Serializer[Any]):
    """A shield. Only its owner sees it."""

    id = serializers.IntegerField()
    state = EnumField(ShieldState.choices, component="ShieldState")
    cost = serializers.IntegerField(help_text="Coins paid.")
    bought_at = UTCDateTimeField()
    expires_at = UTCDateTimeField()
    used_at = UTCDateTimeField(allow_null=True)
    heist = serializers.IntegerField(allow_null=True, source="used_by_id", help_text="The heist it blocked.")


class ShieldPagination(KeysetPagination):
    key = "bought_at"


class ShieldsView(AttemptMixin, PlayerView):
    serializer_class = ShieldSerializer
    pagination_class = ShieldPagination

    @extend_schema(
        operation_id="heists_shields_list",
        summary="My shields",
        description="Newest first.",
        tags=SHIELDS_TAG,
        parameters=[schema.RETRY_AFTER],
        examples=schema.answer("heists_shields_list", rows=True),
        responses={200: ShieldSerializer(many=True)} | schema.problems("validation_error", "invalid_cursor"),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        pagination = ShieldPagination()
        page: Any = pagination.paginate_queryset(Shield.objects.filter(player=self.player_id), request)
        return pagination.get_paginated_response(ShieldSerializer(page, many=True).data)

    @extend_schema(
        operation_id="heists_shields_buy",
        summary="Buy a shield",
        description="A shield costs coins. It blocks one attack, or expires unused. A player has one live "
        "shield at most.",
        tags=SHIELDS_TAG,
        parameters=[schema.IDEMPOTENCY_KEY, schema.RETRY_AFTER],
        request=None,
        examples=schema.answer("heists_shields_buy"),
        responses={201: ShieldSerializer}
        | schema.problems(
            "invalid_idempotency_key",
            "no_coins",
            "insufficient_coins",
            "shield_already_live",
            "feature_disabled",
            "busy",
        ),
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        shield = buy_shield(player_id=self.player_id, idempotency_key=self.idempotency_key())
        # As bought, so that a repeated request gets the first answer, even if the shield was used since.
        bought = {"state": "live", "used_at": None, "heist": None}
        return Response(ShieldSerializer(shield).data | bought, status=status.HTTP_201_CREATED)
