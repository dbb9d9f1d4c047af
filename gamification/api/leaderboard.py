"""Players by monthly points, of this month and of earlier ones. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from heists.api import schema
from heists.api.base import PlayerView
from heists.api.fields import MonthField, require_month
from heists.api.pagination import PageSlice
from heists.api.serializers import PlayerSerializer, RowSerializer
from heists.api.targets import TargetPagination
from heists.economy import current_month

from .. import standings
from .schema import answer


class LeaderboardQuerySerializer(serializers.Serializer[Any]):
    """Parameters of the leaderboard."""

    month = MonthField(required=False, help_text="A month that has begun; by default the current one.")
    cursor = serializers.CharField(
        required=False, allow_blank=True, help_text="The start of the page; take it from `next` or `previous`."
    )
    page_size = serializers.CharField(
        required=False, allow_blank=True, help_text="Rows of a page: 20 by default, 100 at most."
    )


class PlaceSerializer(RowSerializer):
    """A player on the leaderboard."""

    player = PlayerSerializer()
    monthly_points = serializers.IntegerField()

    def players_of(self, user: Any) -> tuple[Any, ...]:
        return (user,)

    def to_representation(self, user: Any) -> dict[str, Any]:
        return {"player": self.player_data(user), "monthly_points": user.monthly_points}


class LeaderboardSerializer(serializers.Serializer[Any]):
    """A page of a month's leaderboard, most points first."""

    month = MonthField()
    final = serializers.BooleanField(help_text="Whether the month is over and everybody's points of it are kept.")
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = PlaceSerializer(many=True)


class LeaderboardPagination(TargetPagination):
    """Pages that are merged from more than one queryset of users."""

    def paginate(self, request: Request, month: dt.date, now: dt.datetime) -> list[Any]:
        """Return the requested page of a month's leaderboard. Raises NotFound for an invalid cursor."""
        boards = standings.boards(month, now)

        def read_rows(part: PageSlice) -> list[Any]:
            found: dict[Any, Any] = {}
            for board in boards:
                for user in self.slice_queryset(board, part):
                    found.setdefault(user.pk, user)
            rows = sorted(found.values(), key=lambda user: (-user.monthly_points, user.pk), reverse=part.backwards)
            return rows[: part.count]

        return self.page(request, get_user_model(), read_rows)


class LeaderboardView(PlayerView):
    @extend_schema(
        operation_id="leaderboard",
        summary="Players by monthly points",
        description="Players with points in a calendar month of the site's time zone, most points first, ties by id. "
        "An earlier month is `final` once everybody's points of it are kept. A `month` that has not begun, or of which "
        "nothing is kept because it is too early, is an error.",
        tags=["leaderboard"],
        parameters=[LeaderboardQuerySerializer, schema.RETRY_AFTER],
        examples=answer("leaderboard"),
        responses={200: LeaderboardSerializer} | schema.problems("validation_error", "invalid_cursor"),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        query = LeaderboardQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        now = timezone.now()
        current = current_month(now)
        month = query.validated_data.get("month", current)
        if month != current:
            require_month(month, first=standings.first_month(now), current=current)
        pagination = LeaderboardPagination()
        users = pagination.paginate(request, month, now)
        page = {
            "month": f"{month:%Y-%m}",
            "final": standings.is_final(month, now),
            "next": pagination.next,
            "previous": pagination.previous,
            "results": PlaceSerializer(users, many=True).data,
        }
        return Response(page)
