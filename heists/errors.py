"""The refusals that are not attempts: what a service raises instead of writing a heist (spec section 6).

Each has a stable `code` for clients, a translatable sentence for people, and the numbers that belong to it.
"""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class HeistError(Exception):
    """The base of everything heists refuses with; catch it to catch them all."""

    code = "heist_error"
    sentence: str | Promise = _("The request could not be carried out.")

    def __init__(self, sentence: str | Promise | None = None, **details: Any) -> None:
        self.sentence = sentence or self.sentence
        self.details = details
        super().__init__(self.sentence)

    def __str__(self) -> str:
        return str(self.sentence)


class FeatureDisabled(HeistError):
    """`HEISTS["ENABLED"]` is off: no attempts, no shop."""

    code = "feature_disabled"
    sentence = _("Heists are switched off at the moment.")


class UnknownPlayer(HeistError):
    """The id belongs to nobody, so there is no attempt to record."""

    code = "unknown_player"
    sentence = _("There is no such player.")


class InactiveAccount(HeistError):
    """The acting player's own account is not active."""

    code = "inactive_account"
    sentence = _("This account is not active.")


class IdempotencyKeyReused(HeistError):
    """The key was used before, by the same player, for another request."""

    code = "idempotency_key_reused"
    sentence = _("This idempotency key was used before with another request.")


class InvalidGrant(HeistError):
    """The amount, reason or source of a grant is out of the question."""

    code = "invalid_grant"
    sentence = _("These tokens can't be granted.")


class NoCoins(HeistError):
    """The host's economy has no coins, so there is no shield shop."""

    code = "no_coins"
    sentence = _("This site has no coins, so there are no shields to buy.")


class InsufficientCoins(HeistError):
    """The player has fewer coins than the price."""

    code = "insufficient_coins"
    sentence = _("You do not have enough coins.")


class ShieldAlreadyLive(HeistError):
    """The player has a live shield; there is at most one."""

    code = "shield_already_live"
    sentence = _("You already have a live shield.")


class Busy(HeistError):
    """The deed lost to others too often, or the database is away; nothing was done, try again."""

    code = "busy"
    sentence = _("The server is busy; nothing was done. Please try again.")


class OutcomeUnknown(Busy):
    """The database was lost in the moment of the commit, and no idempotency key says whether it was done."""

    code = "outcome_unknown"
    sentence = _("The connection was lost at the last moment. Please look whether it was done before you try again.")
