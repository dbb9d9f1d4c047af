"""The notifications of spec section 5: who is told what, in which words, and whether a letter goes with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext_noop

from . import conf, prepared
from .choices import GrantReason, HeistNotificationType
from .economy import Economy
from .models import HeistNotification, Letter

# The sentences, by type; a grant has one for each reason. Filled from the metadata, whose keys stay as they are.
SENTENCES: dict[str, str] = {
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
    GrantReason.REFERRAL: gettext_noop("You earned a Heist Token! %(referred_name)s joined using your referral code."),
    GrantReason.PROMOTION: gettext_noop("You received heist tokens in a promotion: %(amount)s."),
    GrantReason.STAFF: gettext_noop("The team gave you heist tokens: %(amount)s."),
    GrantReason.REFUND: gettext_noop("You got heist tokens back: %(amount)s."),
}


def sentence(
    type: str, metadata: dict[str, Any] | None, gettext: Callable[[str], str] = translation.gettext
) -> str | None:
    """Return the notification's sentence in the language of the moment; None where the metadata does not tell it.

    Whoever needs thousands of them in one language brings a `gettext` that remembers.
    """
    details = metadata or {}
    key = details.get("reason", "") if type == HeistNotificationType.TOKEN_EARNED else type
    try:
        return gettext(SENTENCES[key]) % details
    except KeyError:
        return None


def build(
    type: HeistNotificationType, *, user: Any, now: dt.datetime, heist_id: int | None = None, **metadata: Any
) -> HeistNotification:
    """Return an unsaved notification; its stored message is in the site's language.

    The heist is a column of its own and not said again in the metadata: a year has a million of these rows.
    """
    with translation.override(settings.LANGUAGE_CODE):
        message = sentence(type, metadata)
    return HeistNotification(
        user=user, heist_id=heist_id, type=type, message=message or type, metadata=metadata, created_at=now
    )


def send(*notifications: HeistNotification, economy: Economy, using: str) -> list[HeistNotification]:
    """Write notifications, and a letter for each whose player has an address. The caller holds the transaction."""
    prepared.insert(notifications, using=using)
    if conf.email_enabled():
        letters = [Letter(notification=n, due_at=n.created_at) for n in notifications if economy.email(n.user)]
        if letters:
            prepared.insert(letters, using=using)
            keys = [letter.pk for letter in letters]
            if path := conf.email_delivery():
                # After commit: a worker that is woken earlier would not find the rows. Robust: the deed is done, and
                # the command delivers what the host's queue did not.
                transaction.on_commit(lambda: import_string(path)(keys), using=using, robust=True)
    return [*notifications]
