"""Set which emails a player wants (docs/specification.md, "Notifications")."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import router, transaction

from ..choices import HeistNotificationType
from ..db.atomic import require_outermost
from ..db.retry import retry_transient
from ..models import EmailPreference


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
    Raises Busy.
    """
    using = router.db_for_write(EmailPreference)
    require_outermost(using)
    with transaction.atomic(using=using, durable=True):
        preferences = EmailPreference.objects.using(using)
        preferences.bulk_create([EmailPreference(player_id=player_id)], ignore_conflicts=True)
        preference = preferences.select_for_update().get(player=player_id)
        if muted is not None:
            preference.muted = muted
        chosen = ({*preference.muted_types} | {*map(str, mute)}) - {*map(str, unmute)}
        preference.muted_types = [type for type in HeistNotificationType.values if type in chosen]
        preference.save(update_fields=["muted", "muted_types", "updated_at"])
    return preference
