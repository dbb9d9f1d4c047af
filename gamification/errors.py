"""What the services refuse with: a stable code for clients, a sentence for people, the numbers that belong to it."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class GamificationError(Exception):
    """The base of everything this app refuses with."""

    code = "gamification_error"
    sentence: str | Promise = _("The request could not be carried out.")

    def __init__(self, **details: Any) -> None:
        self.details = details
        super().__init__(self.sentence)

    def __str__(self) -> str:
        return str(self.sentence)


class InsufficientPoints(GamificationError):
    """The player would be left with less than no points."""

    code = "insufficient_points"
    sentence = _("The player does not have enough points.")


class InsufficientCoins(GamificationError):
    """The player would be left with less than no coins."""

    code = "insufficient_coins"
    sentence = _("The player does not have enough coins.")


class BalanceTooLarge(GamificationError):
    """The balance would leave the range of its column."""

    code = "balance_too_large"
    sentence = _("The player cannot have that much.")


class UnknownEventType(GamificationError):
    """No active point event type has this name."""

    code = "unknown_event_type"
    sentence = _("There is no active point event type of this name.")


class UnknownReferralCode(GamificationError):
    """The referral code does not exist."""

    code = "unknown_referral_code"
    sentence = _("This referral code does not exist.")


class UsernameTaken(GamificationError):
    """Somebody has the username already."""

    code = "username_taken"
    sentence = _("A player with this username exists already.")


class InvalidCredentials(GamificationError):
    """No account has this username and password."""

    code = "invalid_credentials"
    sentence = _("No account has this username and password.")


class InactiveAccount(GamificationError):
    """The credentials are right, and the account is closed."""

    code = "inactive_account"
    sentence = _("This account is not active.")


class StaleBalance(GamificationError):
    """A balance that was read under lock is no longer there: somebody wrote without the lock. Nothing was moved."""

    code = "stale_balance"
    sentence = _("The balance changed in the meantime.")


class AppendOnly(GamificationError):
    """A ledger row is history: it can be neither changed nor deleted, only answered by another row."""

    code = "append_only"
    sentence = _("Ledger rows are append-only; write another row that corrects this one.")
