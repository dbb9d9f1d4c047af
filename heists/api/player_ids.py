"""Converts player ids between JSON, paths and the host's user key. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.db.models import IntegerField, UUIDField

from ..user_model import key_field, to_key

INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)


def from_json(value: Any) -> Any:
    """Return a JSON value as a key. Raises ValueError unless it is written as `to_json` writes a key.

    A UUID may be in capitals.
    """
    key = to_key(value)
    written = value.lower() if isinstance(key, uuid.UUID) and isinstance(value, str) else value
    # The type too, because True equals 1.
    if key is None or (type(written), written) != (type(to_json(key)), to_json(key)):
        raise ValueError("not a player's id")
    return key


def from_path(text: str) -> Any:
    """Return a path segment as a key. Raises ValueError like `from_json`."""
    return from_json(int(text) if isinstance(key_field(), IntegerField) and INTEGER.fullmatch(text) else text)


def to_json(key: Any) -> int | str:
    """Return a key as a JSON value."""
    return key if isinstance(key, int) else str(key)


def json_schema() -> dict[str, Any]:
    """Return the OpenAPI schema of a player's id on this host."""
    field = key_field()
    if isinstance(field, IntegerField):
        return {"type": "integer", "format": "int64"}
    if isinstance(field, UUIDField):
        return {"type": "string", "format": "uuid"}
    limit = {"maxLength": field.max_length} if getattr(field, "max_length", None) else {}
    return {"type": "string", "minLength": 1, **limit}
