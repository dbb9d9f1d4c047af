"""Reading a player's id from a request, strictly, whatever the type of the host's user key (spec section 6)."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Field, IntegerField, UUIDField

WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
# What any database's widest integer column holds.
LOWEST, HIGHEST = -(2**63), 2**63 - 1


def key_field() -> Field[Any, Any]:
    """The field that holds the user model's key, followed through a key that is itself a relation."""
    field: Any = get_user_model()._meta.pk
    while field.remote_field:
        field = field.target_field
    return field  # type: ignore[no-any-return]


def from_json(value: Any) -> Any:
    """Return the key that a JSON value stands for. Raises ValueError for a wrong type or range."""
    field = key_field()
    if isinstance(field, IntegerField):
        # Not isinstance: true is an integer to Python, and 1.0 is not one to us.
        if type(value) is not int or not LOWEST <= value <= HIGHEST:
            raise ValueError("no integer of the column's range")
    elif not isinstance(value, str):
        raise ValueError("no text")
    elif isinstance(field, UUIDField):
        if str(uuid.UUID(value)) != value.lower():
            raise ValueError("no UUID in its usual form")
    elif "\x00" in value:
        raise ValueError("PostgreSQL stores no NUL")
    else:
        value.encode("utf-8")
    try:
        return field.clean(value, None)
    except ValidationError as error:
        raise ValueError("not a value of the column") from error


def from_path(text: str) -> Any:
    """Return the key that a part of an address stands for. Raises ValueError like `from_json`."""
    if isinstance(key_field(), IntegerField):
        if not WHOLE_NUMBER.fullmatch(text):
            raise ValueError("no whole number")
        return from_json(int(text))
    return from_json(text)


def to_json(key: Any) -> int | str:
    """Return a key as JSON has it."""
    return key if isinstance(key, int) else str(key)


def json_schema() -> dict[str, Any]:
    """Return what OpenAPI says about a player's id on this host."""
    field = key_field()
    if isinstance(field, IntegerField):
        return {"type": "integer", "format": "int64"}
    if isinstance(field, UUIDField):
        return {"type": "string", "format": "uuid"}
    limit = {"maxLength": field.max_length} if getattr(field, "max_length", None) else {}
    return {"type": "string", "minLength": 1, **limit}
