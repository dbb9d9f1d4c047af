"""The outbox of emails, and each player's email preference."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..choices import EmailState
from .base import player_name
from .notifications import HeistNotification


class OutboxEmailQuerySet(models.QuerySet["OutboxEmail"]):
    def unleased(self, now: dt.datetime) -> OutboxEmailQuerySet:
        """Return emails that no worker holds at `now`."""
        return self.filter(Q(leased_until=None) | Q(leased_until__lte=now))

    def due(self, now: dt.datetime) -> OutboxEmailQuerySet:
        """Return emails to send at `now` that no worker holds."""
        return self.unleased(now).filter(state=EmailState.WAITING, due_at__lte=now)


class OutboxEmail(models.Model):
    """One email to send for a notification. Sent at least once, by the worker that holds the lease."""

    notification = models.OneToOneField(
        HeistNotification, on_delete=models.CASCADE, related_name="outbox_email", verbose_name=_("notification")
    )
    state = models.CharField(
        _("state"), max_length=max(map(len, EmailState.values)), choices=EmailState, default=EmailState.WAITING
    )
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    lease = models.UUIDField(_("lease"), null=True, blank=True)
    last_error = models.TextField(_("last error"), blank=True, default="")
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = OutboxEmailQuerySet.as_manager()

    class Meta:
        verbose_name = _("email")
        verbose_name_plural = _("emails")
        permissions = [("send_again", _("Can send emails again"))]
        indexes = [
            # send_heist_emails: those that are due; dashboard: how many wait.
            models.Index(fields=["due_at"], condition=Q(state=EmailState.WAITING), name="heists_outboxemail_due"),
            # Admin: the outbox, newest first, also by state.
            models.Index(fields=["created_at"], name="heists_outboxemail_created"),
            models.Index(fields=["state", "created_at"], name="heists_outboxemail_state_time"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=EmailState.values), name="heists_outboxemail_state_known"),
        ]

    def __str__(self) -> str:
        if "notification" not in self._state.fields_cache:
            return gettext("email %(id)s") % {"id": self.pk}
        return gettext("%(type)s (email for %(player)s)") % {
            "type": self.notification.get_type_display(),
            "player": player_name(self.notification, "user"),
        }


class EmailPreferenceQuerySet(models.QuerySet["EmailPreference"]):
    def for_player(self, player_id: Any) -> EmailPreference:
        """Return the player's preference; an unsaved default, which wants all emails, where there is no row."""
        return self.filter(player=player_id).first() or EmailPreference(player_id=player_id)


class EmailPreference(models.Model):
    """Which emails a player does not want; without a row, all are wanted. In-app notifications are not affected."""

    player = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heist_email_preference",
        verbose_name=_("player"),
    )
    muted = models.BooleanField(_("no emails at all"), default=False)
    muted_types = models.JSONField(_("no emails of these types"), default=list, blank=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = EmailPreferenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("email preference")
        verbose_name_plural = _("email preferences")

    def __str__(self) -> str:
        return gettext("email preference of %(player)s") % {"player": player_name(self, "player")}

    def wants(self, type: str) -> bool:
        """Return whether the player wants emails about notifications of this type."""
        return not self.muted and type not in self.muted_types
