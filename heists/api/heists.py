"""Execute heists; read the history, the totals and the leaderboard. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from .. import rules
from ..choices import HeistRole
from ..models import Heist, HeistQuerySet
from ..queries import leaderboard
from ..services import execute_heist
from . import problems, schema
from .base import AttemptMixin, PlayerView
from .client_address import client_address
from .fields import require_month
from .pagination import CompiledPagination, PageSlice
from .serializers import (
    HeistQuerySerializer,
    HeistRequestSerializer,
    HeistSerializer,
    LeaderboardQuerySerializer,
    LeaderboardSerializer,
    NewHeistSerializer,
    StatsSerializer,
)

HEISTS_TAG = ["heists"]
# By parameter of the history.
LOOKUPS = {"status": "status", "created_after": "created_at__gte", "created_before": "created_at__lt"}


def heists_of_attacker() -> HeistQuerySet:
    """Return heists that their attacker may read, with both players and the reversal."""
    return Heist.objects.with_reversal().select_related("attacker", "victim")


def heists_of_victim() -> HeistQuerySet:
    """Return heists that their victim may read, with both players and the reversal."""
    # The same condition as that of the index heists_heist_victim_outcomes.
    return Heist.objects.with_reversal().filter(token_spent=True).select_related("attacker", "victim")


class HistoryPagination(CompiledPagination):
    """Pages of a player's heists; without a role, each is merged from a page of either role.

    No index serves "attacker or victim": PostgreSQL would sort the player's whole history, or scan that of everybody.
    """

    model = Heist
    querysets: dict[str, Callable[[], HeistQuerySet]] = {
        HeistRole.ATTACKER: heists_of_attacker,
        HeistRole.VICTIM: heists_of_victim,
    }

    def __init__(self, player_id: Any = None, role: str | None = None) -> None:
        self.player_id = player_id
        self.roles = (role,) if role else tuple(HeistRole)

    def read_rows(self, filters: Mapping[str, Any], part: PageSlice) -> list[Any]:
        rows = []
        for role in self.roles:
            rows += self.fetch(self.querysets[role], {**filters, role: self.player_id}, part)
        rows.sort(key=lambda heist: (heist.created_at, heist.pk), reverse=not part.backwards)
        return rows[: part.count]


class HeistsView(AttemptMixin, PlayerView):
    serializer_class = HeistSerializer
    pagination_class = HistoryPagination

    @extend_schema(
        operation_id="heists_list",
        summary="My history",
        description="My attempts, and the outcomes of attempts on me, newest first. Rejected attempts on me are not "
        "shown.",
        tags=HEISTS_TAG,
        parameters=[HeistQuerySerializer, schema.RETRY_AFTER],
        examples=schema.answer("heists_list", rows=True),
        responses={200: HeistSerializer(many=True)} | schema.problems("validation_error", "invalid_cursor"),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        query = HeistQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        filters = query.validated_data
        pagination = HistoryPagination(self.player_id, filters.pop("role", None))
        page: Any = pagination.paginate(request, {LOOKUPS[name]: value for name, value in filters.items()})
        return pagination.get_paginated_response(HeistSerializer(page, many=True, context=self.context()).data)

    @extend_schema(
        operation_id="heists_create",
        summary="Rob a player",
        description="201 for an outcome: points moved, or a shield blocked the attack. Both spend the token. 409 for "
        "a rejection: a rule failed, and nothing was spent. If the answer is lost, send the same request with the "
        "same `Idempotency-Key` again.",
        tags=HEISTS_TAG,
        parameters=[
            schema.IDEMPOTENCY_KEY,
            schema.RETRY_AFTER,
            OpenApiParameter(
                "Location", str, OpenApiParameter.HEADER, response=[201], description="The heist's address."
            ),
        ],
        request=HeistRequestSerializer,
        examples=schema.answer("heists_create"),
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
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = self.idempotency_key()
        body = HeistRequestSerializer(data=self.body())
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
        description="Other players' heists and rejected attempts on me are a 404.",
        tags=HEISTS_TAG,
        parameters=[schema.path_id("heist_id", "The heist's id."), schema.RETRY_AFTER],
        examples=schema.answer("heists_retrieve"),
        responses={200: HeistSerializer} | schema.problems("not_found"),
    )
    def get(self, request: Request, *args: Any, heist_id: str, **kwargs: Any) -> Response:
        heists = Heist.objects.visible_to(self.player_id).with_reversal().select_related("attacker", "victim")
        heist = heists.filter(pk=self.row_id(heist_id)).first()
        if heist is None:
            raise Http404
        return Response(HeistSerializer(heist, context={"player_id": self.player_id}).data)


class StatsView(PlayerView):
    serializer_class = StatsSerializer

    @extend_schema(
        operation_id="heists_stats",
        summary="My totals",
        description="Over all of my heists, as attacker and as victim.",
        tags=HEISTS_TAG,
        parameters=[schema.RETRY_AFTER],
        examples=schema.answer("heists_stats"),
        responses={200: StatsSerializer} | schema.problems(),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(StatsSerializer(leaderboard.totals(self.player_id)).data)


class LeaderboardView(PlayerView):
    serializer_class = LeaderboardSerializer

    @extend_schema(
        operation_id="heists_leaderboard",
        summary="A month's most successful attackers",
        description="By points stolen in a calendar month of the site's time zone. The ranking may be a minute old. A "
        "`month` that has not begun, or is before the first heist, is an error.",
        tags=HEISTS_TAG,
        parameters=[LeaderboardQuerySerializer, schema.RETRY_AFTER],
        examples=schema.answer("heists_leaderboard"),
        responses={200: LeaderboardSerializer} | schema.problems("validation_error"),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        query = LeaderboardQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        now, zone = timezone.now(), settings.TIME_ZONE
        current = rules.month_of(zone, now)
        month = query.validated_data.get("month", current)
        if month != current:
            require_month(month, first=leaderboard.first_month(now), current=current)
        board = {
            "month": month,
            "since": rules.day_start(zone, month),
            "until": rules.day_start(zone, rules.month_after(month)),
            "results": leaderboard.leaders(month=month, now=now, limit=query.validated_data["limit"]),
        }
        return Response(LeaderboardSerializer(board).data)
