"""The sentences that players read: failures, notifications, and the answer to a heist. Errors have theirs in `errors`.

All are gettext messages. A function translates into the active language; pass a caching `gettext` to translate many.
A translation with wrong placeholders is not used: a host's catalogue must not make a heist fail.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.utils import formats, timezone, translation
from django.utils.translation import gettext_noop

from .choices import FailureCode, GrantReason, HeistNotificationType, HeistStatus

FAILURES = {
    FailureCode.SELF_TARGET: gettext_noop("You can't rob yourself."),
    FailureCode.INACTIVE_TARGET: gettext_noop("This player's account is not active."),
    FailureCode.OWN_TRUCE: gettext_noop("You have a truce this month."),
    FailureCode.INSUFFICIENT_TOKENS: gettext_noop("You do not have enough heist tokens."),
    FailureCode.COOLDOWN: gettext_noop("You are still on cooldown after your last heist."),
    FailureCode.DAILY_LIMIT: gettext_noop("You have reached the limit of heists a day."),
    FailureCode.TRUCE: gettext_noop("This player has a truce this month."),
    FailureCode.NEWCOMER: gettext_noop("This player is new and still protected."),
    FailureCode.PAIR_COOLDOWN: gettext_noop("You attacked this player too recently."),
    FailureCode.PROTECTED: gettext_noop("This player was robbed recently and is protected."),
    FailureCode.INSUFFICIENT_POINTS: gettext_noop("This player does not have enough points to steal."),
    FailureCode.LOSS_LIMIT: gettext_noop("This player has reached the limit of points to lose in a month."),
    FailureCode.BALANCE_FULL: gettext_noop("This heist would give you more points than a player can have."),
    FailureCode.SHIELD: gettext_noop("The player's shield blocked the heist."),
}
# No full stop at the end: a time may end in one in English, as in "9:18 p.m."
FAILURE_WITH_RETRY = gettext_noop("%(sentence)s Next chance: %(when)s")

# By notification type; a grant has one for each reason. Formatted with the notification's metadata.
NOTIFICATIONS: dict[str, str] = {
    HeistNotificationType.HEIST_SUCCESS: gettext_noop(
        "Success! You pulled a heist on %(victim_name)s and stole %(points)s points!"
    ),
    HeistNotificationType.HEIST_VICTIM: gettext_noop(
        "Oh no! %(attacker_name)s just pulled a heist on you and stole %(points)s of your monthly points!"
    ),
    HeistNotificationType.SHIELD_ACTIVATED: gettext_noop(
        "Your shield blocked a heist by %(attacker_name)s. It is used up now."
    ),
    HeistNotificationType.SHIELD_EXPIRED: gettext_noop("Your shield expired without being used."),
    HeistNotificationType.HEIST_REVERSED: gettext_noop(
        "The team reversed a heist: %(victim_name)s got back %(points)s points that %(attacker_name)s had stolen."
    ),
    GrantReason.REFERRAL: gettext_noop("You earned a Heist Token! %(referred_name)s joined using your referral code."),
    GrantReason.PROMOTION: gettext_noop("You received heist tokens in a promotion: %(amount)s."),
    GrantReason.STAFF: gettext_noop("The team gave you heist tokens: %(amount)s."),
    GrantReason.REFUND: gettext_noop("You got heist tokens back: %(amount)s."),
}
# What the team writes to both players of a reversed heist.
NOTE_FROM_STAFF = gettext_noop("%(sentence)s The team writes: %(note)s")
BLOCKED = gettext_noop("%(victim_name)s had a shield. Your heist was blocked and your token is spent.")

Translate = Callable[[str], str]

# A named placeholder, or an escaped per cent sign.
PLACEHOLDER = re.compile(r"%(?:%|\(\w+\)[-#0 +]*\d*(?:\.\d+)?[sdr])")


def fill(message: str, values: Mapping[str, Any], gettext: Translate = translation.gettext) -> str:
    """Return the translation of a message with its values; the original where the translation can't be filled in.

    Raises KeyError where the original needs a value that is missing.
    """
    translated = gettext(message)
    # Without this test, "100 % sure" would print all values: "% s" formats the whole mapping.
    if translated != message and "%" not in PLACEHOLDER.sub("", translated):
        try:
            return translated % values
        except (KeyError, ValueError, TypeError):
            pass
    return message % values


def failure_message(code: str, retry_at: dt.datetime | None = None, gettext: Translate = translation.gettext) -> str:
    """Return why an attempt fails, and from when it may succeed, in the active language and time zone."""
    sentence = gettext(FAILURES[FailureCode(code)])
    if retry_at is None:
        return sentence
    when = formats.date_format(timezone.localtime(retry_at), "DATETIME_FORMAT")
    return fill(FAILURE_WITH_RETRY, {"sentence": sentence, "when": when}, gettext)


def notification_message(
    type: str, metadata: dict[str, Any] | None, gettext: Translate = translation.gettext
) -> str | None:
    """Return a notification's sentence in the active language; None where the metadata lacks a name or number."""
    metadata = metadata or {}
    key = metadata.get("reason", "") if type == HeistNotificationType.TOKEN_EARNED else type
    try:
        sentence = fill(NOTIFICATIONS[key], metadata, gettext)
    except KeyError:
        return None
    if type == HeistNotificationType.HEIST_REVERSED and metadata.get("note"):
        return fill(NOTE_FROM_STAFF, {"sentence": sentence, "note": metadata["note"]}, gettext)
    return sentence


def success_message(status: str, *, victim_name: str, points: int) -> str:
    """Return the attacker's message about an outcome, in the active language."""
    found = BLOCKED if status == HeistStatus.FAILED_SHIELD else NOTIFICATIONS[HeistNotificationType.HEIST_SUCCESS]
    return fill(found, {"victim_name": victim_name, "points": points})
