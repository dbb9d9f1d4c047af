"""Reversals: staff give back what a heist took."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..user_model import STAFF_NAME_MAX_LENGTH
from .base import AppendOnlyModel, AppendOnlyQuerySet, player_name
from .heists import Heist

REVERSAL_TEXT_MAX_LENGTH = 255


class Reversal(AppendOnlyModel):
    """The points of one success, given back by staff. The heist itself stays as it is.

    At most one a heist. It keeps the balances of both players, as a heist does, and is deleted only with its heist.
    """

    heist = models.OneToOneField(Heist, on_delete=models.CASCADE, related_name="reversal", verbose_name=_("heist"))
    points_returned = models.BigIntegerField(_("points returned"))
    attacker_points_before = models.BigIntegerField(_("attacker's points before"))
    attacker_points_after = models.BigIntegerField(_("attacker's points after"))
    victim_points_before = models.BigIntegerField(_("victim's points before"))
    victim_points_after = models.BigIntegerField(_("victim's points after"))
    # Whether the attacker got the heist's tokens back, by a grant with the source `refund:<heist id>`.
    token_returned = models.BooleanField(_("token returned"), default=False, db_default=False)
    reason = models.CharField(_("reason"), max_length=REVERSAL_TEXT_MAX_LENGTH)
    note = models.CharField(
        _("note for the players"), max_length=REVERSAL_TEXT_MAX_LENGTH, blank=True, default="", db_default=""
    )
    reversed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("reversed by"),
    )
    # Stays when the account of `reversed_by` is deleted.
    reversed_by_name = models.CharField(
        _("reversed by (name)"), max_length=STAFF_NAME_MAX_LENGTH, blank=True, default="", db_default=""
    )
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_default=Now(), editable=False)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("reversal")
        verbose_name_plural = _("reversals")
        indexes = [
            # queries.returns: the reversals of a month or a period; admin: the list, newest first.
            models.Index(fields=["created_at"], name="heists_reversal_created"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(points_returned__gte=1), name="heists_reversal_returns_points"),
            models.CheckConstraint(
                condition=Q(
                    attacker_points_before__gte=0,
                    attacker_points_after__gte=0,
                    victim_points_before__gte=0,
                    victim_points_after__gte=0,
                ),
                name="heists_reversal_never_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    attacker_points_after=F("attacker_points_before") - F("points_returned"),
                    victim_points_after=F("victim_points_before") + F("points_returned"),
                ),
                name="heists_reversal_balanced",
            ),
        ]

    def __str__(self) -> str:
        points = number_format(self.points_returned, force_grouping=True)
        if "heist" not in self._state.fields_cache:
            return ngettext("%(points)s point returned", "%(points)s points returned", self.points_returned) % {
                "points": points
            }
        text = ngettext(
            "%(victim)s got %(points)s point back from %(attacker)s",
            "%(victim)s got %(points)s points back from %(attacker)s",
            self.points_returned,
        )
        return text % {
            "victim": player_name(self.heist, "victim"),
            "attacker": player_name(self.heist, "attacker"),
            "points": points,
        }
