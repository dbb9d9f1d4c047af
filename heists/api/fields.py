"""Serializer fields of the API, and their OpenAPI schemas."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework import ISO_8601, serializers
from rest_framework.exceptions import ErrorDetail

from . import player_ids


class PlayerIdField(serializers.Field[Any, Any, Any, Any]):
    """A player's id, of the JSON type that the host's user key has."""

    default_error_messages = {"invalid_player_id": _("This is not a valid player id.")}

    def to_internal_value(self, data: Any) -> Any:
        try:
            return player_ids.from_json(data)
        except ValueError:
            self.fail("invalid_player_id")

    def to_representation(self, value: Any) -> int | str:
        return player_ids.to_json(value)


class MonthField(serializers.Field[Any, Any, Any, Any]):
    """A calendar month, such as "2026-10"; internally its first day."""

    default_error_messages = {"invalid_month": _('Write a month as "2026-10".')}

    def to_internal_value(self, data: Any) -> dt.date:
        if not isinstance(data, str) or not re.fullmatch("[0-9]{4}-(0[1-9]|1[0-2])", data) or data[:4] == "0000":
            self.fail("invalid_month")
        return dt.date(int(data[:4]), int(data[5:]), 1)

    def to_representation(self, value: dt.date) -> str:
        return f"{value:%Y-%m}"


def require_month(month: dt.date, *, first: dt.date, current: dt.date) -> None:
    """Raise ValidationError where a month is later than the current one, or earlier than the first with data."""
    if month > current:
        raise serializers.ValidationError({"month": ErrorDetail(str(_("This month has not begun.")), "future_month")})
    if month < first:
        error = ErrorDetail(str(_("There is no leaderboard of that month.")), "month_too_early")
        raise serializers.ValidationError({"month": error})


class EnumField(serializers.ChoiceField):
    """One of the values of an enumeration, which is a component with a fixed name in OpenAPI."""

    def __init__(self, choices: Any, *, component: str, **kwargs: Any) -> None:
        super().__init__(choices, **kwargs)
        self.component = component


class StrictBooleanField(serializers.BooleanField):
    """A JSON boolean. Strings and numbers are invalid."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class UTCDateTimeField(serializers.DateTimeField):
    """A time in ISO 8601 and UTC, whatever the host's `DATETIME_FORMAT` and time zone are."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format=ISO_8601, input_formats=[ISO_8601], default_timezone=dt.UTC, **kwargs)


def utc_isoformat(value: dt.datetime | None) -> str | None:
    """Return a time as `UTCDateTimeField` represents it."""
    if value is None:
        return None
    text = value.astimezone(dt.UTC).isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


class PlayerIdSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = PlayerIdField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        return player_ids.json_schema()


class MonthSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = MonthField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        return {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$", "example": "2026-10"}


class EnumSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = EnumField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Any:
        values = ResolvedComponent(  # type: ignore[no-untyped-call]
            name=self.target.component,
            type=ResolvedComponent.SCHEMA,
            object=self.target.component,
            schema={
                "type": "string",
                "enum": list(self.target.choices),
                "description": "\n".join(f"* `{value}`: {label}" for value, label in self.target.choices.items()),
            },
        )
        auto_schema.registry.register_on_missing(values)
        return values.ref
