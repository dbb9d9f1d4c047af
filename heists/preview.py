"""What would happen if a player robbed others now: the preview and the target list ask here (spec sections 4 and 6).

Reads only, takes no lock, and asks the same rules as the execution. A victim's shield is never told.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import router
from django.utils import timezone

from . import conf, facts
from .economy import Economy
from .errors import FeatureDisabled
from .models import Heist
from .sentences import refusal_sentence


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that stands in the way."""

    code: str
    retry_at: dt.datetime | None = None
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def detail(self) -> str:
        """The reason as a sentence, in the language and time zone of the moment."""
        if self.code == FeatureDisabled.code:
            return str(FeatureDisabled.sentence)
        return refusal_sentence(self.code, self.retry_at)


@dataclass(frozen=True, slots=True)
class Prospect:
    """A possible victim, as one attacker sees them."""

    player: Any
    monthly_points: int
    potential_points: int
    reasons: tuple[Reason, ...]

    @property
    def eligible(self) -> bool:
        return not self.reasons

    @property
    def code(self) -> str | None:
        """The code with which an attempt would be refused; None where it would reach the victim."""
        return self.reasons[0].code if self.reasons else None

    @property
    def retry_at(self) -> dt.datetime | None:
        return self.reasons[0].retry_at if self.reasons else None


def prospects(*, attacker_id: Any, victim_ids: Collection[Any], economy: Economy) -> dict[Any, Prospect]:
    """Return the prospect of each victim, by id; ids that are nobody's are missing.

    Where the feature is off, that is everybody's first reason, and the other rules are still told. Raises UnknownPlayer
    where the attacker's id is nobody's.
    """
    if not victim_ids:
        return {}
    seen = facts.read(
        attacker_id,
        victim_ids,
        economy=economy,
        numbers=conf.rules(),
        now=timezone.now(),
        using=router.db_for_read(Heist),
    )
    closed = () if conf.enabled() else (Reason(FeatureDisabled.code),)
    found = {}
    for victim_id in victim_ids:
        if victim := seen.players.get(victim_id):
            refused = (Reason(r.code.value, r.retry_at, r.numbers) for r in seen.refusals(victim))
            found[victim_id] = Prospect(victim.user, victim.monthly_points, seen.amount(victim), (*closed, *refused))
    return found
