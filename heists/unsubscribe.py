"""The signed key in every letter's unsubscribe link: it stops one player's letters, and opens nothing else."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core import signing
from django.core.exceptions import ValidationError

from .choices import HeistNotificationType

SALT = "heists.unsubscribe"


class Wish(NamedTuple):
    """Whose letters a link can stop, and the type of the letter it stood in."""

    player_id: Any
    type: HeistNotificationType


def token(player: Any, type: str) -> str:
    """Return the key for a link. It never expires: a letter may be opened years later."""
    return signing.dumps([player._meta.pk.value_to_string(player), str(type)], salt=SALT)


def read(token: str) -> Wish | None:
    """Return what a key stands for, or None where nobody here signed it."""
    try:
        player_id, type = signing.loads(token, salt=SALT)
        return Wish(get_user_model()._meta.pk.to_python(player_id), HeistNotificationType(type))
    except (signing.BadSignature, ValidationError, ValueError, TypeError):
        return None
