"""Reads the host's user model: its primary key, user name, email address, and whether a user is active.

Django requires a primary key alone. `USERNAME_FIELD`, `get_username`, `get_email_field_name` and `is_active` come with
AbstractBaseUser and AbstractUser; a host's own model may lack each of them.
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
# Characters of the digest in the name of a player who has none.
DIGEST_LENGTH = 8
STAFF_NAME_MAX_LENGTH = 255


def key_field() -> Field[Any, Any]:
    """Return the primary key's field; where it is a relation, the field that it refers to."""
    field: Any = get_user_model()._meta.pk
    while field.remote_field:
        field = field.target_field
    return field  # type: ignore[no-any-return]


def concrete_field(name: str) -> Field[Any, Any] | None:
    """Return the field of this name; None where the user model has no such column."""
    try:
        field = get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if isinstance(field, Field) and field.concrete else None


def has_active_field() -> bool:
    """Return whether there is an `is_active` column, so that a query can filter by it."""
    return concrete_field("is_active") is not None


def is_active(user: Any) -> bool:
    """Return whether a user is active; true where the model has no `is_active`."""
    return bool(getattr(user, "is_active", True))


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


def staff_name(user: Any) -> str:
    """Return the name that a row keeps of a member of staff, for when the account is deleted; empty for nobody."""
    return "" if user is None else (username(user) or str(user))[:STAFF_NAME_MAX_LENGTH]


def may_be_address(name: str) -> bool:
    """Whether a name contains an at sign, in any of its Unicode forms."""
    return "@" in (name if name.isascii() else unicodedata.normalize("NFKC", name))


def public_id(key: Any) -> str:
    """Return a short text that identifies a key in public: the number itself, or a digest.

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
    field = key_field()
    # The field accepts everything that int() does, such as True and 1.5.
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
    """Return a primary key as `to_key` does. Raises UnknownPlayer where no player can have this key."""
    if (key := to_key(value)) is None:
        raise UnknownPlayer
    return key


def key_from_text(text: str) -> Any:
    """Return the primary key that a person typed, in the type of the key's column; None where it is no key."""
    key = to_key(text)
    # int() also accepts "1_0" and digits of other scripts.
    return key if str(key) == text or isinstance(key, uuid.UUID) else None
