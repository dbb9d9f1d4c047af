"""A player's own truce, and when a wish takes effect (docs/specification.md, "Truces")."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ..models import Truce
from ..rules import Rules, next_month, truce_at
from ..rules import Truce as TruceFacts


@dataclass(frozen=True, slots=True)
class TruceState:
    """Whether a player wants a truce and has one now. `takes_effect_at`: when a wish made now does.

    `starts_at` and `ends_at` are None where there is no truce that is in force or to come; `ends_at` also while it is
    wanted.
    """

    enabled: bool
    wanted: bool
    in_force: bool
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    takes_effect_at: dt.datetime


def state(truce: Truce | None, rules: Rules, now: dt.datetime) -> TruceState:
    """Return the state at `now` of a player whose truce that is not over is `truce`."""
    if truce is not None and truce.starts_at == truce.ends_at:
        # Withdrawn before it began.
        truce = None
    spans = (TruceFacts(truce.starts_at, truce.ends_at),) if truce else ()
    return TruceState(
        enabled=rules.truce_enabled,
        wanted=truce is not None and truce.wanted,
        in_force=truce_at(rules, spans, now) is not None,
        starts_at=truce.starts_at if truce else None,
        ends_at=truce.ends_at if truce else None,
        takes_effect_at=next_month(rules, now),
    )
