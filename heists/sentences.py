"""What a refusal says to people, by failure code."""

from __future__ import annotations

import datetime as dt

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .choices import FailureCode

SENTENCES = {
    FailureCode.SELF_TARGET: gettext_lazy("You can't rob yourself."),
    FailureCode.INACTIVE_TARGET: gettext_lazy("This player's account is not active."),
    FailureCode.INSUFFICIENT_TOKENS: gettext_lazy("You do not have enough heist tokens."),
    FailureCode.COOLDOWN: gettext_lazy("You are still on cooldown after your last heist."),
    FailureCode.DAILY_LIMIT: gettext_lazy("You have pulled as many heists as a day allows."),
    FailureCode.PAIR_COOLDOWN: gettext_lazy("You met this player too recently."),
    FailureCode.PROTECTED: gettext_lazy("This player was robbed recently and is protected."),
    FailureCode.INSUFFICIENT_POINTS: gettext_lazy("This player does not have enough points to steal."),
    FailureCode.LOSS_LIMIT: gettext_lazy("This player has lost as much as a month allows."),
    FailureCode.SHIELD: gettext_lazy("The player's shield blocked the heist."),
}


def refusal_sentence(code: str, retry_at: dt.datetime | None = None) -> str:
    """Return why the answer was no, and from when it may be yes, in the language and time zone of the moment."""
    sentence = str(SENTENCES[FailureCode(code)])
    if retry_at is None:
        return sentence
    when = formats.date_format(timezone.localtime(retry_at), "DATETIME_FORMAT")
    # No full stop: in English the time may end in one, as in "9:18 p.m."
    return _("%(sentence)s Next chance: %(when)s") % {"sentence": sentence, "when": when}
