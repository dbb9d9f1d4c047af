"""Set which emails a player wants (docs/specification.md, "Notifications")."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import router, transaction

from ..choices import HeistNotificationType
from ..db.atomic import require_outermost
from ..db.retry import retry_transient
from ..errors import UnknownPlayer
from ..models import EmailPreference
from ..user_model import player_key


@retry_transient
def set_email_preference(
    *,
    player_id: Any,
    muted: bool | None = None,
    mute: Collection[HeistNotificationType] = (),
    unmute: Collection[HeistNotificationType] = (),
) -> EmailPreference:
    """Turn a player's emails off or on, all of them (`muted`) or by type, and return the preference.

    Other types stay as they are. One durable transaction on a locked row, so that two changes at once both count.
    Raises UnknownPlayer, Busy.
    """
    using = router.db_for_write(EmailPreference)
    require_outermost(using)
    player_id = player_key(player_id)
    with transaction.atomic(using=using, durable=True):
        preferences = EmailPreference.objects.using(using)
        preferences.bulk_create([EmailPreference(player_id=player_id)], ignore_conflicts=True)
        # Joined with the player: PostgreSQL and SQLite check the foreign key only at COMMIT.
        locked = preferences.select_related("player").select_for_update(of=("self",))
        preference = locked.filter(player=player_id).first()
        if preference is None:
            raise UnknownPlayer
        if muted is not None:
            preference.muted = muted
        chosen = ({*preference.muted_types} | {*map(str, mute)}) - {*map(str, unmute)}
        preference.muted_types = [type for type in HeistNotificationType.values if type in chosen]
        preference.save(using=using, update_fields=["muted", "muted_types", "updated_at"])
    return preference
