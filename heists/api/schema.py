"""The OpenAPI descriptions of problems, headers and path parameters. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema_serializer
from rest_framework import serializers

from ..choices import FailureCode, HeistStatus
from ..messages import FAILURES
from ..models.base import IDEMPOTENCY_KEY_MAX_LENGTH
from . import player_ids
from .fields import EnumField, UTCDateTimeField
from .problems import MEDIA_TYPE

# The status and description of each code; the codes of rejections are in `FailureCode`.
PROBLEMS: dict[str, tuple[int, str]] = {
    "validation_error": (400, "The request is not valid; `errors` has the fields."),
    "parse_error": (400, "The body is not valid JSON."),
    "unknown_player": (400, "There is no such player."),
    "invalid_idempotency_key": (
        400,
        f"The `Idempotency-Key` is not 1 to {IDEMPOTENCY_KEY_MAX_LENGTH} printable ASCII characters.",
    ),
    "search_unavailable": (400, "This site can't search players by name."),
    "not_authenticated": (401, "You are not signed in."),
    "authentication_failed": (401, "Your credentials are wrong or expired."),
    "inactive_account": (403, "Your account is not active."),
    "permission_denied": (403, "You may not do this, or a CSRF token is missing."),
    "not_found": (404, "It does not exist, or is not yours."),
    "invalid_cursor": (404, "There is no such page."),
    "not_acceptable": (406, "The answer is not available in a media type that you accept."),
    "no_coins": (409, "This site has no coins, so there are no shields to buy."),
    "insufficient_coins": (409, "You do not have enough coins."),
    "shield_already_live": (409, "You already have a live shield."),
    "truce_disabled": (409, "There are no truces on this site at the moment."),
    "length_required": (411, "The request has a body and no `Content-Length`."),
    "payload_too_large": (413, "The body is too long."),
    "unsupported_media_type": (415, "The body is not `application/json`."),
    "idempotency_key_reused": (422, "This key was used before with another request."),
    "throttled": (429, "Too many requests in this minute. Repeat after `Retry-After`."),
    "feature_disabled": (503, "Heists are switched off. Do not repeat."),
    "busy": (503, "Nothing was changed. Repeat after `Retry-After`."),
    "database_unavailable": (503, "The database is not available. Repeat after `Retry-After`."),
}
# The codes that every operation may answer with.
COMMON_CODES = (
    "not_authenticated",
    "authentication_failed",
    "inactive_account",
    "permission_denied",
    "not_acceptable",
    "throttled",
    "database_unavailable",
)
WITH_BODY = ("validation_error", "parse_error", "length_required", "payload_too_large", "unsupported_media_type")
# Real answers: of each operation by its id, and of each problem by its code. A test writes and compares them.
EXAMPLES_FILE = Path(__file__).parent / "examples.json"
EXAMPLES: dict[str, dict[str, Any]] = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))


@extend_schema_serializer(component_name="HeistFieldError")
class FieldErrorSerializer(serializers.Serializer[Any]):
    """An invalid field."""

    field = serializers.CharField(help_text="Its name, or dotted path; `non_field_errors` for the body as a whole.")
    code = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_serializer(component_name="HeistProblem")
class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457). Decide by `code`; show `detail`, which is in the language of the request."""

    type = serializers.CharField(help_text="A URN for `code`.")
    title = serializers.CharField()
    status = serializers.IntegerField(help_text="The HTTP status.")
    detail = serializers.CharField()
    code = serializers.CharField(help_text="For a rejection, the failure code.")
    errors = FieldErrorSerializer(  # type: ignore[assignment]
        many=True, required=False, help_text="For `validation_error`: the invalid fields."
    )
    heist = serializers.IntegerField(required=False, help_text="For a rejection: its id in your history.")
    heist_status = EnumField(
        HeistStatus.choices, component="HeistStatus", required=False, help_text="For a rejection: its status."
    )
    retry_at = UTCDateTimeField(required=False, help_text="When to try again, where time decides.")
    required = serializers.IntegerField(  # type: ignore[assignment]
        required=False, help_text="Tokens, points or coins that are needed."
    )
    available = serializers.IntegerField(required=False, help_text="Tokens, points or coins that there are.")
    expires_at = UTCDateTimeField(required=False, help_text="For `shield_already_live`: when it ends.")


class ProblemKey(tuple[int, str]):
    """A status and a media type, which sorts after a plain status as text.

    drf-spectacular decides by the first response whether an operation is a list, and sorts them as text. "(400, …"
    would be before "200", and lists would lose `cursor` and `page_size`.
    """

    def __str__(self) -> str:
        return f"{self[0]} {self[1]}"


def problems(*codes: str, rejections: bool = False) -> dict[Any, OpenApiResponse]:
    """Return the responses of these codes and of `COMMON_CODES`, to be merged into `responses`."""
    described = {code: PROBLEMS[code] for code in (*codes, *COMMON_CODES)}
    if rejections:
        described |= {code.value: (409, FAILURES[code]) for code in FailureCode.rejections()}
    return problem_responses(described, EXAMPLES["problems"])


def problem_responses(
    described: dict[str, tuple[int, str]], examples: dict[str, dict[str, Any]]
) -> dict[Any, OpenApiResponse]:
    """Return the responses of these codes, each with its status and description, and with its example."""
    by_status: dict[int, list[tuple[str, str]]] = {}
    for code, (status, description) in described.items():
        by_status.setdefault(status, []).append((code, description))
    return {
        ProblemKey((status, MEDIA_TYPE)): OpenApiResponse(
            ProblemSerializer,
            "\n".join(f"* `{code}`: {description}" for code, description in found),
            [_example(status, code, description, examples.get(code, {})) for code, description in found],
        )
        for status, found in sorted(by_status.items())
    }


def _example(status: int, code: str, description: str, value: dict[str, Any]) -> OpenApiExample:
    return OpenApiExample(
        code,
        value,
        summary=description,
        response_only=True,
        status_codes=[str(status)],
        media_type=MEDIA_TYPE,
    )


def answer(operation_id: str, *, rows: bool = False) -> list[OpenApiExample]:
    """Return the example of a successful answer, for `examples`. `rows`: the operation answers with a page of rows."""
    value = EXAMPLES["answers"].get(operation_id, {})
    if rows:
        # drf-spectacular puts the row in a page, with the examples of the pagination.
        value = next(iter(value.get("results", ())), {})
    return [OpenApiExample(operation_id, value, response_only=True)]


RETRY_AFTER = OpenApiParameter(
    "Retry-After",
    int,
    OpenApiParameter.HEADER,
    description="Seconds to wait, where time decides.",
    response=[409, 429, 503],
)
# The parameters of an operation whose answers have an ETag, and the response that is shorter.
POLLED = [
    OpenApiParameter(
        "If-None-Match",
        str,
        OpenApiParameter.HEADER,
        description="The `ETag` of the answer that you have: if it is still the same, this one is a 304 without a "
        "body.",
    ),
    OpenApiParameter(
        "ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="Changes exactly if the answer does."
    ),
]
NOT_MODIFIED = {304: OpenApiResponse(description="You have this answer already.")}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_MAX_LENGTH, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="A text of your choice. Use a new one for each intention, and the same one to repeat a request: the "
    "answer is the same, and nothing is done twice.",
)


def path_id(name: str, description: str) -> OpenApiParameter:
    """Return the parameter for a row's id in a path. The URL pattern accepts any text, so that a wrong id is a 404."""
    return OpenApiParameter(
        name, {"type": "integer", "format": "int64", "minimum": 1}, OpenApiParameter.PATH, description=description
    )


def player_path_id(name: str, description: str) -> OpenApiParameter:
    """Return the parameter for a player's id in a path."""
    return OpenApiParameter(name, player_ids.json_schema(), OpenApiParameter.PATH, description=description)
