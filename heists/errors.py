"""Errors that services raise (docs/specification.md, "HTTP API").

An error is not an attempt: no heist row is written. Each class has a stable `code` for clients, a translatable message
for people, and `details` with the numbers that belong to it.
"""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class HeistError(Exception):
    """The base class of all errors that heists raises."""

    code = "heist_error"
    message: str | Promise = _("The request could not be carried out.")

    def __init__(self, message: str | Promise | None = None, **details: Any) -> None:
        self.message = message or self.message
        self.details = details
        super().__init__(self.message)

    def __str__(self) -> str:
        return str(self.message)


class FeatureDisabled(HeistError):
    """`HEISTS["ENABLED"]` is False, or staff switched heists off: no attempts, shield shop or truce wishes."""

    code = "feature_disabled"
    message = _("Heists are switched off at the moment.")


class UnknownPlayer(HeistError):
    """No player has this id, so there is no attempt to record."""

    code = "unknown_player"
    message = _("There is no such player.")


class InactiveAccount(HeistError):
    """The acting player's own account is not active."""

    code = "inactive_account"
    message = _("This account is not active.")


class IdempotencyKeyReused(HeistError):
    """The same player used the key before, for another request."""

    code = "idempotency_key_reused"
    message = _("This idempotency key was used before with another request.")


class InvalidGrant(HeistError):
    """The amount, source, reason or note of a grant is out of range; `code_detail` names which."""

    code = "invalid_grant"
    message = _("These tokens can't be granted.")


class UnknownGrant(HeistError):
    """There is no such grant; it was deleted with its player."""

    code = "unknown_grant"
    message = _("There is no such grant any more.")


class NotCorrectable(HeistError):
    """The grant is itself a correction."""

    code = "not_correctable"
    message = _("A correction can't be taken back.")


class AlreadyTakenBack(HeistError):
    """The grant was taken back before (`tokens`, `at`, `by`)."""

    code = "already_taken_back"
    message = _("This grant was taken back before.")


class UnknownHeist(HeistError):
    """There is no such heist; it was deleted with one of its players."""

    code = "unknown_heist"
    message = _("There is no such heist any more.")


class NoReversals(HeistError):
    """The host's economy can't give points back: it has no `give_back`."""

    code = "no_reversals"
    message = _("On this site, points can't be returned.")


class InvalidReversal(HeistError):
    """The reason or the note is empty or out of range; `code_detail` names which."""

    code = "invalid_reversal"
    message = _("These points can't be returned with this text.")


class NotASuccess(HeistError):
    """The heist moved no points."""

    code = "not_a_success"
    message = _("This heist moved no points.")


class AlreadyReversed(HeistError):
    """The heist's points were returned before (`points`, `at`, `by`)."""

    code = "already_reversed"
    message = _("The points of this heist were returned before.")


class AnotherMonth(HeistError):
    """The month of the heist is over (`ended_at`): its points count no more."""

    code = "another_month"
    message = _("This heist was in an earlier month, whose points are final.")


class NothingLeft(HeistError):
    """There is nothing to return or to take back (`required`, `available`)."""

    code = "nothing_left"
    message = _("The player has nothing left to give back.")


class BalanceFull(HeistError):
    """The victim would have more points than the maximum (`maximum`)."""

    code = "balance_full"
    message = _("The player would have more points than a player can have.")


class AmountChanged(HeistError):
    """The amount is no longer the one that the caller saw (`expected`, `available`). Nothing was changed."""

    code = "amount_changed"
    message = _("The numbers have changed meanwhile.")


class InvalidRuleChange(HeistError):
    """A number or the reason is out of range (`minimum`, `maximum`); `code_detail` names which."""

    code = "invalid_rule_change"
    message = _("The rules can't be changed like this.")


class MomentOutOfRange(HeistError):
    """The moment of a change of the rules is too near, in the past or too far ahead (`earliest`, `latest`)."""

    code = "moment_out_of_range"
    message = _("The rules can be changed at least a minute and at most a year ahead.")


class MomentTaken(HeistError):
    """There is a change of the rules for this moment (`at`, `by`)."""

    code = "moment_taken"
    message = _("There is a change of the rules for this moment already.")


class RulesChangedMeanwhile(HeistError):
    """Somebody changed the rules since they were read (`at`, `by`). Nothing was changed now."""

    code = "rules_changed"
    message = _("The rules have been changed meanwhile.")


class NothingToChange(HeistError):
    """The rules, or the switch, are so already."""

    code = "nothing_to_change"
    message = _("It is so already; there is nothing to change.")


class NoCoins(HeistError):
    """The host's economy has no coins, so there is no shield shop."""

    code = "no_coins"
    message = _("This site has no coins, so there are no shields to buy.")


class InsufficientCoins(HeistError):
    """The player has fewer coins than the price (`required`, `available`)."""

    code = "insufficient_coins"
    message = _("You do not have enough coins.")


class ShieldAlreadyLive(HeistError):
    """The player has a live shield (`expires_at`); a player has one at most."""

    code = "shield_already_live"
    message = _("You already have a live shield.")


class TruceDisabled(HeistError):
    """The rules in force have truces switched off: no wishes, and no truce counts."""

    code = "truce_disabled"
    message = _("There are no truces on this site at the moment.")


class Busy(HeistError):
    """The transaction conflicted with others too often, or the database is not available. Nothing was changed."""

    code = "busy"
    message = _("The server is busy; nothing was changed. Please try again.")


class OutcomeUnknown(Busy):
    """The connection was lost during COMMIT, and there is no idempotency key to find out what was committed."""

    code = "outcome_unknown"
    message = _("The connection was lost while saving. Please check whether it was done before you try again.")
