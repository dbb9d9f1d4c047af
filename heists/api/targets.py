"""The players that may be robbed, and the preview of robbing one. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ..economy import get_economy
from ..queries import preview
from ..user_model import MAX_INTEGER, has_active_field
from . import player_ids, schema
from .base import PlayerView
from .pagination import KeysetPagination
from .serializers import PreviewSerializer, TargetSerializer

TARGETS_TAG = ["targets"]


class TargetPagination(KeysetPagination):
    """Pages in the order of the leaderboard: most points first, ties by primary key."""

    key = "monthly_points"
    pk_descending = False

    @staticmethod
    def parse_key(value: Any) -> int:
        # A forged cursor may hold a number that no column can hold.
        if type(value) is not int or not 0 <= value <= MAX_INTEGER:
            raise ValueError("not a number of points")
        return value


class TargetsView(PlayerView):
    serializer_class = TargetSerializer
    pagination_class = TargetPagination

    @extend_schema(
        operation_id="heists_targets_list",
        summary="Players I might rob",
        description="All other active players, in the order of the leaderboard. While heists are switched off, the "
        "list stays readable, and every `code` is `feature_disabled`.",
        tags=TARGETS_TAG,
        parameters=[schema.RETRY_AFTER],
        responses={200: TargetSerializer(many=True)} | schema.problems("validation_error", "invalid_cursor"),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        economy = get_economy()
        others = economy.leaderboard().exclude(pk=self.player_id)
        if has_active_field():
            others = others.filter(is_active=True)
        pagination = TargetPagination()
        page = [player.pk for player in pagination.paginate_queryset(others, request)]
        found = preview.targets(attacker_id=self.player_id, victim_ids=page, economy=economy)
        # A player may have been deleted between the two statements.
        rows = [found[pk] for pk in page if pk in found]
        return pagination.get_paginated_response(TargetSerializer(rows, many=True).data)


class TargetView(PlayerView):
    serializer_class = PreviewSerializer

    @extend_schema(
        operation_id="heists_targets_retrieve",
        summary="Preview of robbing one player",
        description="What would happen to an attempt now, by the same rules. It never reveals a shield.",
        tags=TARGETS_TAG,
        parameters=[schema.player_path_id("player_id", "The player's id."), schema.RETRY_AFTER],
        responses={200: PreviewSerializer} | schema.problems("not_found"),
    )
    def get(self, request: Request, *args: Any, player_id: str, **kwargs: Any) -> Response:
        try:
            key = player_ids.from_path(player_id)
        except ValueError:
            raise Http404 from None
        found = preview.targets(attacker_id=self.player_id, victim_ids=[key], economy=get_economy())
        if key not in found:
            raise Http404
        return Response(PreviewSerializer(found[key]).data)
