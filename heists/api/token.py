"""The player's own tokens. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.db import router
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from .. import in_force, rules
from ..db.compiled import CompiledQuery, Param
from ..models import HeistToken
from . import schema
from .polling import PolledView
from .serializers import TokenSerializer

COLUMNS = ("balance", "total_earned", "total_spent", "last_earned_at", "last_spent_at")
# A player who never earned a token and never made an attempt has no row.
NO_TOKENS = (0, 0, 0, None, None)


class TokenView(PolledView):
    serializer_class = TokenSerializer

    @extend_schema(
        operation_id="heists_token",
        summary="My tokens",
        description="My balance, and the end of my cooldown.",
        tags=["heists"],
        parameters=[*schema.POLLED, schema.RETRY_AFTER],
        examples=schema.answer("heists_token"),
        responses={200: TokenSerializer} | schema.NOT_MODIFIED | schema.problems(),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        rows = _compiled(router.db_for_read(HeistToken)).fetch({"user": self.player_id})
        token = dict(zip(COLUMNS, next(iter(rows), NO_TOKENS), strict=True))
        now = timezone.now()
        ends_at = rules.cooldown_ends_at(in_force.rules(now), token["last_spent_at"])
        token["cooldown_ends_at"] = rules.ahead(ends_at, now)
        return Response(TokenSerializer(token).data)


@lru_cache(maxsize=8)
def _compiled(using: str) -> CompiledQuery:
    """Return the compiled query for the columns of one player's token row."""
    user: Any = Param("user", HeistToken._meta.get_field("user"))
    return CompiledQuery(HeistToken.objects.using(using).filter(user=user).values_list(*COLUMNS))
