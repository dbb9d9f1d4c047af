"""Shields of players."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..choices import ShieldState
from .base import IDEMPOTENCY_KEY_MAX_LENGTH, player_name
from .heists import Heist

# Neither used nor marked as expired. An open shield is live until `expires_at`, and due after it.
OPEN = Q(used_at__isnull=True, expired_at__isnull=True)


class ShieldQuerySet(models.QuerySet["Shield"]):
    def open(self) -> ShieldQuerySet:
        """Return shields that are neither used nor marked as expired."""
        return self.filter(OPEN)

    def live(self, now: dt.datetime) -> ShieldQuerySet:
        """Return shields that would block an attack at `now`."""
        return self.open().filter(expires_at__gt=now)

    def due(self, now: dt.datetime) -> ShieldQuerySet:
        """Return shields whose time is over, but that are not yet marked as expired."""
        return self.open().filter(expires_at__lte=now)


class Shield(models.Model):
    """Blocks one attack and is then used up; it expires unused otherwise."""

    player = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heist_shields",
        db_index=False,
        verbose_name=_("player"),
    )
    cost = models.PositiveIntegerField(_("cost"), help_text=_("Coins paid."))
    bought_at = models.DateTimeField(_("bought"), default=timezone.now, db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    used_at = models.DateTimeField(_("used"), null=True, blank=True)
    used_by = models.OneToOneField(
        Heist,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="blocked_by",
        verbose_name=_("blocked heist"),
    )
    # When `expire_shields` marked it and notified the player; not when its time was over.
    expired_at = models.DateTimeField(_("marked expired"), null=True, blank=True)
    idempotency_key = models.CharField(  # noqa: DJ001 - null keeps shields without a key out of the unique index
        _("idempotency key"), max_length=IDEMPOTENCY_KEY_MAX_LENGTH, null=True, blank=True
    )

    objects = ShieldQuerySet.as_manager()

    class Meta:
        verbose_name = _("shield")
        verbose_name_plural = _("shields")
        indexes = [
            # API: my shields, newest first.
            models.Index(fields=["player", "bought_at"], name="heists_shield_player_bought"),
            # expire_shields: those that are due; dashboard: how many are live.
            models.Index(fields=["expires_at"], condition=OPEN, name="heists_shield_open"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["player"], condition=OPEN, name="heists_shield_one_live"),
            models.UniqueConstraint(
                fields=["player", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="heists_shield_idempotency_key",
            ),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(expired_at__isnull=True), name="heists_shield_used_or_expired"
            ),
            models.CheckConstraint(
                condition=Q(used_by__isnull=True) | Q(used_at__isnull=False), name="heists_shield_used_has_time"
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("bought_at")), name="heists_shield_lasts"),
        ]

    def __str__(self) -> str:
        return gettext("shield of %(player)s") % {"player": player_name(self, "player")}

    @property
    def state(self) -> ShieldState:
        """The state now, by the clock: `expire_shields` may mark an expired shield later."""
        if self.used_at:
            return ShieldState.USED
        return ShieldState.LIVE if self.expires_at > timezone.now() else ShieldState.EXPIRED
