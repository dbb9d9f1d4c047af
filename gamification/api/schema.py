"""The sign-in tokens and examples in the OpenAPI schema; imported when the app is ready."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from heists.api import schema

# The status and description of each code that `heists` does not have.
PROBLEMS: dict[str, tuple[int, str]] = {
    "unknown_referral_code": (400, "This referral code does not exist."),
    "invalid_credentials": (401, "No account has this username and password."),
    "username_taken": (409, "Another account has this username."),
}
# Requests that succeed, by operation id.
REQUESTS: dict[str, dict[str, str]] = {
    "signup": {"username": "erin", "password": "a-fine-day-for-it"},
    "login": {"username": "erin", "password": "a-fine-day-for-it"},
    "change_password": {"password": "a-fine-day-for-it", "new_password": "another-fine-day"},
}
# The codes of the problems that an operation may answer with.
_EVERY = ("not_acceptable", "busy", "database_unavailable")
_SIGNED_IN = ("not_authenticated", "authentication_failed", "permission_denied")
_LIMITED = ("validation_error", "parse_error", "payload_too_large", "unsupported_media_type", "throttled", *_EVERY)
CODES: dict[str, tuple[str, ...]] = {
    "signup": ("unknown_referral_code", "username_taken", *_LIMITED),
    "login": ("invalid_credentials", "inactive_account", *_LIMITED),
    "logout": (*_SIGNED_IN, *_EVERY),
    "change_password": ("invalid_credentials", *_SIGNED_IN, *_LIMITED),
}
# Real answers: successes by operation id, and problems by operation id and code. The test of heists' own examples
# writes and compares them too.
EXAMPLES_FILE = Path(__file__).parent / "examples.json"
EXAMPLES: dict[str, dict[str, Any]] = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))


def answer(operation_id: str) -> list[OpenApiExample]:
    """Return the example of a successful answer, for `examples`."""
    return [OpenApiExample(operation_id, EXAMPLES["answers"].get(operation_id, {}), response_only=True)]


def examples(operation_id: str) -> list[OpenApiExample]:
    """Return the examples of a request and, where it has a body, of its answer, for `examples`."""
    request = OpenApiExample(f"{operation_id}_request", REQUESTS[operation_id], request_only=True)
    return [request, *(answer(operation_id) if operation_id in EXAMPLES["answers"] else [])]


def problems(operation_id: str) -> dict[Any, OpenApiResponse]:
    """Return the responses of the operation's codes, to be merged into `responses`."""
    described = {code: (schema.PROBLEMS | PROBLEMS)[code] for code in CODES[operation_id]}
    return schema.problem_responses(described, EXAMPLES["problems"].get(operation_id, {}))


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "gamification.authentication.TokenAuthentication"
    name = "tokenAuth"

    def get_security_definition(self, auto_schema: Any) -> Any:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "The word `Token`, a space, and the token that `POST /api/auth/login/` returns. The page of "
            "this documentation adds the word to a token that is pasted alone.",
        }
