"""Robbing, and what came of it: history, totals, leaderboard (spec section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from .. import conf, rules
from ..choices import HeistRole
from ..models import Heist, HeistQuerySet
from ..queries import leaderboard
from ..services import execute_heist
from . import problems, schema
from .base import AttemptMixin, PlayerView
from .client_address import client_address
from .pagination import CompiledPage, Window
from .serializers import (
    HeistQuerySerializer,
    HeistRequestSerializer,
    HeistSerializer,
    LeaderboardQuerySerializer,
    LeaderboardSerializer,
    NewHeistSerializer,
    StatsSerializer,
)

HEISTS = ["heists"]
# What the query of the history asks, as the database is asked.
LOOKUPS = {"status": "status", "created_after": "created_at__gte", "created_before": "created_at__lt"}


def as_attacker() -> HeistQuerySet:
    """Heists as their attacker may read them, each with the other player."""
    return Heist.objects.select_related("victim")


def as_victim() -> HeistQuerySet:
    """Heists as their victim may read them, each with the other player."""
    # The condition of the index heists_heist_victim_outcomes, in its own words.
    return Heist.objects.filter(token_spent=True).select_related("attacker")


class HistoryPage(CompiledPage):
    """A page of a player's heists; of both parts at once, it is merged from a page of each.

    One query for "attacker or victim" has no index to walk: PostgreSQL would sort the player's whole history, or
    worse, walk everybody's.
    """

    model = Heist
    parts = {HeistRole.ATTACKER: as_attacker, HeistRole.VICTIM: as_victim}

    def __init__(self, player: Any = None, role: str | None = None) -> None:
        self.player = player
        self.roles = (role,) if role else tuple(HeistRole)

    def take(self, where: Mapping[str, Any], window: Window) -> list[Any]:
        rows = []
        for role in self.roles:
            part: Any = Heist._meta.get_field(role)
            for heist in self.fetch(self.parts[role], {**where, role: self.player.pk}, window):
                # Who asks is known already. Not assigned: they may have been read from another replica.
                part.set_cached_value(heist, self.player)
                rows.append(heist)
        rows.sort(key=lambda heist: (heist.created_at, heist.pk), reverse=not window.backwards)
        return rows[: window.count]


class HeistsView(AttemptMixin, PlayerView):
    serializer_class = HeistSerializer
    pagination_class = HistoryPage

    def get_queryset(self) -> HeistQuerySet:
        return Heist.objects.visible_to(self.player_id)

    @extend_schema(
        operation_id="heists_list",
        summary="My history",
        description="Heists I attempted, and those that reached me, newest first. Attempts on me that a rule refused "
        "are between the attacker and the rules.",
        tags=HEISTS,
        parameters=[HeistQuerySerializer, schema.RETRY_AFTER],
        responses={200: HeistSerializer(many=True)} | schema.problems("validation_error", "invalid_cursor"),
    )
    def get(self, request: Request) -> Response:
        query = HeistQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        wanted = query.validated_data
        role = wanted.pop("role", None)
        lookups = {LOOKUPS[name]: value for name, value in wanted.items()}
        pages = HistoryPage(request.user, role)
        page: Any = pages.paginate(request, lookups)
        return pages.get_paginated_response(HeistSerializer(page, many=True, context=self.context()).data)

    @extend_schema(
        operation_id="heists_create",
        summary="Rob a player",
        description="201 for an outcome: the points moved, or a shield blocked the attack; either way the token is "
        "spent. 409 for a rejection: a rule said no, and it cost nothing. After a lost answer, send the same request "
        "with the same `Idempotency-Key` again.",
        tags=HEISTS,
        parameters=[
            schema.IDEMPOTENCY_KEY,
            schema.RETRY_AFTER,
            OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[201], description="The heist."),
        ],
        request=HeistRequestSerializer,
        responses={201: NewHeistSerializer}
        | schema.problems(
            *schema.WITH_BODY,
            "unknown_player",
            "invalid_idempotency_key",
            "idempotency_key_reused",
            "feature_disabled",
            "busy",
            rejections=True,
        ),
    )
    def post(self, request: Request) -> Response:
        key = self.idempotency_key()
        body = HeistRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        heist = execute_heist(
            attacker_id=self.player_id,
            victim_id=body.validated_data["victim"],
            ip_address=client_address(request._request),
            idempotency_key=key,
        )
        if not heist.is_outcome:
            return problems.rejection(heist)
        return Response(
            NewHeistSerializer(heist, context=self.context()).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": request.build_absolute_uri(f"{request.path}{heist.pk}/")},
        )

    def context(self) -> dict[str, Any]:
        return {"player_id": self.player_id}


class HeistView(PlayerView):
    serializer_class = HeistSerializer

    @extend_schema(
        operation_id="heists_retrieve",
        summary="One heist of my history",
        tags=HEISTS,
        parameters=[schema.path_id("heist_id", "The heist's id."), schema.RETRY_AFTER],
        responses={200: HeistSerializer} | schema.problems("not_found"),
    )
    def get(self, request: Request, heist_id: str) -> Response:
        mine = Heist.objects.visible_to(self.player_id).select_related("attacker", "victim")
        heist = mine.filter(pk=self.row_id(heist_id)).first()
        if heist is None:
            raise Http404
        return Response(HeistSerializer(heist, context={"player_id": self.player_id}).data)


class StatsView(PlayerView):
    serializer_class = StatsSerializer

    @extend_schema(
        operation_id="heists_stats",
        summary="My totals",
        tags=HEISTS,
        parameters=[schema.RETRY_AFTER],
        responses={200: StatsSerializer} | schema.problems(),
    )
    def get(self, request: Request) -> Response:
        return Response(StatsSerializer(leaderboard.totals(self.player_id)).data)


class LeaderboardView(PlayerView):
    serializer_class = LeaderboardSerializer
    pagination_class = None

    @extend_schema(
        operation_id="heists_leaderboard",
        summary="This month's most successful attackers",
        description="By points stolen since the month began in the site's time zone.",
        tags=HEISTS,
        parameters=[LeaderboardQuerySerializer, schema.RETRY_AFTER],
        responses={200: LeaderboardSerializer} | schema.problems("validation_error"),
    )
    def get(self, request: Request) -> Response:
        query = LeaderboardQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        now = timezone.now()
        board = {
            "since": rules.month_start(conf.rules(), now),
            "results": leaderboard.leaders(now=now, limit=query.validated_data["limit"]),
        }
        return Response(LeaderboardSerializer(board).data)
