"""The rules and the switch in force at a moment (docs/specification.md, "Rule changes").

While heists are switched off, there are no attempts, no shield shop and no wishes for a truce.

The settings decide until the first change of the rules; from then on the changes do, except for the time zone.
`HEISTS["ENABLED"]` = False always wins over the switch.

The changes are read from the database that is written, and each process keeps a copy for ten seconds. The copy has the
changes to come too, and a change of the rules is made at least a minute ahead: so every process knows it before it
counts, and judges by the new rules from the exact moment on, without reading anything then.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

from django.conf import settings
from django.db import connections, router
from django.utils import timezone

from . import conf
from .choices import RuleChangeKind
from .db.cache_keys import database_key
from .db.retry import in_callers_transaction
from .models import RuleChange
from .rules import DAY, Rules

# A copy that is older is read again before anything is judged by it.
MAX_AGE_SECONDS = 10.0

Value = TypeVar("Value")


@dataclass(frozen=True)
class Changes:
    """The changes that count, of one database and schema, as they were read once; newest first.

    `read_at` are the monotonic clock and the time of day then, in seconds.
    """

    read_at: tuple[float, float]
    of_rules: Sequence[tuple[dt.datetime, Rules]] = ()
    of_switch: Sequence[tuple[dt.datetime, bool]] = ()

    @property
    def is_fresh(self) -> bool:
        """Whether the copy may still be judged by.

        The monotonic clock may stand still while the machine sleeps, and the time of day may be set: both have to
        agree.
        """
        monotonic, time_of_day = (now - then for now, then in zip(_clocks(), self.read_at, strict=True))
        return monotonic <= MAX_AGE_SECONDS and 0 <= time_of_day <= MAX_AGE_SECONDS

    def rules(self, now: dt.datetime) -> Rules:
        """Return the rules in force at `now`, which is not more than a day ago."""
        changed = _at(self.of_rules, now)
        if changed is None:
            return conf.rules()
        zone = settings.TIME_ZONE
        return changed if changed.time_zone == zone else _in_zone(changed, zone)

    def enabled(self, now: dt.datetime) -> bool:
        """Return whether heists are switched on at `now`, which is not more than a day ago."""
        return conf.enabled() and _at(self.of_switch, now) is not False


NEVER_READ = Changes(read_at=(float("-inf"), float("-inf")))

_copies: dict[tuple[str, ...], Changes] = {}
# Threads that find the copy too old wait for the one that reads it again.
_reading = threading.Lock()


def changes(using: str | None = None) -> Changes:
    """Return the changes that count; read again where the copy of this process is older than ten seconds.

    `using` is the database that heists are written to, unless another is named.
    """
    using = using or router.db_for_write(RuleChange)
    key = database_key(using)
    if (found := _copies.get(key, NEVER_READ)).is_fresh:
        return found
    if in_callers_transaction(using):
        # Not kept: the transaction itself may have written changes, and be rolled back.
        return _read(using)
    # Before the lock: a thread that waits for a connection of the pool would let the others wait for it.
    connections[using].ensure_connection()
    with _reading:
        if not (found := _copies.get(key, NEVER_READ)).is_fresh:
            found = _copies[key] = _read(using)
    return found


def rules(now: dt.datetime) -> Rules:
    """Return the rules in force at `now`, which is not more than a day ago."""
    return changes().rules(now)


def enabled(now: dt.datetime) -> bool:
    """Return whether heists are switched on at `now`, which is not more than a day ago."""
    return changes().enabled(now)


def tokens_per_referral() -> int:
    """Return how many tokens a referrer earns now for each player who signs up with their code."""
    return rules(timezone.now()).tokens_per_referral


def forget(**kwargs: Any) -> None:
    """Drop the copies of this process. Also a receiver of post_migrate, because a flush deletes the rows."""
    _copies.clear()


def _read(using: str) -> Changes:
    read_at = _clocks()
    # A day is more than the clocks of two hosts differ.
    rows = list(RuleChange.objects.using(using).counting_since(timezone.now() - DAY))
    return Changes(
        read_at,
        [(row.takes_effect_at, row.rule_set.rules) for row in rows if row.rule_set],
        [(row.takes_effect_at, bool(row.enabled)) for row in rows if row.kind == RuleChangeKind.SWITCH],
    )


def _at(newest_first: Sequence[tuple[dt.datetime, Value]], now: dt.datetime) -> Value | None:
    return next((value for moment, value in newest_first if moment <= now), None)


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.time()


@lru_cache(maxsize=64)
def _in_zone(rules: Rules, zone: str) -> Rules:
    return replace(rules, time_zone=zone)
