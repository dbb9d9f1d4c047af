"""The words that are stored: every status, type, code and reason, with what it means."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class HeistStatus(models.TextChoices):
    """How an attempt ended (spec sections 1 and 4)."""

    SUCCESS = "SUCCESS", _("Success")
    # Points moved from the victim to the attacker; the token is spent.
    FAILED_COOLDOWN = "FAILED_COOLDOWN", _("Attacker on cooldown")
    # Rejected: the attacker spent a token too recently, or too often today.
    FAILED_TARGET_PROTECTED = "FAILED_TARGET_PROTECTED", _("Target protected")
    # Rejected: the victim was robbed too recently, by anybody or by this attacker, or lost enough this month.
    FAILED_SHIELD = "FAILED_SHIELD", _("Blocked by a shield")
    # The attack reached the victim's shield: the token and the shield are spent, no points moved.
    FAILED_INSUFFICIENT_POINTS = "FAILED_INSUFFICIENT_POINTS", _("Target has too few points")
    # Rejected: the victim has less than the minimum, or so little that nothing would be stolen.
    FAILED_INSUFFICIENT_TOKENS = "FAILED_INSUFFICIENT_TOKENS", _("Not enough tokens")
    # Rejected: the attacker can't pay for a heist.
    FAILED_INVALID_TARGET = "FAILED_INVALID_TARGET", _("Invalid target")
    # Rejected: the attacker named themselves, or an account that is not active.

    @classmethod
    def outcomes(cls) -> tuple[HeistStatus, ...]:
        """The statuses of attempts that reached the victim, and so spent the token."""
        return (cls.SUCCESS, cls.FAILED_SHIELD)


class FailureCode(models.TextChoices):
    """Which question of spec section 4 was answered no; finer than the status."""

    SELF_TARGET = "self_target", _("Robbing oneself")
    INACTIVE_TARGET = "inactive_target", _("Target not active")
    INSUFFICIENT_TOKENS = "insufficient_tokens", _("Not enough tokens")
    COOLDOWN = "cooldown", _("Cooldown")
    DAILY_LIMIT = "daily_limit", _("Daily limit")
    PAIR_COOLDOWN = "pair_cooldown", _("Same target too soon")
    PROTECTED = "protected", _("Target protected")
    INSUFFICIENT_POINTS = "insufficient_points", _("Target has too few points")
    LOSS_LIMIT = "loss_limit", _("Target's monthly loss limit")
    SHIELD = "shield", _("Shield")

    @property
    def status(self) -> HeistStatus:
        """The heist status that this code belongs to."""
        return STATUS_OF_CODE[self]


STATUS_OF_CODE = {
    FailureCode.SELF_TARGET: HeistStatus.FAILED_INVALID_TARGET,
    FailureCode.INACTIVE_TARGET: HeistStatus.FAILED_INVALID_TARGET,
    FailureCode.INSUFFICIENT_TOKENS: HeistStatus.FAILED_INSUFFICIENT_TOKENS,
    FailureCode.COOLDOWN: HeistStatus.FAILED_COOLDOWN,
    FailureCode.DAILY_LIMIT: HeistStatus.FAILED_COOLDOWN,
    FailureCode.PAIR_COOLDOWN: HeistStatus.FAILED_TARGET_PROTECTED,
    FailureCode.PROTECTED: HeistStatus.FAILED_TARGET_PROTECTED,
    FailureCode.INSUFFICIENT_POINTS: HeistStatus.FAILED_INSUFFICIENT_POINTS,
    FailureCode.LOSS_LIMIT: HeistStatus.FAILED_TARGET_PROTECTED,
    FailureCode.SHIELD: HeistStatus.FAILED_SHIELD,
}


class HeistNotificationType(models.TextChoices):
    """What a notification tells of (spec section 5)."""

    HEIST_SUCCESS = "HEIST_SUCCESS", _("You robbed somebody")
    HEIST_VICTIM = "HEIST_VICTIM", _("You were robbed")
    TOKEN_EARNED = "TOKEN_EARNED", _("You earned a token")
    SHIELD_ACTIVATED = "SHIELD_ACTIVATED", _("Your shield blocked an attack")
    SHIELD_EXPIRED = "SHIELD_EXPIRED", _("Your shield expired")


class GrantReason(models.TextChoices):
    """Why tokens were given (spec section 3)."""

    REFERRAL = "REFERRAL", _("Referral")
    # Somebody signed up with the player's referral code.
    PROMOTION = "PROMOTION", _("Promotion")
    # The host gave them away: an event, a season, a purchase.
    STAFF = "STAFF", _("Staff")
    # A member of staff gave them, with a note that says why.
    REFUND = "REFUND", _("Refund")
    # Tokens given back after a complaint; the heist they paid for stays as it is.


class LetterState(models.TextChoices):
    """Where a letter stands on its way out of the outbox (spec section 5)."""

    WAITING = "WAITING", _("Waiting")
    # To be sent once `due_at` has come, unless a worker holds the lease.
    SENT = "SENT", _("Sent")
    # Handed to the mail server; the notification says when.
    SKIPPED = "SKIPPED", _("Not wanted")
    # The player had turned such letters off, or had no address left, when its turn came.
    FAILED = "FAILED", _("Given up")
    # Refused too often; `last_error` says why. Staff can send it again.
