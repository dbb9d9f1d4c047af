"""Which letters a player wants; in-app notifications are not a matter of choice (spec section 5)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import router, transaction

from ..choices import HeistNotificationType
from ..models import LetterPreference
from ..retry import retried


def letter_preference(*, player_id: Any) -> LetterPreference:
    """Return the player's preference; one that was never stored wants every letter."""
    found = LetterPreference.objects.filter(user=player_id).first()
    return found or LetterPreference(user_id=player_id)


@retried
def choose_letters(
    *,
    player_id: Any,
    muted: bool | None = None,
    mute: Collection[HeistNotificationType] = (),
    unmute: Collection[HeistNotificationType] = (),
) -> LetterPreference:
    """Turn a player's letters off or on, at all (`muted`) or by type, and return the preference.

    What is not named stays as it is; one durable transaction, so that two changes at once both count. Raises Busy.
    """
    using = router.db_for_write(LetterPreference)
    with transaction.atomic(using=using, durable=True):
        preferences = LetterPreference.objects.using(using)
        preferences.bulk_create([LetterPreference(user_id=player_id)], ignore_conflicts=True)
        preference = preferences.select_for_update().get(user=player_id)
        if muted is not None:
            preference.muted = muted
        chosen = ({*preference.muted_types} | {*map(str, mute)}) - {*map(str, unmute)}
        preference.muted_types = [type for type in HeistNotificationType.values if type in chosen]
        preference.save(update_fields=["muted", "muted_types", "updated_at"])
    return preference
