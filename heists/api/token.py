"""My tokens (spec section 6)."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from .. import conf, rules
from ..models import HeistToken
from . import schema
from .base import PlayerView
from .serializers import TokenSerializer

SHOWN = ("balance", "total_earned", "total_spent", "last_earned_at", "last_spent_at")
# Who never earned or tried anything has no row.
NONE_YET = (0, 0, 0, None, None)


class TokenView(PlayerView):
    serializer_class = TokenSerializer

    @extend_schema(
        operation_id="heists_token",
        summary="My tokens",
        tags=["heists"],
        parameters=[schema.RETRY_AFTER],
        responses={200: TokenSerializer} | schema.problems(),
    )
    def get(self, request: Request) -> Response:
        rows = HeistToken.objects.filter(user=self.player_id).values_list(*SHOWN)
        mine = dict(zip(SHOWN, next(iter(rows), NONE_YET), strict=True))
        ends = rules.cooldown_ends_at(conf.rules(), mine["last_spent_at"])
        mine["cooldown_ends_at"] = ends if ends and ends > timezone.now() else None
        return Response(TokenSerializer(mine).data)
