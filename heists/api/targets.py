"""Whom I might rob, and what stands in the way (spec section 6)."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ..economy import get_economy
from ..queries import facts, preview
from . import player_ids, schema
from .base import PlayerView
from .pagination import PageCursor
from .serializers import PreviewSerializer, TargetSerializer

TARGETS = ["targets"]


class TargetPage(PageCursor):
    """The leaderboard's own order; ties in primary-key order."""

    key = "monthly_points"
    pk_descending = False

    @staticmethod
    def parse_key(value: Any) -> int:
        # A crafted cursor must not reach the database with a number that no column holds.
        if type(value) is not int or not 0 <= value < 2**63:
            raise ValueError("no number of points")
        return value


class TargetsView(PlayerView):
    serializer_class = TargetSerializer
    pagination_class = TargetPage

    def get_queryset(self) -> Any:
        players = get_economy().leaderboard().exclude(pk=self.player_id)
        return players.filter(is_active=True) if facts.has_active_field() else players

    @extend_schema(
        operation_id="heists_targets_list",
        summary="Players I might rob",
        description="Everybody else who is active, in leaderboard order. Where heists are switched off the list stays "
        "readable, and nobody is eligible (`feature_disabled`).",
        tags=TARGETS,
        parameters=[schema.RETRY_AFTER],
        responses={200: TargetSerializer(many=True)} | schema.problems("validation_error", "invalid_cursor"),
    )
    def get(self, request: Request) -> Response:
        page = [player.pk for player in self.paginate_queryset(self.get_queryset()) or ()]
        found = preview.prospects(attacker_id=self.player_id, victim_ids=page, economy=get_economy())
        return self.get_paginated_response(TargetSerializer([found[pk] for pk in page if pk in found], many=True).data)


class TargetView(PlayerView):
    serializer_class = PreviewSerializer

    @extend_schema(
        operation_id="heists_targets_retrieve",
        summary="Preview of robbing one player",
        description="What an attempt would meet now, by the rules that would judge it. It never tells of a shield.",
        tags=TARGETS,
        parameters=[schema.player_path_id("player_id", "The player's id."), schema.RETRY_AFTER],
        responses={200: PreviewSerializer} | schema.problems("not_found"),
    )
    def get(self, request: Request, player_id: str) -> Response:
        try:
            key = player_ids.from_path(player_id)
        except ValueError:
            raise Http404 from None
        found = preview.prospects(attacker_id=self.player_id, victim_ids=[key], economy=get_economy())
        if key not in found:
            raise Http404
        return Response(PreviewSerializer(found[key]).data)
