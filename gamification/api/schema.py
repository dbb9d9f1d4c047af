"""The sign-in tokens and examples in the OpenAPI schema; imported when the app is ready."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample

# Real answers, by operation id. The test of heists' own examples writes and compares them too.
EXAMPLES_FILE = Path(__file__).parent / "examples.json"
EXAMPLES: dict[str, dict[str, Any]] = json.loads(EXAMPLES_FILE.read_text(encoding="utf-8"))


def answer(operation_id: str) -> list[OpenApiExample]:
    """Return the example of a successful answer, for `examples`."""
    return [OpenApiExample(operation_id, EXAMPLES["answers"].get(operation_id, {}), response_only=True)]


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
