"""Heists: one row an attempt."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..choices import FailureCode, HeistStatus
from .base import IDEMPOTENCY_KEY_MAX_LENGTH, AppendOnlyModel, AppendOnlyQuerySet, player_name
from .rules import RuleSet
from .tokens import HeistToken


class HeistQuerySet(AppendOnlyQuerySet["Heist"]):
    def outcomes(self) -> HeistQuerySet:
        """Return attempts that reached the victim and spent the token."""
        return self.filter(token_spent=True)

    def rejections(self) -> HeistQuerySet:
        """Return attempts that the rules rejected; they spent and moved nothing."""
        return self.filter(token_spent=False)

    def successful(self) -> HeistQuerySet:
        return self.filter(status=HeistStatus.SUCCESS)

    def visible_to(self, player_id: Any) -> HeistQuerySet:
        """Return what a player may read: their own attempts, and the outcomes against them but no rejections."""
        return self.filter(Q(attacker=player_id) | Q(victim=player_id, token_spent=True))

    def with_reversal(self) -> HeistQuerySet:
        """Read what players may know of each heist's reversal in the same statement; see `known_reversal`."""
        private = (field.name for field in self.model.reversal.related.related_model._meta.concrete_fields)
        public = {"id", "heist", "points_returned", "created_at"}
        return self.select_related("reversal").defer(*(f"reversal__{name}" for name in private if name not in public))

    def newest_first(self) -> HeistQuerySet:
        return self.order_by("-created_at", "-pk")


class Heist(AppendOnlyModel):
    """One attempt: an outcome or a rejection. It keeps the balances it was judged by, so that it can be judged again.

    Only the address changes, and the row is deleted only with one of its players. Triggers of migration 0002 enforce
    both.
    """

    editable_fields = frozenset({"ip_address"})

    attacker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heists_as_attacker",
        db_index=False,
        verbose_name=_("attacker"),
    )
    # The attacker's column as a reference to their token row. Migration 0002 adds the foreign key on PostgreSQL.
    attacker_token = models.ForeignObject(
        HeistToken,
        on_delete=models.CASCADE,
        from_fields=["attacker"],
        to_fields=["user"],
        related_name="heists_as_attacker",
        editable=False,
        serialize=False,
    )
    victim = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heists_as_victim",
        db_index=False,
        verbose_name=_("victim"),
    )
    points_stolen = models.BigIntegerField(_("points stolen"))
    victim_points_before = models.BigIntegerField(_("victim's points before"))
    victim_points_after = models.BigIntegerField(_("victim's points after"))
    attacker_points_before = models.BigIntegerField(_("attacker's points before"))
    attacker_points_after = models.BigIntegerField(_("attacker's points after"))
    # The balance that was judged, before the cost. Null where the writer did not know it.
    attacker_tokens = models.IntegerField(_("attacker's tokens"), null=True, blank=True, editable=False)
    token_spent = models.BooleanField(_("token spent"), default=True, db_default=True)
    status = models.CharField(
        _("status"),
        max_length=max(map(len, HeistStatus.values)),
        choices=HeistStatus,
        default=HeistStatus.SUCCESS,
        db_default=HeistStatus.SUCCESS,
    )
    failure_code = models.CharField(  # noqa: DJ001 - null, like failure_reason in the original design
        _("failure code"), max_length=max(map(len, FailureCode.values)), choices=FailureCode, null=True, blank=True
    )
    failure_reason = models.TextField(_("failure reason"), null=True, blank=True)  # noqa: DJ001 - as designed
    # When the failing rule lets the attempt pass. Kept so that a replayed request gets the same answer.
    retry_at = models.DateTimeField(_("retry at"), null=True, blank=True)
    ip_address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    idempotency_key = models.CharField(  # noqa: DJ001 - null keeps heists without a key out of the unique index
        _("idempotency key"), max_length=IDEMPOTENCY_KEY_MAX_LENGTH, null=True, blank=True
    )
    rule_set = models.ForeignKey(
        RuleSet, on_delete=models.PROTECT, related_name="heists", db_index=False, verbose_name=_("rule set")
    )
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_default=Now(), editable=False)

    objects = HeistQuerySet.as_manager()

    class Meta:
        verbose_name = _("heist")
        verbose_name_plural = _("heists")
        permissions = [("reverse_heist", _("Can return the points of heists"))]
        indexes = [
            # API: my history as attacker, newest first; admin: a player's heists.
            models.Index(fields=["attacker", "created_at"], name="heists_heist_attacker_created"),
            # Admin: who attacked this player, newest first.
            models.Index(fields=["victim", "created_at"], name="heists_heist_victim_created"),
            # Admin: the list, newest first; dashboard: the last days.
            models.Index(fields=["created_at"], name="heists_heist_created"),
            # Of the original design; admin: a status without heists. Otherwise heists_heist_status_created is faster.
            models.Index(fields=["status"], name="heists_heist_status"),
            # API: my history as attacker by status; stats of an attacker.
            models.Index(fields=["attacker", "status"], name="heists_heist_attacker_status"),
            # API: my history as victim by status; stats of a victim.
            models.Index(fields=["victim", "status"], name="heists_heist_victim_status"),
            # queries.facts: the attacker's recent outcomes. Without the condition, a day of rejections would be read.
            models.Index(
                fields=["attacker", "created_at"], condition=Q(token_spent=True), name="heists_heist_attacker_outcomes"
            ),
            # queries.facts: the victim's recent losses; API: my history as victim.
            models.Index(
                fields=["victim", "created_at"], condition=Q(token_spent=True), name="heists_heist_victim_outcomes"
            ),
            # Admin: a rare status, newest first. Frequent ones are found by walking heists_heist_created.
            models.Index(fields=["status", "created_at"], name="heists_heist_status_created"),
            # Admin: search by address, newest first.
            models.Index(
                fields=["ip_address", "created_at"], condition=Q(ip_address__isnull=False), name="heists_heist_address"
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=HeistStatus.values), name="heists_heist_status_known"),
            models.CheckConstraint(
                condition=Q(failure_code__isnull=True) | Q(failure_code__in=FailureCode.values),
                name="heists_heist_failure_code_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    points_stolen__gte=0,
                    victim_points_before__gte=0,
                    victim_points_after__gte=0,
                    attacker_points_before__gte=0,
                    attacker_points_after__gte=0,
                )
                & (Q(attacker_tokens__isnull=True) | Q(attacker_tokens__gte=0)),
                name="heists_heist_never_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    victim_points_after=F("victim_points_before") - F("points_stolen"),
                    attacker_points_after=F("attacker_points_before") + F("points_stolen"),
                ),
                name="heists_heist_transfer_balanced",
            ),
            models.CheckConstraint(
                condition=Q(status=HeistStatus.SUCCESS, points_stolen__gt=0)
                | (~Q(status=HeistStatus.SUCCESS) & Q(points_stolen=0)),
                name="heists_heist_only_success_steals",
            ),
            models.CheckConstraint(
                condition=Q(status__in=HeistStatus.outcomes(), token_spent=True)
                | (~Q(status__in=HeistStatus.outcomes()) & Q(token_spent=False)),
                name="heists_heist_outcome_spends_token",
            ),
            models.CheckConstraint(
                condition=~Q(attacker=F("victim")) | Q(status=HeistStatus.FAILED_INVALID_TARGET),
                name="heists_heist_not_oneself",
            ),
            models.UniqueConstraint(
                fields=["attacker", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="heists_heist_idempotency_key",
            ),
        ]

    def __str__(self) -> str:
        names = {"attacker": player_name(self, "attacker"), "victim": player_name(self, "victim")}
        if self.status != HeistStatus.SUCCESS:
            return gettext("%(attacker)s attacked %(victim)s: %(status)s") % {
                **names,
                "status": self.get_status_display(),
            }
        text = ngettext(
            "%(attacker)s robbed %(victim)s: %(points)s point",
            "%(attacker)s robbed %(victim)s: %(points)s points",
            self.points_stolen,
        )
        return text % {**names, "points": number_format(self.points_stolen, force_grouping=True)}

    @property
    def known_reversal(self) -> Any:
        """The heist's `Reversal`, as far as it was read with the heist (`with_reversal`); None for none."""
        return self._state.fields_cache.get("reversal")

    @property
    def is_outcome(self) -> bool:
        """Whether the attempt reached the victim and spent the token; otherwise it is a rejection."""
        return self.token_spent


class AttemptLog(models.Model):
    """One row for each rejection, and for each heist that was deleted, written by triggers of migration 0002.

    A deleted outcome is missed by the tokens, notifications and point events; a deleted rejection is missed by this
    row alone. `audit_heists` reports each heist that was deleted while both players exist. A row without players marks
    the largest heist id of an earlier installation, which the host's point events may name.
    """

    heist_id = models.BigIntegerField(primary_key=True)
    # Without constraints: the row outlives the players, so that point events of a deleted heist can be explained.
    attacker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    victim = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # Deleted together with a player. Only PostgreSQL sets it; on SQLite the missing player shows it.
    deleted = models.BooleanField(default=False, db_default=False)

    class Meta:
        verbose_name = _("attempt log entry")
        verbose_name_plural = _("attempt log")

    def __str__(self) -> str:
        return f"heist {self.heist_id}"
