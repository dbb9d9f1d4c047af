"""Which letters I want (spec section 5)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ..choices import HeistNotificationType
from ..models import LetterPreference
from ..services import choose_letters, letter_preference
from .base import PlayerView


class LetterTypesSerializer(serializers.Serializer[Any]):
    """One switch for each type of notification."""

    def get_fields(self) -> dict[str, Any]:
        return {type.value: serializers.BooleanField(required=False, help_text=type.label) for type in HeistNotificationType}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(map(str, data.keys() - set(HeistNotificationType.values)))):
            raise serializers.ValidationError({name: _("There is no such type.") for name in unknown})
        return super().to_internal_value(data)


class LetterPreferenceSerializer(serializers.Serializer[Any]):
    email = serializers.BooleanField(required=False, help_text="Whether I get letters at all.")
    types = LetterTypesSerializer(required=False)

    def to_representation(self, preference: LetterPreference) -> dict[str, Any]:
        return {
            "email": not preference.muted,
            "types": {type: type not in preference.muted_types for type in HeistNotificationType.values},
        }


@extend_schema(tags=["notifications"])
class LetterPreferenceView(PlayerView):
    serializer_class = LetterPreferenceSerializer
    pagination_class = None

    @extend_schema(operation_id="preferences_retrieve", summary="Which letters I get")
    def get(self, request: Request) -> Response:
        return Response(self.get_serializer(letter_preference(player_id=self.player_id)).data)

    @extend_schema(
        operation_id="preferences_change",
        summary="Choose the letters I get",
        description="What is left out stays as it is. Notifications in the game stay, whatever is chosen.",
    )
    def patch(self, request: Request) -> Response:
        form = self.get_serializer(data=request.data)
        form.is_valid(raise_exception=True)
        email, types = form.validated_data.get("email"), form.validated_data.get("types", {})
        preference = choose_letters(
            player_id=self.player_id,
            muted=None if email is None else not email,
            mute=[HeistNotificationType(type) for type, wanted in types.items() if not wanted],
            unmute=[HeistNotificationType(type) for type, wanted in types.items() if wanted],
        )
        return Response(self.get_serializer(preference).data)
