"""Enumerations: those that the database stores, and two that follow from what it stores."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class HeistRole(models.TextChoices):
    """The role of a player in a heist. Not stored: the columns are `attacker` and `victim`."""

    ATTACKER = "attacker", _("Attacker")

    VICTIM = "victim", _("Victim")


class HeistStatus(models.TextChoices):
    """How an attempt ended (docs/specification.md, "The rules")."""

    SUCCESS = "SUCCESS", _("Success")
    """Outcome: points moved from the victim to the attacker, and the token is spent."""

    FAILED_COOLDOWN = "FAILED_COOLDOWN", _("Attacker on cooldown")
    """Rejection: the attacker spent a token too recently or too often today, or has a truce."""

    FAILED_TARGET_PROTECTED = "FAILED_TARGET_PROTECTED", _("Target protected")
    """Rejection: the victim has a truce, is new, was robbed too recently, or has reached the month's loss limit."""

    FAILED_SHIELD = "FAILED_SHIELD", _("Blocked by a shield")
    """Outcome: the victim's shield and the token are used up, and no points moved."""

    FAILED_INSUFFICIENT_POINTS = "FAILED_INSUFFICIENT_POINTS", _("Target has too few points")
    """Rejection: the victim has less than the minimum, or the share is less than one point."""

    FAILED_INSUFFICIENT_TOKENS = "FAILED_INSUFFICIENT_TOKENS", _("Not enough tokens")
    """Rejection: the attacker has fewer tokens than a heist costs."""

    FAILED_INVALID_TARGET = "FAILED_INVALID_TARGET", _("Invalid target")
    """Rejection: oneself, an account that is not active, or a gain beyond the maximum of the attacker's points."""

    @classmethod
    def outcomes(cls) -> tuple[HeistStatus, ...]:
        """Return the statuses of attempts that reached the victim and spent the token."""
        return (cls.SUCCESS, cls.FAILED_SHIELD)


class FailureCode(models.TextChoices):
    """The rule that failed; several codes share a status (docs/specification.md, "The rules")."""

    SELF_TARGET = "self_target", _("Own account")

    INACTIVE_TARGET = "inactive_target", _("Target not active")

    OWN_TRUCE = "own_truce", _("Own truce")

    INSUFFICIENT_TOKENS = "insufficient_tokens", _("Not enough tokens")

    COOLDOWN = "cooldown", _("Cooldown")

    DAILY_LIMIT = "daily_limit", _("Daily limit")

    TRUCE = "truce", _("Target's truce")

    NEWCOMER = "newcomer", _("Target is new")

    PAIR_COOLDOWN = "pair_cooldown", _("Same target too soon")

    PROTECTED = "protected", _("Target protected")

    INSUFFICIENT_POINTS = "insufficient_points", _("Target has too few points")

    LOSS_LIMIT = "loss_limit", _("Target's monthly loss limit")

    BALANCE_FULL = "balance_full", _("No room for more points")

    SHIELD = "shield", _("Shield")

    @property
    def status(self) -> HeistStatus:
        """The heist status that this code belongs to."""
        return STATUS_OF_CODE[self]

    @classmethod
    def rejections(cls) -> tuple[FailureCode, ...]:
        """Return the codes of rejections: all but a shield, which is an outcome."""
        return tuple(code for code in cls if code != cls.SHIELD)

    @classmethod
    def of_attacker(cls) -> tuple[FailureCode, ...]:
        """Return the codes that are about the attacker's own state and not about the victim."""
        return (cls.OWN_TRUCE, cls.INSUFFICIENT_TOKENS, cls.COOLDOWN, cls.DAILY_LIMIT, cls.BALANCE_FULL)

    @classmethod
    def of_victim(cls) -> tuple[FailureCode, ...]:
        """Return the codes of rejections that are about the victim's own state and not about the attacker."""
        return (
            cls.INACTIVE_TARGET,
            cls.TRUCE,
            cls.NEWCOMER,
            cls.PROTECTED,
            cls.INSUFFICIENT_POINTS,
            cls.LOSS_LIMIT,
        )

    @classmethod
    def timed(cls) -> tuple[FailureCode, ...]:
        """Return the codes that end with time; a heist that has one has a `retry_at`."""
        return (cls.COOLDOWN, cls.DAILY_LIMIT, cls.NEWCOMER, cls.PAIR_COOLDOWN, cls.PROTECTED, cls.LOSS_LIMIT)

    @classmethod
    def truces(cls) -> tuple[FailureCode, ...]:
        """Return the codes whose heist has a `retry_at` only where the truce has an end."""
        return (cls.OWN_TRUCE, cls.TRUCE)


STATUS_OF_CODE = {
    FailureCode.SELF_TARGET: HeistStatus.FAILED_INVALID_TARGET,
    FailureCode.INACTIVE_TARGET: HeistStatus.FAILED_INVALID_TARGET,
    FailureCode.OWN_TRUCE: HeistStatus.FAILED_COOLDOWN,
    FailureCode.INSUFFICIENT_TOKENS: HeistStatus.FAILED_INSUFFICIENT_TOKENS,
    FailureCode.COOLDOWN: HeistStatus.FAILED_COOLDOWN,
    FailureCode.DAILY_LIMIT: HeistStatus.FAILED_COOLDOWN,
    FailureCode.TRUCE: HeistStatus.FAILED_TARGET_PROTECTED,
    FailureCode.NEWCOMER: HeistStatus.FAILED_TARGET_PROTECTED,
    FailureCode.PAIR_COOLDOWN: HeistStatus.FAILED_TARGET_PROTECTED,
    FailureCode.PROTECTED: HeistStatus.FAILED_TARGET_PROTECTED,
    FailureCode.INSUFFICIENT_POINTS: HeistStatus.FAILED_INSUFFICIENT_POINTS,
    FailureCode.LOSS_LIMIT: HeistStatus.FAILED_TARGET_PROTECTED,
    FailureCode.BALANCE_FULL: HeistStatus.FAILED_INVALID_TARGET,
    FailureCode.SHIELD: HeistStatus.FAILED_SHIELD,
}


class HeistNotificationType(models.TextChoices):
    """What a notification is about (docs/specification.md, "Notifications")."""

    HEIST_SUCCESS = "HEIST_SUCCESS", _("You robbed a player")

    HEIST_VICTIM = "HEIST_VICTIM", _("You were robbed")

    TOKEN_EARNED = "TOKEN_EARNED", _("You earned a token")

    SHIELD_ACTIVATED = "SHIELD_ACTIVATED", _("Your shield blocked an attack")

    SHIELD_EXPIRED = "SHIELD_EXPIRED", _("Your shield expired")

    HEIST_REVERSED = "HEIST_REVERSED", _("A heist was reversed")


class GrantReason(models.TextChoices):
    """Why tokens were granted (docs/specification.md, "Data")."""

    REFERRAL = "REFERRAL", _("Referral")
    """A new player signed up with this player's referral code."""

    PROMOTION = "PROMOTION", _("Promotion")
    """The host granted tokens: an event, a season, a purchase."""

    STAFF = "STAFF", _("Staff")
    """A member of staff granted tokens and left a note."""

    REFUND = "REFUND", _("Refund")
    """Tokens given back after a complaint; the heist they paid for stays as it is."""

    CORRECTION = "CORRECTION", _("Correction")
    """A grant that was a mistake, taken back: the only reason with a negative amount. Services alone write it."""

    @classmethod
    def of_callers(cls) -> tuple[GrantReason, ...]:
        """Return the reasons that a caller may grant for."""
        return tuple(reason for reason in cls if reason != cls.CORRECTION)


class RuleChangeKind(models.TextChoices):
    """What a rule change changes (docs/specification.md, "Rule changes")."""

    RULES = "RULES", _("Rules")
    """The rules: all numbers at once, as a rule set."""

    SWITCH = "SWITCH", _("Switch")
    """Whether heists are switched on."""


class ShieldState(models.TextChoices):
    """What a shield can still do. Not stored: it follows from `used_at`, `expires_at` and the clock."""

    LIVE = "live", _("Live")
    """It blocks the next attack."""

    USED = "used", _("Used up")
    """It blocked an attack."""

    EXPIRED = "expired", _("Expired")
    """Its time is over, and it blocked nothing."""


class EmailState(models.TextChoices):
    """The delivery state of an outbox email (docs/specification.md, "Notifications")."""

    WAITING = "WAITING", _("Waiting")
    """To be sent once `due_at` has passed, unless a worker holds the lease."""

    SENT = "SENT", _("Sent")
    """Accepted by the mail server; the notification has the time."""

    SKIPPED = "SKIPPED", _("Not wanted")
    """Not sent: the player turned these emails off, or has no address."""

    FAILED = "FAILED", _("Given up")
    """Rejected too often; `last_error` has the reason. Staff can send it again."""
