"""Errors that the services raise, each with a stable code for clients, a message for people, and its numbers."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class GamificationError(Exception):
    """The base class of all errors that this app raises."""

    code = "gamification_error"
    message: str | Promise = _("The request could not be carried out.")

    def __init__(self, **details: Any) -> None:
        self.details = details
        super().__init__(self.message)

    def __str__(self) -> str:
        return str(self.message)


class InsufficientPoints(GamificationError):
    """The player has fewer points than required (`required`, `available`)."""

    code = "insufficient_points"
    message = _("The player does not have enough points.")


class InsufficientCoins(GamificationError):
    """The player has fewer coins than required (`required`, `available`)."""

    code = "insufficient_coins"
    message = _("The player does not have enough coins.")


class BalanceTooLarge(GamificationError):
    """The balance would exceed the maximum of its column."""

    code = "balance_too_large"
    message = _("The player cannot have that much.")


class UnknownEventType(GamificationError):
    """No active point event type has this name."""

    code = "unknown_event_type"
    message = _("There is no active point event type of this name.")


class UnknownReferralCode(GamificationError):
    """The referral code does not exist."""

    code = "unknown_referral_code"
    message = _("This referral code does not exist.")


class UsernameTaken(GamificationError):
    """Another account has the username."""

    code = "username_taken"
    message = _("A player with this username exists already.")


class InvalidCredentials(GamificationError):
    """No account has this username and password."""

    code = "invalid_credentials"
    message = _("No account has this username and password.")


class InactiveAccount(GamificationError):
    """The credentials are right, but the account is not active."""

    code = "inactive_account"
    message = _("This account is not active.")


class StaleBalance(GamificationError):
    """A balance changed under the lock: other code wrote without it. Nothing was moved."""

    code = "stale_balance"
    message = _("The balance changed in the meantime.")


class AppendOnly(GamificationError):
    """A ledger row can't be changed or deleted; another row corrects it."""

    code = "append_only"
    message = _("Ledger rows are append-only; add a row that corrects this one.")
