"""Truces of players."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .base import player_name
from .heists import Heist

# Still wanted: the truce has no end.
OPEN = Q(ends_at__isnull=True)


class TruceQuerySet(models.QuerySet["Truce"]):
    def not_over(self, now: dt.datetime) -> TruceQuerySet:
        """Return truces that are in force at `now` or may begin later."""
        return self.filter(OPEN | Q(ends_at__gt=now))

    def of_heist(self, heist: Heist) -> TruceQuerySet:
        """Return the truces of either player in which an attempt was made."""
        at = heist.created_at
        return self.filter(OPEN | Q(ends_at__gt=at), player__in=(heist.attacker_id, heist.victim_id), starts_at__lte=at)

    def current(self, player_id: Any, now: dt.datetime) -> Truce | None:
        """Return the player's truce that is not over; None where there is none. A wish changes it."""
        # With hosts whose clocks differ there may be two for a moment.
        return self.not_over(now).filter(player=player_id).order_by("-starts_at", "-pk").first()


class Truce(models.Model):
    """Months in which a player neither robs nor can be robbed, by their own choice.

    It is in force from `starts_at`, which is included, to `ends_at`, which is not. A truce that was withdrawn before it
    began ends where it starts.
    """

    player = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heist_truces",
        db_index=False,
        verbose_name=_("player"),
    )
    # Both are the first moment of a calendar month of the site's time zone.
    starts_at = models.DateTimeField(_("starts"))
    ends_at = models.DateTimeField(_("ends"), null=True, blank=True, help_text=_("Empty while it is wanted."))
    created_at = models.DateTimeField(_("asked for"), default=timezone.now, db_default=Now(), editable=False)

    objects = TruceQuerySet.as_manager()

    class Meta:
        verbose_name = _("truce")
        verbose_name_plural = _("truces")
        constraints = [
            # Its index also serves queries.facts: a player's truces that are not over; and the API: my own.
            models.UniqueConstraint(fields=["player", "starts_at"], name="heists_truce_one_a_start"),
            # Two wishes at once leave one truce.
            models.UniqueConstraint(fields=["player"], condition=OPEN, name="heists_truce_one_open"),
            models.CheckConstraint(condition=OPEN | Q(ends_at__gte=F("starts_at")), name="heists_truce_ends_later"),
        ]

    def __str__(self) -> str:
        return gettext("truce of %(player)s") % {"player": player_name(self, "player")}

    @property
    def wanted(self) -> bool:
        return self.ends_at is None
