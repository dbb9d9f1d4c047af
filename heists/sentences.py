"""What a refusal says to people, by failure code."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from django.utils import formats, timezone, translation
from django.utils.translation import gettext_noop

from .choices import FailureCode

SENTENCES = {
    FailureCode.SELF_TARGET: gettext_noop("You can't rob yourself."),
    FailureCode.INACTIVE_TARGET: gettext_noop("This player's account is not active."),
    FailureCode.INSUFFICIENT_TOKENS: gettext_noop("You do not have enough heist tokens."),
    FailureCode.COOLDOWN: gettext_noop("You are still on cooldown after your last heist."),
    FailureCode.DAILY_LIMIT: gettext_noop("You have pulled as many heists as a day allows."),
    FailureCode.PAIR_COOLDOWN: gettext_noop("You met this player too recently."),
    FailureCode.PROTECTED: gettext_noop("This player was robbed recently and is protected."),
    FailureCode.INSUFFICIENT_POINTS: gettext_noop("This player does not have enough points to steal."),
    FailureCode.LOSS_LIMIT: gettext_noop("This player has lost as much as a month allows."),
    FailureCode.SHIELD: gettext_noop("The player's shield blocked the heist."),
}


# No full stop at its end: in English the time may end in one, as in "9:18 p.m."
WITH_RETRY = gettext_noop("%(sentence)s Next chance: %(when)s")


def refusal_sentence(
    code: str, retry_at: dt.datetime | None = None, gettext: Callable[[str], str] = translation.gettext
) -> str:
    """Return why the answer was no, and from when it may be yes, in the language and time zone of the moment.

    Whoever needs many of them in one language brings a `gettext` that remembers.
    """
    sentence = gettext(SENTENCES[FailureCode(code)])
    if retry_at is None:
        return sentence
    when = formats.date_format(timezone.localtime(retry_at), "DATETIME_FORMAT")
    return gettext(WITH_RETRY) % {"sentence": sentence, "when": when}
