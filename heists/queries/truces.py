"""A player's own truce, and when a wish takes effect (docs/specification.md, "Truces")."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from .. import rules
from ..models import Truce
from ..rules import Rules


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


def state(truce: Truce | None, numbers: Rules, now: dt.datetime) -> TruceState:
    """Return the state at `now` of a player whose truce that is not over is `truce`."""
    if truce is not None and truce.starts_at == truce.ends_at:
        # Withdrawn before it began.
        truce = None
    spans = (rules.Truce(truce.starts_at, truce.ends_at),) if truce else ()
    return TruceState(
        enabled=numbers.truce_enabled,
        wanted=truce is not None and truce.wanted,
        in_force=rules.truce_at(numbers, spans, now) is not None,
        starts_at=truce.starts_at if truce else None,
        ends_at=truce.ends_at if truce else None,
        takes_effect_at=rules.next_month(numbers, now),
    )
