"""Ask for a truce, and read one's own. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from .. import in_force
from ..models import Truce
from ..queries import truces
from ..services import set_truce
from . import schema
from .base import AttemptMixin, PlayerView
from .fields import StrictBooleanField, UTCDateTimeField

TRUCE_TAG = ["truce"]


class TruceWishSerializer(serializers.Serializer[Any]):
    """Whether I want a truce."""

    wanted = StrictBooleanField()


class TruceSerializer(serializers.Serializer[Any]):
    """My truce. Only I see when it begins and ends; others see that an attempt fails now."""

    enabled = serializers.BooleanField(help_text="Whether this site has truces; without, none counts.")
    wanted = serializers.BooleanField(help_text="My last wish. It takes effect with the next month.")
    in_force = serializers.BooleanField(help_text="Whether I have a truce now: I can't rob and can't be robbed.")
    starts_at = UTCDateTimeField(
        allow_null=True, help_text="When the truce that I have now or will have begins or began."
    )
    ends_at = UTCDateTimeField(allow_null=True, help_text="When it ends; null while it is wanted.")
    takes_effect_at = UTCDateTimeField(help_text="When a wish made now takes effect: the beginning of the next month.")


class TruceView(AttemptMixin, PlayerView):
    serializer_class = TruceSerializer
    attempt_method = "PUT"

    @extend_schema(
        operation_id="heists_truce",
        summary="My truce",
        description="In a truce I can't rob and can't be robbed. It lasts whole months of the site's time zone.",
        tags=TRUCE_TAG,
        parameters=[schema.RETRY_AFTER],
        examples=schema.answer("heists_truce"),
        responses={200: TruceSerializer} | schema.problems(),
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        now = timezone.now()
        return self._answer(Truce.objects.current(self.player_id, now))

    @extend_schema(
        operation_id="heists_truce_wish",
        summary="Ask for a truce, or for none",
        description="A wish takes effect with the next month: a truce begins then, or ends then. Until then, it can be "
        "taken back. Asking for what is already so changes nothing.",
        tags=TRUCE_TAG,
        parameters=[schema.RETRY_AFTER],
        request=TruceWishSerializer,
        examples=schema.answer("heists_truce_wish"),
        responses={200: TruceSerializer}
        | schema.problems(*schema.WITH_BODY, "truce_disabled", "feature_disabled", "busy"),
    )
    def put(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = TruceWishSerializer(data=self.body())
        body.is_valid(raise_exception=True)
        return self._answer(set_truce(player_id=self.player_id, wanted=body.validated_data["wanted"]))

    def _answer(self, truce: Truce | None) -> Response:
        now = timezone.now()
        return Response(TruceSerializer(truces.state(truce, in_force.rules(now), now)).data)
