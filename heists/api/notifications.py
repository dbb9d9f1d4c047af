"""The player's notifications. See docs/specification.md, "Notifications" and "HTTP API"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import router
from django.db.models import Count, Subquery
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ..db.compiled import Param
from ..models import HeistNotification, HeistNotificationQuerySet
from ..services import mark_all_read, mark_read
from . import schema
from .base import PlayerView
from .pagination import CompiledPagination, PageSlice
from .polling import PolledView
from .serializers import MarkedSerializer, NotificationQuerySerializer, NotificationSerializer

NOTIFICATIONS_TAG = ["notifications"]


def notifications_of(player_id: Any) -> HeistNotificationQuerySet:
    return HeistNotification.objects.filter(user=player_id)


def _write_alias() -> str:
    """Return the alias of the database for writes. An answer to a write reads there: a replica may lag behind."""
    return router.db_for_write(HeistNotification)


def with_unread_count() -> HeistNotificationQuerySet:
    """Return notifications, each annotated with the number of unread ones of the parameter `user`."""
    user: Any = Param("user", HeistNotification._meta.get_field("user"))
    # No correlated subquery: the database counts once, not for each row.
    unread = HeistNotification.objects.filter(user=user).unread().values("user").annotate(count=Count("*"))
    return HeistNotification.objects.annotate(unread_count=Subquery(unread.values("count")))


class NotificationPagination(CompiledPagination):
    """Pages of a player's notifications, each with the number of all unread ones."""

    model = HeistNotification

    def __init__(self, player_id: Any = None) -> None:
        self.player_id = player_id

    def read_rows(self, filters: Mapping[str, Any], part: PageSlice) -> list[Any]:
        rows = self.fetch(with_unread_count, {**filters, "user": self.player_id}, part)
        self.unread_count = (rows[0].unread_count or 0) if rows else notifications_of(self.player_id).unread().count()
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        response = super().get_paginated_response(data)
        response.data["unread_count"] = self.unread_count
        return response

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        page = super().get_paginated_response_schema(schema)
        page["required"].append("unread_count")
        page["properties"]["unread_count"] = {"type": "integer", "description": "Of all my notifications."}
        return page


class NotificationsView(PolledView):
    serializer_class = NotificationSerializer
    pagination_class = NotificationPagination

    @extend_schema(
        operation_id="heists_notifications_list",
        summary="My notifications",
        description="Newest first.",
        tags=NOTIFICATIONS_TAG,
        parameters=[NotificationQuerySerializer, *schema.POLLED, schema.RETRY_AFTER],
        responses={200: NotificationSerializer(many=True)}
        | schema.NOT_MODIFIED
        | schema.problems("validation_error", "invalid_cursor"),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        query = NotificationQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        pagination = NotificationPagination(self.player_id)
        page: Any = pagination.paginate(request, query.validated_data)
        return pagination.get_paginated_response(NotificationSerializer(page, many=True).data)


class NotificationReadView(PlayerView):
    serializer_class = NotificationSerializer

    @extend_schema(
        operation_id="heists_notifications_read",
        summary="Mark one as read",
        description="Safe to repeat.",
        tags=NOTIFICATIONS_TAG,
        parameters=[schema.path_id("notification_id", "The notification's id."), schema.RETRY_AFTER],
        request=None,
        responses={200: NotificationSerializer} | schema.problems("not_found"),
    )
    def post(self, request: Request, *args: Any, notification_id: str, **kwargs: Any) -> Response:
        pk = self.row_id(notification_id)
        if not mark_read(player_id=self.player_id, notification_id=pk):
            raise Http404
        notification = notifications_of(self.player_id).using(_write_alias()).filter(pk=pk).first()
        if notification is None:
            raise Http404
        return Response(NotificationSerializer(notification).data)


class NotificationsReadAllView(PlayerView):
    serializer_class = MarkedSerializer

    @extend_schema(
        operation_id="heists_notifications_read_all",
        summary="Mark all as read",
        description="Safe to repeat.",
        tags=NOTIFICATIONS_TAG,
        parameters=[schema.RETRY_AFTER],
        request=None,
        responses={200: MarkedSerializer} | schema.problems(),
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        marked = mark_all_read(player_id=self.player_id)
        unread = notifications_of(self.player_id).using(_write_alias()).unread().count()
        return Response(MarkedSerializer({"marked": marked, "unread_count": unread}).data)
