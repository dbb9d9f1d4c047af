"""Write notifications and their outbox emails (docs/specification.md, "Notifications")."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import translation
from django.utils.module_loading import import_string

from .. import conf, signals
from ..choices import HeistNotificationType
from ..db.insert import insert
from ..db.retry import retry_transient
from ..economy import Economy
from ..messages import notification_message
from ..models import HeistNotification, OutboxEmail
from ..user_model import to_key


def build(
    type: HeistNotificationType, *, user: Any, now: dt.datetime, heist_id: int | None = None, **metadata: Any
) -> HeistNotification:
    """Return an unsaved notification, its message in the site's language.

    The heist's id is a column and not repeated in the metadata: a year has a million of these rows.
    """
    with translation.override(settings.LANGUAGE_CODE):
        message = notification_message(type, metadata)
    return HeistNotification(
        user=user, heist_id=heist_id, type=type, message=message or type, metadata=metadata, created_at=now
    )


def record(*notifications: HeistNotification, economy: Economy, using: str) -> list[HeistNotification]:
    """Insert notifications, and an outbox email for each player with an address. The caller holds the transaction.

    After its commit, receivers of `signals.notifications_created` get them. No event writes notifications twice.
    """
    insert(notifications, using=using)
    if conf.email_enabled():
        emails = [OutboxEmail(notification=n, due_at=n.created_at) for n in notifications if economy.email(n.user)]
        insert(emails, using=using)
        if emails and (path := conf.email_delivery()):
            keys = [email.pk for email in emails]
            # After the commit, because a worker would not find the rows before. Robust, because the event is
            # committed, and `send_heist_emails` sends the emails that the host's queue does not.
            transaction.on_commit(lambda: import_string(path)(keys), using=using, robust=True)

    def announce() -> None:
        signals.notifications_created.send_robust(HeistNotification, notifications=[*notifications])

    transaction.on_commit(announce, using=using, robust=True)
    return [*notifications]


@retry_transient
def mark_read(*, player_id: Any, notification_id: int) -> bool:
    """Mark one of the player's notifications as read; return whether it exists. Safe to repeat.

    Raises Busy.
    """
    return bool(HeistNotification.objects.filter(pk=notification_id, user=to_key(player_id)).update(read=True))


@retry_transient
def mark_all_read(*, player_id: Any) -> int:
    """Mark all of the player's notifications as read; return how many were unread. Raises Busy."""
    return HeistNotification.objects.filter(user=to_key(player_id)).unread().update(read=True)
