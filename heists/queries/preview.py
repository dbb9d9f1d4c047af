"""Previews heists on possible victims: the target list and the preview of one (docs/specification.md, "HTTP API").

Reads only, takes no lock, and uses the same rules as the execution. It never reveals a victim's shield.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import router
from django.utils import timezone

from .. import in_force
from ..choices import FailureCode
from ..economy import Economy
from ..errors import FeatureDisabled
from ..messages import failure_message
from ..models import Heist
from ..rules import amount, failures
from ..user_model import player_key, to_key
from . import facts

# Reasons that do not depend on the victim.
OWN_REASONS = frozenset({FeatureDisabled.code, *(code.value for code in FailureCode.of_attacker())})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a heist would fail: a rule's failure, or that heists are switched off."""

    code: str
    retry_at: dt.datetime | None = None
    details: dict[str, int] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The reason as a sentence, in the active language and time zone."""
        if self.code == FeatureDisabled.code:
            return str(FeatureDisabled.message)
        return failure_message(self.code, self.retry_at)


@dataclass(frozen=True, slots=True)
class Target:
    """A possible victim, as one attacker sees them."""

    player: Any
    monthly_points: int
    potential_points: int
    reasons: tuple[Reason, ...]

    @property
    def eligible(self) -> bool:
        return not self.reasons

    @property
    def eligible_as_victim(self) -> bool:
        """Whether all rules about the victim let a heist through, whatever the attacker's own state is."""
        return all(reason.code in OWN_REASONS for reason in self.reasons)

    @property
    def code(self) -> str | None:
        """The code of the first reason; None where a heist would reach the victim."""
        return self.reasons[0].code if self.reasons else None

    @property
    def retry_at(self) -> dt.datetime | None:
        return self.reasons[0].retry_at if self.reasons else None


def targets(*, attacker_id: Any, victim_ids: Collection[Any], economy: Economy) -> dict[Any, Target]:
    """Return the target of each victim by id; unknown ids are left out.

    While heists are switched off, that is the first reason of each, before the rules. Raises UnknownPlayer where the
    attacker's id is unknown.
    """
    victim_ids = [key for key in map(to_key, victim_ids) if key is not None]
    if not victim_ids:
        return {}
    changes, now = in_force.changes(), timezone.now()
    seen = facts.read(
        player_key(attacker_id),
        victim_ids,
        economy=economy,
        rules=changes.rules(now),
        now=now,
        using=router.db_for_read(Heist),
    )
    disabled = () if changes.enabled(now) else (Reason(FeatureDisabled.code),)
    attacker, found = seen.attacker.as_attacker(), {}
    for victim_id in victim_ids:
        if player := seen.players.get(victim_id):
            victim = player.as_victim()
            failed = (
                Reason(f.code.value, f.retry_at, f.details) for f in failures(seen.rules, attacker, victim, seen.now)
            )
            points = amount(seen.rules, victim, seen.now)
            found[victim_id] = Target(player.user, player.monthly_points, points, (*disabled, *failed))
    return found
