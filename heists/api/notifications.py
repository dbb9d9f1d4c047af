"""The player's notifications. See docs/specification.md, "Notifications" and "HTTP API"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import router
from django.db.models import Count, Subquery
from django.http import Http404
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ..choices import GrantReason, HeistNotificationType
from ..db.compiled import Param
from ..messages import notification_message
from ..models import HeistNotification, HeistNotificationQuerySet
from ..services import mark_all_read, mark_read
from . import schema
from .base import PlayerView
from .fields import EnumField, PlayerIdField, UTCDateTimeField, utc_isoformat
from .pagination import CompiledPagination, PageSlice
from .polling import PolledView
from .serializers import RowSerializer

NOTIFICATIONS_TAG = ["notifications"]


class NotificationQuerySerializer(serializers.Serializer[Any]):
    """Filters of the notifications."""

    read = serializers.BooleanField(required=False, help_text="Only read notifications, or only unread ones.")
    type = EnumField(
        HeistNotificationType.choices,
        component="HeistNotificationType",
        required=False,
        help_text="Only notifications of this type.",
    )


@extend_schema_serializer(component_name="HeistNotificationMetadata")
class NotificationMetadataSerializer(serializers.Serializer[Any]):
    """Ids, names and numbers of a notification; which of them there are depends on its type."""

    attacker_id = PlayerIdField(required=False)
    attacker_name = serializers.CharField(required=False)
    victim_id = PlayerIdField(required=False)
    victim_name = serializers.CharField(required=False)
    points = serializers.IntegerField(required=False, help_text="Points that were stolen, or returned.")
    protection_until = UTCDateTimeField(required=False, help_text="The end of the victim's protection.")
    grant_id = serializers.IntegerField(required=False)
    amount = serializers.IntegerField(required=False, help_text="Tokens that were granted.")
    reason = EnumField(
        GrantReason.choices, component="HeistGrantReason", required=False, help_text="Why tokens were granted."
    )
    referred_id = PlayerIdField(required=False, help_text="The new player who signed up.")
    referred_name = serializers.CharField(required=False)
    note = serializers.CharField(required=False, help_text="What the team writes to both players about a reversal.")
    shield_id = serializers.IntegerField(required=False)
    expired_at = UTCDateTimeField(required=False, help_text="The end of the shield.")


@extend_schema_serializer(component_name="HeistNotification")
class NotificationSerializer(RowSerializer):
    """A notification."""

    id = serializers.IntegerField(source="pk")
    type = EnumField(HeistNotificationType.choices, component="HeistNotificationType")
    message = serializers.CharField(read_only=True, help_text="In your language.")
    heist = serializers.IntegerField(source="heist_id", allow_null=True, help_text="The id of the heist it is about.")
    metadata = NotificationMetadataSerializer(read_only=True)
    read = serializers.BooleanField()
    created_at = UTCDateTimeField()

    def to_representation(self, notification: HeistNotification) -> dict[str, Any]:
        message = notification_message(notification.type, notification.metadata, self.gettext)
        return {
            "id": notification.pk,
            "type": notification.type,
            "message": message or notification.message,
            "heist": notification.heist_id,
            "metadata": notification.metadata or {},
            "read": notification.read,
            "created_at": utc_isoformat(notification.created_at),
        }


@extend_schema_serializer(component_name="HeistNotificationsMarked")
class MarkedSerializer(serializers.Serializer[Any]):
    """How many notifications were marked."""

    marked = serializers.IntegerField()
    unread_count = serializers.IntegerField()


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
        page["properties"]["unread_count"] = {
            "type": "integer",
            "description": "Of all my notifications.",
            "example": 1,
        }
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
        examples=schema.answer("heists_notifications_list", rows=True),
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
        examples=schema.answer("heists_notifications_read"),
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
        examples=schema.answer("heists_notifications_read_all"),
        responses={200: MarkedSerializer} | schema.problems(),
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        marked = mark_all_read(player_id=self.player_id)
        unread = notifications_of(self.player_id).using(_write_alias()).unread().count()
        return Response(MarkedSerializer({"marked": marked, "unread_count": unread}).data)
