"""The shield shop (spec section 6)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from ..models import Shield
from ..services import buy_shield
from .base import AttemptMixin, PlayerView
from .pagination import PageCursor

STATES = ("live", "used", "expired")


class ShieldSerializer(serializers.ModelSerializer[Shield]):
    """A shield as its owner sees it; nobody else does."""

    state = serializers.SerializerMethodField()
    heist = serializers.PrimaryKeyRelatedField[Any](
        source="used_by", read_only=True, help_text="The heist it blocked; null where there is none."
    )

    class Meta:
        model = Shield
        fields = ["id", "state", "cost", "bought_at", "expires_at", "used_at", "heist"]
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=STATES))
    def get_state(self, shield: Shield) -> str:
        if shield.used_at:
            return "used"
        # By the clock: the command that marks it may come later.
        return "live" if shield.expires_at > timezone.now() else "expired"


class NewestShieldsFirst(PageCursor):
    key = "bought_at"


@extend_schema(tags=["shields"])
class ShieldsView(AttemptMixin, mixins.ListModelMixin, PlayerView):
    serializer_class = ShieldSerializer
    pagination_class = NewestShieldsFirst

    def get_queryset(self) -> QuerySet[Shield]:
        return Shield.objects.filter(player=self.player_id)

    @extend_schema(operation_id="shields_list", summary="My shields, newest first")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.list(request, *args, **kwargs)

    @extend_schema(
        operation_id="shields_buy",
        summary="Buy a shield",
        description="It blocks one attack, or expires. The same `Idempotency-Key` again answers with the same shield.",
        parameters=[OpenApiParameter("Idempotency-Key", OpenApiTypes.STR, OpenApiParameter.HEADER)],
        request=None,
        responses={201: ShieldSerializer},
    )
    def post(self, request: Request) -> Response:
        shield = buy_shield(player_id=self.player_id, idempotency_key=self.idempotency_key())
        return Response(self.get_serializer(shield).data, status=status.HTTP_201_CREATED)
