"""Converts player ids between JSON, paths and the host's user key. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import IntegerField, UUIDField

from ..user_model import MAX_INTEGER, MIN_INTEGER, key_field

INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)


def from_json(value: Any) -> Any:
    """Return a JSON value as a key. Raises ValueError for a wrong type or range."""
    field = key_field()
    if isinstance(field, IntegerField):
        # Not isinstance, because True is an int and would pass.
        if type(value) is not int or not MIN_INTEGER <= value <= MAX_INTEGER:
            raise ValueError("not an integer in the column's range")
    elif not isinstance(value, str):
        raise ValueError("not a string")
    elif isinstance(field, UUIDField):
        if str(uuid.UUID(value)) != value.lower():
            raise ValueError("not a UUID in its canonical form")
    elif "\x00" in value:
        raise ValueError("PostgreSQL does not store NUL")
    else:
        value.encode("utf-8")
    try:
        return field.clean(value, None)
    except ValidationError as error:
        raise ValueError("not a value of the column") from error


def from_path(text: str) -> Any:
    """Return a path segment as a key. Raises ValueError like `from_json`."""
    if isinstance(key_field(), IntegerField):
        if not INTEGER.fullmatch(text):
            raise ValueError("not an integer")
        return from_json(int(text))
    return from_json(text)


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
