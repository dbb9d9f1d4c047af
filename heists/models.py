"""The law of heists, which the database itself holds, on PostgreSQL and SQLite alike (spec section 3).

1. A token balance is never negative and always `total_earned - total_spent`.
2. `total_earned` is the sum of the player's grants; the same source is granted once.
3. Every attempt is one heist. An outcome (SUCCESS, FAILED_SHIELD) spent its token; a rejection spent and moved nothing.
4. A transfer is balanced: the victim loses and the attacker gains exactly `points_stolen`, and only a SUCCESS steals.
5. Nobody robs themselves: such an attempt is FAILED_INVALID_TARGET.
6. The same idempotency key of the same player is the same heist.
7. A player has at most one live shield; a shield blocks one attack.
8. Every heist points to the rules it was judged by, and rules are never edited.

Whoever writes the rows: the constraints below refuse the rest.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .choices import FailureCode, GrantReason, HeistNotificationType, HeistStatus, LetterState
from .rules import NUMBERS, Rules

__all__ = [
    "FailureCode",
    "GrantReason",
    "Heist",
    "HeistNotification",
    "HeistNotificationType",
    "HeistStatus",
    "HeistToken",
    "Letter",
    "LetterPreference",
    "LetterState",
    "RuleSet",
    "Shield",
    "TokenGrant",
]

IDEMPOTENCY_KEY_MAX_LENGTH = 255


class AppendOnlyError(TypeError):
    """Raised by an attempt to change or delete a row that is only ever added."""


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Rows that are added and read; a cascade from the player still reaches them."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnlyError(f"{self.model.__name__} rows are append-only.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError(f"{self.model.__name__} rows are append-only.")


class AppendOnlyModel(models.Model):
    """A row that can't be edited through the ORM; the database's trigger refuses a plain SQL UPDATE of it."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError(f"{type(self).__name__} rows are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError(f"{type(self).__name__} rows are append-only.")


class RuleSetQuerySet(AppendOnlyQuerySet):
    # Rows that are known to be committed, by database and numbers: a rule set costs no statement after its first use.
    known: dict[tuple[str, Rules], RuleSet] = {}

    def in_force(self, rules: Rules) -> RuleSet:
        """Return the row of these numbers, making it the first time they are used."""
        connection = connections[self.db]
        key = (str(connection.settings_dict["NAME"]), rules)
        if found := self.known.get(key):
            return found
        row: RuleSet = self.using(connection.alias).get_or_create(**{name: getattr(rules, name) for name in NUMBERS})[0]
        # Only what is committed may be remembered: a row that an outer transaction rolls back would haunt the process.
        if not connection.in_atomic_block:
            self.known[key] = row
        return row

    @classmethod
    def forget(cls, **kwargs: Any) -> None:
        """Drop what is remembered; also a receiver of post_migrate, since a flush deletes the rows."""
        cls.known.clear()


class RuleSet(AppendOnlyModel):
    """One distinct set of the numbers of spec section 4 that was ever in force; the settings stay the source."""

    token_cost = models.PositiveIntegerField()
    tokens_per_referral = models.PositiveIntegerField()
    steal_percentage = models.PositiveSmallIntegerField()
    max_steal_points = models.PositiveIntegerField()
    min_target_points = models.PositiveIntegerField()
    cooldown_hours = models.PositiveIntegerField()
    target_cooldown_hours = models.PositiveIntegerField()
    max_heists_per_day = models.PositiveIntegerField()
    pair_cooldown_hours = models.PositiveIntegerField()
    monthly_loss_percent = models.PositiveSmallIntegerField()
    shield_cost = models.PositiveIntegerField()
    shield_days = models.PositiveIntegerField()
    time_zone = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    objects = RuleSetQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule set")
        verbose_name_plural = _("rule sets")
        constraints = [
            # Many processes may use new numbers at the same moment; one row remains.
            models.UniqueConstraint(fields=NUMBERS, name="heists_ruleset_numbers_once"),
        ]

    def __str__(self) -> str:
        return f"rules {self.pk}"

    @property
    def rules(self) -> Rules:
        """The numbers as `rules.py` takes them."""
        return Rules(**{name: getattr(self, name) for name in NUMBERS})


class HeistToken(models.Model):
    """A player's tokens: one row a player, made with balance 0 at the first grant or attempt."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="heist_token", verbose_name=_("player")
    )
    balance = models.IntegerField(_("balance"), default=0, db_default=0)
    total_earned = models.IntegerField(_("total earned"), default=0, db_default=0)
    total_spent = models.IntegerField(_("total spent"), default=0, db_default=0)
    # Tokens that went into heists whose row was deleted with the victim's account. A trigger keeps it, so that
    # `total_spent` can still be checked against the outcomes that are left.
    spent_on_deleted = models.IntegerField(_("spent on deleted heists"), default=0, db_default=0, editable=False)
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
            # Of the design: who spent lately. Nothing of ours asks.
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
        return f"{self.balance} tokens of player {self.user_id}"


class TokenGrant(AppendOnlyModel):
    """One gain of tokens. The unique source makes a replayed hook, file or command harmless."""

    player = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heist_token_grants",
        db_index=False,
        verbose_name=_("player"),
    )
    amount = models.PositiveIntegerField(_("amount"))
    reason = models.CharField(_("reason"), max_length=max(map(len, GrantReason.values)), choices=GrantReason)
    source = models.CharField(_("source"), max_length=255, unique=True)
    note = models.CharField(_("note"), max_length=255, blank=True, default="", db_default="")
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("granted by"),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_default=Now(), editable=False)

    objects = AppendOnlyQuerySet.as_manager()

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
            models.CheckConstraint(condition=Q(amount__gt=0), name="heists_grant_amount_positive"),
            models.CheckConstraint(condition=Q(reason__in=GrantReason.values), name="heists_grant_reason_known"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} tokens for player {self.player_id} ({self.source})"


class HeistQuerySet(models.QuerySet["Heist"]):
    def outcomes(self) -> HeistQuerySet:
        """Attempts that reached the victim: the token was spent."""
        return self.filter(token_spent=True)

    def rejections(self) -> HeistQuerySet:
        """Attempts that the rules refused; nothing was spent or moved."""
        return self.filter(token_spent=False)

    def successful(self) -> HeistQuerySet:
        return self.filter(status=HeistStatus.SUCCESS)

    def visible_to(self, player_id: Any) -> HeistQuerySet:
        """What this player may read: all they tried, and what reached them; rejections stay with the attacker."""
        return self.filter(Q(attacker=player_id) | Q(victim=player_id, token_spent=True))

    def newest_first(self) -> HeistQuerySet:
        return self.order_by("-created_at", "-pk")


class Heist(models.Model):
    """One attempt, whatever came of it; the balances are the locked ones, so that it can be judged again later."""

    attacker = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heists_as_attacker",
        db_index=False,
        verbose_name=_("attacker"),
    )
    # The same column, seen as a key of the attacker's token row; a migration makes it one in PostgreSQL.
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
    points_stolen = models.IntegerField(_("points stolen"))
    victim_points_before = models.IntegerField(_("victim's points before"))
    victim_points_after = models.IntegerField(_("victim's points after"))
    attacker_points_before = models.IntegerField(_("attacker's points before"))
    attacker_points_after = models.IntegerField(_("attacker's points after"))
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
    failure_reason = models.TextField(_("failure reason"), null=True, blank=True)  # noqa: DJ001 - of the design
    # When the rule that said no would say yes; kept so that a replayed request gets the same answer.
    retry_at = models.DateTimeField(_("retry at"), null=True, blank=True)
    ip_address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    idempotency_key = models.CharField(  # noqa: DJ001 - null keeps heists without a key out of the unique index
        _("idempotency key"), max_length=IDEMPOTENCY_KEY_MAX_LENGTH, null=True, blank=True
    )
    rules = models.ForeignKey(
        RuleSet, on_delete=models.PROTECT, related_name="heists", db_index=False, verbose_name=_("rules")
    )
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_default=Now(), editable=False)

    objects = HeistQuerySet.as_manager()

    class Meta:
        verbose_name = _("heist")
        verbose_name_plural = _("heists")
        indexes = [
            # API: my history as attacker, newest first; admin: a player's heists.
            models.Index(fields=["attacker", "created_at"], name="heists_heist_attacker_created"),
            # Admin: who attacked this player, newest first.
            models.Index(fields=["victim", "created_at"], name="heists_heist_victim_created"),
            # Admin: the list, newest first; dashboard: the last days.
            models.Index(fields=["created_at"], name="heists_heist_created"),
            # Of the design; admin: a status that no heist has. Else heists_heist_status_created is quicker.
            models.Index(fields=["status"], name="heists_heist_status"),
            # API: my history as attacker by status; stats of an attacker.
            models.Index(fields=["attacker", "status"], name="heists_heist_attacker_status"),
            # API: my history as victim by status; stats of a victim.
            models.Index(fields=["victim", "status"], name="heists_heist_victim_status"),
            # facts.question: what the attacker did lately. Without its condition, a day of rejections would be read.
            models.Index(fields=["attacker", "created_at"], condition=Q(token_spent=True), name="heists_heist_raids"),
            # facts.question: what the victim lost lately; API: my history as victim.
            models.Index(fields=["victim", "created_at"], condition=Q(token_spent=True), name="heists_heist_losses"),
            # Admin: a status that few heists have, newest first. Frequent ones are found on the way by time.
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
                ),
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
        return f"heist {self.pk}: {self.attacker_id} on {self.victim_id}, {self.status}"

    @property
    def is_outcome(self) -> bool:
        """Whether the attempt reached the victim; otherwise it is a rejection."""
        return self.token_spent


class ShieldQuerySet(models.QuerySet["Shield"]):
    def live(self, now: dt.datetime) -> ShieldQuerySet:
        """Shields that would block an attack at `now`."""
        return self.filter(used_at=None, expired_at=None, expires_at__gt=now)

    def due(self, now: dt.datetime) -> ShieldQuerySet:
        """Shields whose time is over and whose owner has not heard of it yet."""
        return self.filter(used_at=None, expired_at=None, expires_at__lte=now)


class Shield(models.Model):
    """Blocks one attack, then is used up; unused, it expires."""

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
    # When `expire_shields` marked it, not when its time was over: from then on its owner has been told.
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
            # expire_shields: what is due; dashboard: how many are live.
            models.Index(
                fields=["expires_at"],
                condition=Q(used_at__isnull=True, expired_at__isnull=True),
                name="heists_shield_open",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["player"],
                condition=Q(used_at__isnull=True, expired_at__isnull=True),
                name="heists_shield_one_live",
            ),
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
        return f"shield {self.pk} of player {self.player_id}"


class HeistNotificationQuerySet(models.QuerySet["HeistNotification"]):
    def unread(self) -> HeistNotificationQuerySet:
        return self.filter(read=False)

    def newest_first(self) -> HeistNotificationQuerySet:
        return self.order_by("-created_at", "-pk")


class HeistNotification(models.Model):
    """What a player is told, written in the transaction of what it tells of."""

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
    email_sent = models.BooleanField(_("e-mail sent"), default=False, db_default=False)
    email_sent_at = models.DateTimeField(_("e-mail sent at"), null=True, blank=True)
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_default=Now(), editable=False)

    objects = HeistNotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        indexes = [
            # API: unread_count, and marking all as read.
            models.Index(fields=["user", "read"], name="heists_notice_user_read"),
            # API: my feed, newest first.
            models.Index(fields=["user", "created_at"], name="heists_notice_user_created"),
            # Retention: what is old; admin: the list, newest first.
            models.Index(fields=["created_at"], name="heists_notice_created"),
            # Of the design; admin: a type that next to no notification has. Frequent ones are found on the way by time.
            models.Index(fields=["type"], name="heists_notice_type"),
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
        return f"{self.type} to player {self.user_id}"


class LetterQuerySet(models.QuerySet["Letter"]):
    def due(self, now: dt.datetime) -> LetterQuerySet:
        """Letters to send at `now` that no worker holds."""
        return self.filter(Q(leased_until=None) | Q(leased_until__lte=now), state=LetterState.WAITING, due_at__lte=now)


class Letter(models.Model):
    """The outbox: a notification on its way by e-mail. Sent at least once, by whichever worker holds the lease."""

    notification = models.OneToOneField(
        HeistNotification, on_delete=models.CASCADE, related_name="letter", verbose_name=_("notification")
    )
    state = models.CharField(
        _("state"), max_length=max(map(len, LetterState.values)), choices=LetterState, default=LetterState.WAITING
    )
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    lease = models.UUIDField(_("lease"), null=True, blank=True)
    last_error = models.TextField(_("last error"), blank=True, default="")
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = LetterQuerySet.as_manager()

    class Meta:
        verbose_name = _("letter")
        verbose_name_plural = _("letters")
        permissions = [("send_again", _("Can send letters again"))]
        indexes = [
            # send_heist_emails: what is due; dashboard: the depth of the outbox.
            models.Index(fields=["due_at"], condition=Q(state=LetterState.WAITING), name="heists_letter_due"),
            # Admin: the outbox, newest first, also by state.
            models.Index(fields=["created_at"], name="heists_letter_created"),
            models.Index(fields=["state", "created_at"], name="heists_letter_state_created"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=LetterState.values), name="heists_letter_state_known"),
        ]

    def __str__(self) -> str:
        return f"letter {self.pk}, {self.state}"


class LetterPreference(models.Model):
    """Which letters a player does not want; without a row, all are wanted. In-app notifications always stay."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="heist_letter_preference",
        verbose_name=_("player"),
    )
    muted = models.BooleanField(_("no letters at all"), default=False)
    muted_types = models.JSONField(_("no letters of these types"), default=list, blank=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        verbose_name = _("letter preference")
        verbose_name_plural = _("letter preferences")

    def __str__(self) -> str:
        return f"letter preference of player {self.user_id}"

    def wants(self, type: str) -> bool:
        """Whether the player wants letters about notifications of this type."""
        return not self.muted and type not in self.muted_types
