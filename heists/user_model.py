"""What heists reads of the host's user model beside its key. Each part may be missing.

Django asks a user model for a primary key only. `USERNAME_FIELD`, `get_username` and `get_email_field_name` come with
AbstractBaseUser, and a host's model may be another one.
"""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import CharField, Field, IntegerField, TextField

from .errors import UnknownPlayer

# The widest integer column of any database.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
# Characters of a digest that stands for a player without a name.
DIGEST_LENGTH = 8


def concrete_field(name: str) -> Field[Any, Any] | None:
    """Return this column's field; None where the user model has no such column."""
    try:
        field = get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if isinstance(field, Field) and field.concrete else None


def username_field() -> Field[Any, Any] | None:
    """Return the field of the user name, if it is text."""
    field = concrete_field(getattr(get_user_model(), "USERNAME_FIELD", ""))
    return field if isinstance(field, CharField | TextField) else None


def email_field_name() -> str:
    """Return the name of the attribute with the email address; the attribute may be missing."""
    model = get_user_model()
    if callable(get_name := getattr(model, "get_email_field_name", None)):
        return str(get_name())
    return str(getattr(model, "EMAIL_FIELD", "email"))


def username(user: Any) -> str:
    """Return the user name; empty where the model has none."""
    if callable(get_username := getattr(user, "get_username", None)):
        return str(get_username())
    return str(getattr(user, getattr(user, "USERNAME_FIELD", ""), "") or "")


def may_be_address(name: str) -> bool:
    """Whether a name contains an at sign, in any of its Unicode forms."""
    return "@" in (name if name.isascii() else unicodedata.normalize("NFKC", name))


def neutral_id(key: Any) -> str:
    """Return a short text that stands for a key: the number itself, or a digest.

    A text key may be an address, and UUIDs made at nearly the same time may begin alike, so no part of them is shown.
    """
    return str(key) if isinstance(key, int) else hashlib.sha256(str(key).encode()).hexdigest()[:DIGEST_LENGTH]


def spellings(text: str) -> list[str]:
    """Return a typed name in the forms in which it may be stored: as typed, composed, and as sign-up normalises it."""
    if "\x00" in text:  # which PostgreSQL does not store
        return []
    normalize = getattr(get_user_model(), "normalize_username", None)
    stored = normalize(text) if callable(normalize) else unicodedata.normalize("NFKC", text)
    return list(dict.fromkeys([text, unicodedata.normalize("NFC", text), str(stored)]))


def to_key(value: Any) -> Any:
    """Return a primary key in the type of the key's column; None where no player can have this key.

    A request or a token may have it as text: `"12"` is 12 where keys are integers.
    """
    field: Any = get_user_model()._meta.pk
    while field.remote_field:
        field = field.target_field
    # The field itself reads everything that int() does, such as True and 1.5.
    if isinstance(field, IntegerField) and (isinstance(value, bool) or not isinstance(value, int | str)):
        return None
    try:
        key = field.clean(value, None)
        if isinstance(key, str):
            key.encode()
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
    if isinstance(key, int) and not MIN_INTEGER <= key <= MAX_INTEGER:
        return None
    # PostgreSQL stores no NUL.
    return None if isinstance(key, str) and "\x00" in key else key


def player_key(value: Any) -> Any:
    """Return `to_key`. Raises UnknownPlayer where no player can have this key."""
    if (key := to_key(value)) is None:
        raise UnknownPlayer
    return key


def key_of(text: str) -> Any:
    """Return the primary key that a text is, in the type of the key's column; None where it is no key."""
    field: Any = get_user_model()._meta.pk
    try:
        key = field.clean(field.to_python(text), None)
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
    # int() also reads "1_0" and digits of other scripts.
    if "\x00" in text or (str(key) != text and not isinstance(key, uuid.UUID)):
        return None
    return key
