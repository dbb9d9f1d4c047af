"""Points and coins. What holds in this app, for every writer:

1. No balance is ever negative.
2. Points move only with a point event, coins only with a coin entry, in the same transaction, on a locked profile.
3. Events and entries are history: written once, never changed, and deleted only together with their player.
4. Monthly points belong to the month that the profile names. The first lock of a later month keeps them as a
   `MonthlyStanding` and begins that month at 0. The sum of a player's events of a month is their points of that month.
"""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext_lazy as _

from heists.economy import current_month

from .errors import AppendOnly

# Without I, L and O, which are misread, and U, which could spell words. Twelve characters are 60 bits: not guessable.
REFERRAL_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REFERRAL_CODE_LENGTH = 12
# The largest integer that every JSON client reads exactly; the same as heists.rules.MAX_POINTS.
MAX_BALANCE = 2**53 - 1


def new_referral_code() -> str:
    """Return a referral code that nobody can guess."""
    return "".join(secrets.choice(REFERRAL_ALPHABET) for _ in range(REFERRAL_CODE_LENGTH))


def signed(amount: int) -> str:
    """Return a movement with its sign, its thousands grouped."""
    return f"{'+' if amount > 0 else ''}{number_format(amount, force_grouping=True)}"


def month_name(month: dt.date) -> str:
    """Return a month in the reader's language, such as "October 2026"."""
    return date_format(month, "YEAR_MONTH_FORMAT")


class PlayerProfile(models.Model):
    """A player's balances and referral code. Change a balance through `services` or the economy only."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, verbose_name=_("player"), on_delete=models.CASCADE, related_name="player_profile"
    )
    points = models.BigIntegerField(_("points"), default=0, help_text=_("All points ever earned."))
    monthly_points = models.BigIntegerField(
        _("monthly points"), default=0, help_text=_("The month's points: the leaderboard, and what a heist moves.")
    )
    month = models.DateField(
        _("month"), default=current_month, help_text=_("The first day of the month that the monthly points belong to.")
    )
    coins = models.BigIntegerField(_("coins"), default=0)
    referral_code = models.CharField(_("referral code"), max_length=REFERRAL_CODE_LENGTH, unique=True, editable=False)
    # Its own index serves the SET NULL when the referrer is deleted.
    referred_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("referred by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="referred_players",
    )
    # Since the sign-up, while the referrer's reward has to be earned. Null without a referrer, and once it is decided.
    referral_waits_since = models.DateTimeField(_("referral waits since"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("player profile")
        verbose_name_plural = _("player profiles")
        constraints = [
            models.CheckConstraint(condition=Q(points__gte=0), name="profile_points_not_negative"),
            models.CheckConstraint(condition=Q(monthly_points__gte=0), name="profile_monthly_points_not_negative"),
            models.CheckConstraint(condition=Q(coins__gte=0), name="profile_coins_not_negative"),
            models.CheckConstraint(condition=~Q(referred_by=F("user")), name="profile_not_referred_by_oneself"),
        ]
        indexes = [
            # The leaderboard and heists' target list, which walk one month of it (GamificationEconomy.leaderboard); an
            # earlier month's, while profiles of it are left; the admin's list.
            models.Index(fields=["-month", "-monthly_points", "user"], name="profile_leaderboard"),
            # The referrals that wait, oldest first (referrals.reward_referrals).
            models.Index(
                fields=["referral_waits_since", "user"],
                condition=Q(referral_waits_since__isnull=False),
                name="profile_referral_waits",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user)

    def save(self, *args: Any, **kwargs: Any) -> None:
        # Not the field's default: migrations would import it from here.
        if self._state.adding:
            self.referral_code = self.referral_code or new_referral_code()
        super().save(*args, **kwargs)


class PointEventTypeManager(models.Manager["PointEventTypeMaster"]):
    """Finds a type by its name, so that a fixture needs no primary keys."""

    def get_by_natural_key(self, name: str) -> PointEventTypeMaster:
        return self.get(name=name)


class PointEventTypeMaster(models.Model):
    """A reason for points to move, and how many it is worth."""

    name = models.CharField(_("name"), max_length=50, unique=True)
    description = models.CharField(_("description"), max_length=255, blank=True)
    points = models.BigIntegerField(
        _("points"), default=0, help_text=_("What the event is worth; 0 where each event says it itself.")
    )
    active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = PointEventTypeManager()

    class Meta:
        verbose_name = _("point event type")
        verbose_name_plural = _("point event types")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)


class LedgerQuerySet(models.QuerySet[Any]):
    """Rows that can be read and added. The cascade from a deleted player does not use these methods."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly


class AppendOnlyRow(models.Model):
    """A row of history: it is never changed (3 above)."""

    objects = LedgerQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly


class LedgerRow(AppendOnlyRow):
    """A row of a ledger."""

    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    reference = models.CharField(
        _("reference"), max_length=100, blank=True, default="", help_text=_('What it was for, such as "heist:12".')
    )

    class Meta:
        abstract = True


class PointEvent(LedgerRow):
    """One movement of a player's points."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("player"),
        on_delete=models.CASCADE,
        related_name="point_events",
        db_index=False,
    )
    # By name, so that writing an event needs no look-up. No index: only the deletion of a type reads by type.
    type = models.ForeignKey(
        PointEventTypeMaster,
        verbose_name=_("type"),
        to_field="name",
        db_column="type",
        on_delete=models.PROTECT,
        related_name="events",
        db_index=False,
    )
    points = models.BigIntegerField(_("points"), help_text=_("Negative where points were lost."))
    month = models.DateField(
        _("month"),
        default=current_month,
        help_text=_("The first day of the month that the points count for: the profile's at that time."),
    )

    class Meta:
        verbose_name = _("point event")
        verbose_name_plural = _("point events")
        indexes = [
            # One player's events, newest first, in the admin; and the cascade when the player is deleted.
            models.Index(fields=["user", "-id"], name="point_event_of_user"),
            # The events of some heists, for the audit (GamificationEconomy.point_events).
            models.Index(fields=["reference"], condition=~Q(reference=""), name="point_event_reference"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {signed(self.points)} ({self.type_id})"


class MonthlyStanding(AppendOnlyRow):
    """A player's points of a month that is over; zero points write none. Written once, never changed (3 above)."""

    player = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("player"),
        on_delete=models.CASCADE,
        related_name="monthly_standings",
        db_index=False,
    )
    month = models.DateField(_("month"), help_text=_("Its first day."))
    points = models.BigIntegerField(_("points"))

    class Meta:
        verbose_name = _("monthly standing")
        verbose_name_plural = _("monthly standings")
        constraints = [
            # Its index also serves one player's months, and the cascade when the player is deleted.
            models.UniqueConstraint(fields=["player", "month"], name="standing_once_a_month"),
            models.CheckConstraint(condition=Q(points__gt=0), name="standing_has_points"),
        ]
        indexes = [
            # One month's leaderboard, which walks it in this order; the first month; the admin's list.
            models.Index(fields=["-month", "-points", "player"], name="standing_leaderboard"),
        ]

    def __str__(self) -> str:
        return f"{self.player}, {month_name(self.month)}: {number_format(self.points, force_grouping=True)}"


class ReferralReward(LedgerRow):
    """One referral that was paid. It stays when the referred player is deleted, so that the cap still counts it."""

    referrer = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("referrer"),
        on_delete=models.CASCADE,
        related_name="referral_rewards",
        db_index=False,
    )
    month = models.DateField(_("month"), help_text=_("The first day of the month of the sign-up."))

    class Meta:
        verbose_name = _("referral reward")
        verbose_name_plural = _("referral rewards")
        constraints = [
            models.UniqueConstraint(fields=["reference"], name="referral_reward_once"),
        ]
        indexes = [
            # How many of a month were paid (referrals.reward_referrals); the cascade when the referrer is deleted.
            models.Index(fields=["referrer", "month"], name="referral_reward_of_month"),
        ]

    def __str__(self) -> str:
        return f"{self.referrer}, {month_name(self.month)}"


class CoinReason(models.TextChoices):
    """Why coins moved."""

    AWARD = "AWARD", _("Award")
    """The site gave them: an achievement, a promotion."""

    PURCHASE = "PURCHASE", _("Purchase")
    """The player bought them."""

    SHIELD = "SHIELD", _("Shield")
    """The player bought a shield against heists."""

    CORRECTION = "CORRECTION", _("Correction")
    """Staff corrected a mistake."""


class CoinEntry(LedgerRow):
    """One movement of a player's coins; a player's coins are the sum of them."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("player"),
        on_delete=models.CASCADE,
        related_name="coin_entries",
        db_index=False,
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("Negative where coins were spent."))
    reason = models.CharField(_("reason"), max_length=20, choices=CoinReason)

    class Meta:
        verbose_name = _("coin entry")
        verbose_name_plural = _("coin entries")
        constraints = [
            models.CheckConstraint(condition=~Q(amount=0), name="coin_entry_moves_something"),
            models.CheckConstraint(condition=Q(reason__in=CoinReason.values), name="coin_entry_reason_in_list"),
        ]
        indexes = [
            # One player's entries, newest first, in the admin; and the cascade when the player is deleted.
            models.Index(fields=["user", "-id"], name="coin_entry_of_user"),
            # The payments for some shields, for the audit (GamificationEconomy.shield_payments).
            models.Index(fields=["reference"], condition=~Q(reference=""), name="coin_entry_reference"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {signed(self.amount)} ({self.get_reason_display()})"
