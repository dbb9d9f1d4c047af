"""The players that may be robbed, and the preview of robbing one. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from ..economy import get_economy
from ..queries import preview, search
from ..queries.preview import Target
from ..user_model import MAX_INTEGER, has_active_field
from . import player_ids, schema
from .base import PlayerView
from .pagination import KeysetPagination
from .serializers import PreviewSerializer, TargetQuerySerializer, TargetSerializer

TARGETS_TAG = ["targets"]
# The most players that a page with `eligible` examines, and how many of them one statement reads.
MAX_EXAMINED = 200
EXAMINED_AT_ONCE = 50


class SearchUnavailable(APIException):
    """The economy can't search players by name."""

    status_code = HTTPStatus.BAD_REQUEST
    default_detail = _("This site can't search players by name.")
    default_code = "search_unavailable"


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

    def targets(
        self,
        players: QuerySet[Any],
        request: Request,
        judge: Callable[[list[Any]], Mapping[Any, Target]],
        *,
        eligible: bool,
    ) -> list[Target]:
        """Return the requested page of these players as targets. Raises NotFound for an invalid cursor.

        With `eligible`, the page has those for whom no rule about the victim fails. It examines `MAX_EXAMINED` players
        at most, and the links lead to those before and after the examined ones: a page may have few targets, or none,
        and still have a next one.
        """
        self.request = request
        size = self.page_size()
        limit, at_once = (MAX_EXAMINED, EXAMINED_AT_ONCE) if eligible else (size, size)
        part = self.requested_slice(limit + 1, players.model)
        rows = self.read_slice(part, lambda part: list(self.slice_queryset(self.columns(players), part)))
        found: list[Target] = []
        examined = 0
        for target in _judged(rows[:limit], judge, at_once):
            examined += 1
            # A player may have been deleted between the two statements.
            if target and (target.eligible_as_victim or not eligible):
                found.append(target)
            if eligible and len(found) == size:
                break
        self.set_links(part, rows[:examined], more=examined < len(rows))
        return found[::-1] if part.backwards else found

    def columns(self, players: QuerySet[Any]) -> QuerySet[Any, Any]:
        """Return the players as rows of what a link needs: reading whole users takes longer."""
        return players.values_list("pk", self.key, named=True)


class NamePagination(TargetPagination):
    """Pages in the order of names, of players found by `queries.search`."""

    key = search.NAME
    key_descending = False

    @staticmethod
    def parse_key(value: Any) -> Any:
        if not isinstance(value, str) or "\x00" in value:
            raise ValueError("not a name")
        # Fails for a lone surrogate.
        value.encode()
        return value


def _judged(
    rows: list[Any], judge: Callable[[list[Any]], Mapping[Any, Target]], at_once: int
) -> Iterator[Target | None]:
    """Yield the target of each row; None where the player does not exist any more."""
    for start in range(0, len(rows), at_once):
        pks = [row.pk for row in rows[start : start + at_once]]
        found = judge(pks)
        yield from map(found.get, pks)


class TargetsView(PlayerView):
    serializer_class = TargetSerializer
    pagination_class = TargetPagination

    @extend_schema(
        operation_id="heists_targets_list",
        summary="Players I might rob",
        description="All other active players, in the order of the leaderboard; with `search`, in the order of their "
        "names. While heists are switched off, the list stays readable, and every `code` is `feature_disabled`.",
        tags=TARGETS_TAG,
        parameters=[TargetQuerySerializer, schema.RETRY_AFTER],
        examples=schema.answer("heists_targets_list", rows=True),
        responses={200: TargetSerializer(many=True)}
        | schema.problems("validation_error", "search_unavailable", "invalid_cursor"),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        query = TargetQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        filters, economy = query.validated_data, get_economy()
        pagination = NamePagination() if "search" in filters else TargetPagination()
        players = search.players_named(filters["search"], economy) if "search" in filters else economy.leaderboard()
        if players is None:
            raise SearchUnavailable
        others = players.exclude(pk=self.player_id)
        # `eligible` examines inactive players too, so that a page reads a limited number of rows.
        if has_active_field() and "eligible" not in filters:
            others = others.filter(is_active=True)
        page = pagination.targets(
            others,
            request,
            lambda pks: preview.targets(attacker_id=self.player_id, victim_ids=pks, economy=economy),
            eligible="eligible" in filters,
        )
        return pagination.get_paginated_response(TargetSerializer(page, many=True).data)


class TargetView(PlayerView):
    serializer_class = PreviewSerializer

    @extend_schema(
        operation_id="heists_targets_retrieve",
        summary="Preview of robbing one player",
        description="What would happen to an attempt now, by the same rules. It never reveals a shield.",
        tags=TARGETS_TAG,
        parameters=[schema.player_path_id("player_id", "The player's id."), schema.RETRY_AFTER],
        examples=schema.answer("heists_targets_retrieve"),
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
