"""Marking notifications as read (spec section 6)."""

from __future__ import annotations

from typing import Any

from ..models import HeistNotification


def mark_read(*, player_id: Any, notification_id: int) -> bool:
    """Mark one of a player's notifications as read, and return whether it is theirs; twice is harmless."""
    return bool(HeistNotification.objects.filter(pk=notification_id, user=player_id).update(read=True))


def mark_all_read(*, player_id: Any) -> int:
    """Mark all of a player's notifications as read, and return how many were not."""
    return HeistNotification.objects.filter(user=player_id).unread().update(read=True)
