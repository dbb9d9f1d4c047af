"""What the invented players are told: notifications in the words of the real ones, and their letters.

`Newsroom` notes what there is to tell while the story is invented; `Words` says it when the rows are written, which may
be in another process.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import translation

from ..choices import HeistNotificationType, LetterState
from ..messages import refusal_sentence
from ..services import notifications
from .batch import HEIST_COLUMNS, NOTIFICATION_COLUMNS, Batch, Row
from .host import DemoPlayer

# Sent letters leave the outbox after a while; older notifications only remember that they were sent.
OUTBOX = dt.timedelta(days=7)
JUST_NOW = dt.timedelta(hours=1)
UNREAD = dt.timedelta(days=3)
BOUNCES, MUTED = "carol", "frank"
# Reasons to remember: most tell a minute, which several rejections of a large world share.
REASONS = 65536

_encode = DjangoJSONEncoder().encode


class Newsroom:
    """Writes notification and letter rows; who has no address gets no letter."""

    def __init__(self, *, first_id: int, now: dt.datetime, letters: bool, random: Random) -> None:
        self._next_id = first_id
        self._now = now
        self._letters = letters
        self._random = random

    def tell(
        self,
        batch: Batch,
        type: HeistNotificationType,
        player: DemoPlayer,
        at: dt.datetime,
        heist_id: int | None = None,
        **metadata: Any,
    ) -> None:
        """Note one notification, with its letter where the player has an address."""
        number, self._next_id = self._next_id, self._next_id + 1
        sent_at = self._letter(batch, number, player, at) if player.email and self._letters else None
        age = self._now - at
        read = age > JUST_NOW and self._random.random() < (0.9 if age > UNREAD else 0.3)
        batch.notifications.append(
            (
                number,
                player.key,
                heist_id,
                type.value,
                None,
                metadata,
                read,
                sent_at is not None,
                sent_at,
                at,
            )
        )

    def _letter(self, batch: Batch, number: int, player: DemoPlayer, at: dt.datetime) -> dt.datetime | None:
        """Write a letter while the outbox would still hold it, and return when it was sent, if it was."""
        age = self._now - at
        sent_at: dt.datetime | None = at + dt.timedelta(seconds=20)
        state, attempts, error = LetterState.SENT, 1, ""
        if player.name == MUTED:
            state, attempts, sent_at = LetterState.SKIPPED, 0, None
        elif player.name == BOUNCES:
            state, attempts, error, sent_at = LetterState.FAILED, 8, "550 no such mailbox", None
        elif age < JUST_NOW:
            state, attempts, sent_at = LetterState.WAITING, 0, None
        if age < OUTBOX:
            batch.letters.append((number, state.value, at, attempts, error, at))
        return sent_at


class Words:
    """The sentences of the language of the moment, each looked up once."""

    def __init__(self) -> None:
        self._gettext = functools.cache(translation.gettext)
        self._refusal_sentence = functools.lru_cache(REASONS)(refusal_sentence)

    def heists(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows of heists with their reasons as sentences."""
        place = HEIST_COLUMNS.index("failure_reason")
        for row in rows:
            reason = row[place]
            yield (*row[:place], self._reason(*reason), *row[place + 1 :]) if reason else row

    def notifications(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows of notifications with their sentence, and their details as JSON."""
        place = NOTIFICATION_COLUMNS.index("message")
        for row in rows:
            type, message, details = row[place - 1 : place + 2]
            message = notifications.sentence(type, details, self._gettext) or type
            yield (*row[:place], message, _encode(details), *row[place + 2 :])

    def _reason(self, code: str, retry_at: dt.datetime | None) -> str:
        # The sentence tells the minute, which many of them share.
        minute = retry_at.replace(second=0, microsecond=0) if retry_at else None
        return self._refusal_sentence(code, minute, self._gettext)
