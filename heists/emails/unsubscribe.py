"""The signed token in an email's unsubscribe link. It can stop one player's emails and nothing else."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import connections, router

from ..choices import HeistNotificationType
from ..models import EmailPreference

SALT = "heists.unsubscribe"


class Subscription(NamedTuple):
    """The player of an unsubscribe link, and the type of the notification it was sent for."""

    player_id: Any
    type: HeistNotificationType


def token(player: Any, type: str) -> str:
    """Return the token of a link. It does not expire: an email may be opened years later."""
    return signing.dumps([player._meta.pk.value_to_string(player), str(type)], salt=_salt())


def read(token: str) -> Subscription | None:
    """Return the subscription in a token; None where this site and tenant did not sign it."""
    try:
        player_id, type = signing.loads(token, salt=_salt())
        return Subscription(get_user_model()._meta.pk.to_python(player_id), HeistNotificationType(type))
    except (signing.BadSignature, ValidationError, ValueError, TypeError):
        return None


def _salt() -> str:
    """Return a salt of this database and schema: tenants have the same secret, and players with the same keys.

    Host and port are left out: they change at a fail-over, and links have to work afterwards too.
    """
    connection = connections[router.db_for_write(EmailPreference)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), current_schema()")
            names = cursor.fetchone()
    else:
        names = [PurePath(str(connection.settings_dict["NAME"])).name]
    return ":".join([SALT, *(str(name) for name in names)])
