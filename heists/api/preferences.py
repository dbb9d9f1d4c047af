"""The player's email preference. See docs/specification.md, "Notifications"."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ..choices import HeistNotificationType
from ..models import EmailPreference
from ..services import set_email_preference
from . import schema
from .base import PlayerView
from .fields import StrictBooleanField
from .notifications import NOTIFICATIONS_TAG


class EmailTypesSerializer(serializers.Serializer[Any]):
    """Whether I get emails, by type of notification."""

    def get_fields(self) -> dict[str, Any]:
        return {type.value: StrictBooleanField(required=False, help_text=type.label) for type in HeistNotificationType}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(map(str, data.keys() - set(HeistNotificationType.values)))):
            raise serializers.ValidationError({name: _("There is no such type.") for name in unknown})
        return super().to_internal_value(data)


class EmailPreferenceSerializer(serializers.Serializer[Any]):
    """Which notifications I also get by email."""

    email = StrictBooleanField(required=False, help_text="Whether I get emails; false turns off all types.")
    types = EmailTypesSerializer(required=False)

    def to_representation(self, preference: EmailPreference) -> dict[str, Any]:
        return {
            "email": not preference.muted,
            "types": {type: type not in preference.muted_types for type in HeistNotificationType.values},
        }


class EmailPreferenceView(PlayerView):
    serializer_class = EmailPreferenceSerializer

    @extend_schema(
        operation_id="heists_preferences",
        summary="Which emails I get",
        description="`email` is false where all are turned off.",
        tags=NOTIFICATIONS_TAG,
        parameters=[schema.RETRY_AFTER],
        examples=schema.answer("heists_preferences"),
        responses={200: EmailPreferenceSerializer} | schema.problems(),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(EmailPreferenceSerializer(EmailPreference.objects.for_player(self.player_id)).data)

    @extend_schema(
        operation_id="heists_preferences_change",
        summary="Choose the emails I get",
        description="Fields that are left out stay as they are. Notifications in the game are not affected.",
        tags=NOTIFICATIONS_TAG,
        parameters=[schema.RETRY_AFTER],
        examples=schema.answer("heists_preferences_change"),
        responses={200: EmailPreferenceSerializer} | schema.problems(*schema.WITH_BODY, "busy"),
    )
    def patch(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = EmailPreferenceSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        email, types = body.validated_data.get("email"), body.validated_data.get("types", {})
        preference = set_email_preference(
            player_id=self.player_id,
            muted=None if email is None else not email,
            mute=[HeistNotificationType(type) for type, wanted in types.items() if not wanted],
            unmute=[HeistNotificationType(type) for type, wanted in types.items() if wanted],
        )
        return Response(EmailPreferenceSerializer(preference).data)
