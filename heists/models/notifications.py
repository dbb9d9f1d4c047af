"""Notifications to players."""

from __future__ import annotations

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..choices import HeistNotificationType
from .base import player_name
from .heists import Heist


class HeistNotificationQuerySet(models.QuerySet["HeistNotification"]):
    def unread(self) -> HeistNotificationQuerySet:
        return self.filter(read=False)

    def newest_first(self) -> HeistNotificationQuerySet:
        return self.order_by("-created_at", "-pk")


class HeistNotification(models.Model):
    """A message to one player, written in the transaction of the event it is about."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heist_notifications",
        db_index=False,
        verbose_name=_("player"),
    )
    heist = models.ForeignKey(
        Heist,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="notifications",
        verbose_name=_("heist"),
    )
    type = models.CharField(
        _("type"), max_length=max(map(len, HeistNotificationType.values)), choices=HeistNotificationType
    )
    message = models.TextField(_("message"))
    metadata = models.JSONField(_("details"), null=True, blank=True, encoder=DjangoJSONEncoder)
    read = models.BooleanField(_("read"), default=False, db_default=False)
    email_sent = models.BooleanField(_("email sent"), default=False, db_default=False)
    email_sent_at = models.DateTimeField(_("email sent at"), null=True, blank=True)
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_default=Now(), editable=False)

    objects = HeistNotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        indexes = [
            # API: unread_count, and marking all as read.
            models.Index(fields=["user", "read"], name="heists_notification_user_read"),
            # API: my notifications, newest first.
            models.Index(fields=["user", "created_at"], name="heists_notification_user_time"),
            # Retention: those that are old; admin: the list, newest first.
            models.Index(fields=["created_at"], name="heists_notification_created"),
            # Of the original design; admin: a rare type. Frequent types are found by walking the index above.
            models.Index(fields=["type"], name="heists_notification_type"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(type__in=HeistNotificationType.values), name="heists_notification_type_known"
            ),
            models.CheckConstraint(
                condition=Q(email_sent=False) | Q(email_sent_at__isnull=False), name="heists_notification_sent_has_time"
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(type)s (notification for %(player)s)") % {
            "type": self.get_type_display(),
            "player": player_name(self, "user"),
        }
