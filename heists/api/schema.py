"""What OpenAPI says about the answers: every status, its problems by code, and an example of each (spec section 6)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema_serializer
from rest_framework import serializers

from ..choices import FailureCode, HeistStatus
from ..messages import FAILURES
from ..models.base import IDEMPOTENCY_KEY_MAX_LENGTH
from . import player_ids
from .fields import TimeField, WordField
from .problems import MEDIA_TYPE, TYPE_PREFIX

# Each code of the framework's and heists' own problems: its status, and what it says.
PROBLEMS: dict[str, tuple[int, str]] = {
    "validation_error": (400, "The request is not valid; `errors` says which field and why."),
    "parse_error": (400, "The body is not valid JSON."),
    "unknown_player": (400, "There is no such player."),
    "invalid_idempotency_key": (400, "The `Idempotency-Key` is not 1 to 255 printable ASCII characters."),
    "not_authenticated": (401, "You are not signed in."),
    "authentication_failed": (401, "Your credentials are wrong or expired."),
    "inactive_account": (403, "Your account is not active."),
    "permission_denied": (403, "You may not do this, or a CSRF token is missing."),
    "not_found": (404, "There is no such thing, or it is not yours."),
    "invalid_cursor": (404, "There is no such page."),
    "not_acceptable": (406, "Nothing you accept can be sent."),
    "no_coins": (409, "This site has no coins, so there are no shields to buy."),
    "insufficient_coins": (409, "You do not have enough coins."),
    "shield_already_live": (409, "You already have a live shield."),
    "payload_too_large": (413, "The body is too long."),
    "unsupported_media_type": (415, "The body is not `application/json`."),
    "idempotency_key_reused": (422, "This key was used before with another request."),
    "throttled": (429, "Too many requests in this minute; `Retry-After` says when to come back."),
    "feature_disabled": (503, "Heists are switched off at the moment."),
    "busy": (503, "Nothing was done; try again."),
    "database_unavailable": (503, "The database can't be reached; try again."),
}
# What any request may meet.
ALWAYS = (
    "not_authenticated",
    "authentication_failed",
    "inactive_account",
    "permission_denied",
    "not_acceptable",
    "throttled",
    "database_unavailable",
)
WITH_BODY = ("validation_error", "parse_error", "payload_too_large", "unsupported_media_type")
COUNTED = {FailureCode.INSUFFICIENT_TOKENS: (1, 0), FailureCode.INSUFFICIENT_POINTS: (20, 15)}


@extend_schema_serializer(component_name="HeistFieldError")
class FieldErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with one field."""

    field = serializers.CharField(help_text="Its name; `non_field_errors` for the body as a whole.")
    code = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_serializer(component_name="HeistProblem")
class ProblemSerializer(serializers.Serializer[Any]):
    """An error, as RFC 9457 has it. Decide by `code`; show `detail`, which is in the reader's language."""

    type = serializers.CharField(help_text="A URN for `code`.")
    title = serializers.CharField()
    status = serializers.IntegerField(help_text="The HTTP status.")
    detail = serializers.CharField()
    code = serializers.CharField(help_text="For a rejection, the failure code.")
    errors = FieldErrorSerializer(  # type: ignore[assignment]
        many=True, required=False, help_text="For `validation_error`: each invalid field."
    )
    heist = serializers.IntegerField(required=False, help_text="For a rejection: its id in your history.")
    heist_status = WordField(
        HeistStatus.choices, component="HeistStatus", required=False, help_text="For a rejection: its status."
    )
    retry_at = TimeField(required=False, help_text="When to try again, where time decides.")
    required = serializers.IntegerField(  # type: ignore[assignment]
        required=False, help_text="How many tokens, points or coins it takes."
    )
    available = serializers.IntegerField(required=False, help_text="How many there are.")
    expires_at = TimeField(required=False, help_text="For `shield_already_live`: when it ends.")


class ProblemKey(tuple[int, str]):
    """A status and its media type, which as text sorts behind a plain status.

    drf-spectacular tells a list from an object by the answer of the least key, as text: as "(400, …", a problem would
    stand before the 200, and every list would lose its `cursor` and `page_size`.
    """

    def __str__(self) -> str:
        return f"{self[0]} {self[1]}"


def problems(*codes: str, rejections: bool = False, **statuses: int) -> dict[Any, OpenApiResponse]:
    """Return the responses for these codes and for what any request may meet, to be merged into `responses`.

    `statuses` moves a code to another status than its usual one.
    """
    by_status: dict[int, list[tuple[str, str, dict[str, Any]]]] = {}
    for code in dict.fromkeys((*codes, *ALWAYS)):
        status, says = PROBLEMS[code]
        by_status.setdefault(statuses.get(code, status), []).append((code, says, {}))
    if rejections:
        by_status.setdefault(409, []).extend(
            (code.value, FAILURES[code], _members(code)) for code in FailureCode.rejections()
        )
    return {
        ProblemKey((status, MEDIA_TYPE)): OpenApiResponse(
            ProblemSerializer,
            "\n".join(f"* `{code}`: {says}" for code, says, _ in found),
            [_example(status, code, says, members) for code, says, members in found],
        )
        for status, found in sorted(by_status.items())
    }


def _members(code: FailureCode) -> dict[str, Any]:
    members: dict[str, Any] = {"heist": 4711, "heist_status": code.status.value}
    if code in FailureCode.timed():
        members["retry_at"] = "2026-03-02T18:30:00Z"
    if code in COUNTED:
        members |= dict(zip(("required", "available"), COUNTED[code], strict=True))
    return members


def _example(status: int, code: str, says: str, members: dict[str, Any]) -> OpenApiExample:
    if code == "validation_error":
        members = {"errors": [{"field": "victim", "code": "invalid_player_id", "detail": "This is no player's id."}]}
    body = {"type": TYPE_PREFIX + code, "title": code, "status": status, "detail": says, "code": code, **members}
    return OpenApiExample(
        code, body, summary=says, response_only=True, status_codes=[str(status)], media_type=MEDIA_TYPE
    )


RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    description="Seconds to wait, where time decides.",
    response=[409, 429, 503],
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_MAX_LENGTH, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="Any text of your own, new for each intention, the same when you send it again after a lost answer: "
    "the same key gives the same heist, and robs nobody twice.",
)


def path_id(name: str, description: str) -> OpenApiParameter:
    """Describe the id in an address; it is read as text, so that a wrong one is a 404."""
    return OpenApiParameter(
        name, {"type": "integer", "format": "int64", "minimum": 1}, OpenApiParameter.PATH, description=description
    )


def player_path_id(name: str, description: str) -> OpenApiParameter:
    """Describe a player's id in an address, of the type that the host's user key has."""
    return OpenApiParameter(name, player_ids.json_schema(), OpenApiParameter.PATH, description=description)
