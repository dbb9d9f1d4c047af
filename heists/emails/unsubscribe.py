"""The signed token in an email's unsubscribe link. It can stop one player's emails and nothing else."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core import signing
from django.core.exceptions import ValidationError

from ..choices import HeistNotificationType

SALT = "heists.unsubscribe"


class Subscription(NamedTuple):
    """The player of an unsubscribe link, and the type of the notification it was sent for."""

    player_id: Any
    type: HeistNotificationType


def token(player: Any, type: str) -> str:
    """Return the token of a link. It does not expire: an email may be opened years later."""
    return signing.dumps([player._meta.pk.value_to_string(player), str(type)], salt=SALT)


def read(token: str) -> Subscription | None:
    """Return what a token stands for; None where this site did not sign it."""
    try:
        player_id, type = signing.loads(token, salt=SALT)
        return Subscription(get_user_model()._meta.pk.to_python(player_id), HeistNotificationType(type))
    except (signing.BadSignature, ValidationError, ValueError, TypeError):
        return None
