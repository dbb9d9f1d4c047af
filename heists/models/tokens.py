"""Tokens and their grants."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..choices import GrantReason
from ..user_model import STAFF_NAME_MAX_LENGTH
from .base import AppendOnlyModel, AppendOnlyQuerySet, player_name

GRANT_TEXT_MAX_LENGTH = 255
# The beginnings of the sources that services make up; callers can't use them.
CORRECTION_SOURCE, REFUND_SOURCE = "correction:", "refund:"
RESERVED_SOURCES = (CORRECTION_SOURCE, REFUND_SOURCE)
# Before the key of the referred player, in the source of a grant for a referral.
REFERRAL_SOURCE = "referral:"


class DeletedLoss(NamedTuple):
    """A success against a player whose heist was deleted with the attacker's account."""

    heist_id: int
    points: int
    at: dt.datetime


class HeistToken(models.Model):
    """A player's tokens, and what is left of heists that were deleted with the other player's account.

    One row a player, created with balance 0 at the first grant or attempt, or when the player is first robbed.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="heist_token", verbose_name=_("player")
    )
    balance = models.IntegerField(_("balance"), default=0, db_default=0)
    total_earned = models.IntegerField(_("total earned"), default=0, db_default=0)
    total_spent = models.IntegerField(_("total spent"), default=0, db_default=0)
    # Tokens spent on heists whose row was deleted with the victim's account. A trigger adds them, so that the audit
    # can still compare `total_spent` with the outcomes that are left.
    spent_on_deleted = models.IntegerField(_("spent on deleted heists"), default=0, db_default=0, editable=False)
    # Successes against this player whose row was deleted with the attacker's account: the last, and those of the 32
    # days before it, which are more than a month. A trigger adds them; `deleted_losses` reads them for the rules.
    losses_on_deleted = models.JSONField(_("losses on deleted heists"), null=True, blank=True, editable=False)
    last_earned_at = models.DateTimeField(_("last earned"), null=True, blank=True)
    last_spent_at = models.DateTimeField(_("last spent"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated"), auto_now=True, db_default=Now())

    class Meta:
        verbose_name = _("heist token")
        verbose_name_plural = _("heist tokens")
        indexes = [
            # Admin: players by tokens held; dashboard: the distribution of tokens.
            models.Index(fields=["balance"], name="heists_token_balance"),
            # Of the original design; no query of this app reads it.
            models.Index(fields=["last_spent_at"], name="heists_token_last_spent"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(balance__gte=0, total_earned__gte=0, total_spent__gte=0, spent_on_deleted__gte=0),
                name="heists_token_never_negative",
            ),
            models.CheckConstraint(
                condition=Q(balance=F("total_earned") - F("total_spent")), name="heists_token_balance_adds_up"
            ),
        ]

    def __str__(self) -> str:
        text = ngettext("%(tokens)s token of %(player)s", "%(tokens)s tokens of %(player)s", self.balance)
        return text % {
            "tokens": number_format(self.balance, force_grouping=True),
            "player": player_name(self, "user"),
        }

    @property
    def deleted_losses(self) -> list[DeletedLoss]:
        """The losses that are left of deleted heists, oldest first."""
        losses = self.losses_on_deleted
        return sorted((self._deleted_loss(**loss) for loss in losses), key=lambda loss: loss.at) if losses else []

    def _deleted_loss(self, heist: int, points: int, at: str) -> DeletedLoss:
        time = dt.datetime.fromisoformat(at)
        if time.tzinfo is None:
            # SQLite has no time zones: it keeps times in the connection's.
            time = time.replace(tzinfo=connections[self._state.db or DEFAULT_DB_ALIAS].timezone)
        return DeletedLoss(heist, points, time)


class TokenGrantQuerySet(AppendOnlyQuerySet["TokenGrant"]):
    def correction_of(self, grant: TokenGrant) -> TokenGrant | None:
        """Return the correction that took this grant back, with who did it; None where there is none."""
        return self.select_related("granted_by").filter(source=f"{CORRECTION_SOURCE}{grant.pk}").first()


class TokenGrant(AppendOnlyModel):
    """One gain of tokens, or the correction of one. The unique source makes a repeated hook or command harmless."""

    player = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heist_token_grants",
        db_index=False,
        verbose_name=_("player"),
    )
    # Negative for a correction, and only there.
    amount = models.IntegerField(_("amount"))
    reason = models.CharField(_("reason"), max_length=max(map(len, GrantReason.values)), choices=GrantReason)
    source = models.CharField(_("source"), max_length=GRANT_TEXT_MAX_LENGTH, unique=True)
    note = models.CharField(_("note"), max_length=GRANT_TEXT_MAX_LENGTH, blank=True, default="", db_default="")
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("granted by"),
    )
    # Stays when the account of `granted_by` is deleted.
    granted_by_name = models.CharField(
        _("granted by (name)"), max_length=STAFF_NAME_MAX_LENGTH, blank=True, default="", db_default=""
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_default=Now(), editable=False)

    objects = TokenGrantQuerySet.as_manager()

    class Meta:
        verbose_name = _("token grant")
        verbose_name_plural = _("token grants")
        permissions = [("grant_tokens", _("Can grant tokens"))]
        indexes = [
            # Admin: a player's grants, newest first; audit_heists: the sum of a player's grants.
            models.Index(fields=["player", "created_at"], name="heists_grant_player_created"),
            # Admin: the list of grants, newest first.
            models.Index(fields=["created_at"], name="heists_grant_created"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(reason=GrantReason.CORRECTION, amount__lt=0)
                | (~Q(reason=GrantReason.CORRECTION) & Q(amount__gt=0)),
                name="heists_grant_only_correction_takes",
            ),
            models.CheckConstraint(condition=Q(reason__in=GrantReason.values), name="heists_grant_reason_known"),
        ]

    def __str__(self) -> str:
        text = ngettext("%(tokens)s token for %(player)s", "%(tokens)s tokens for %(player)s", self.amount)
        return text % {
            "tokens": number_format(self.amount, force_grouping=True),
            "player": player_name(self, "player"),
        }
