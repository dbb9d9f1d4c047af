"""The heists around one heist, for staff who check whether it was fair."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q

from ..choices import HeistStatus
from ..economy import Economy
from ..models import Heist, Truce
from ..rules import Victim, share
from .facts import joined_at

# The most heists listed before the heist, and after it.
ROWS = 10


@dataclass(frozen=True, slots=True)
class Evidence:
    """The nearest heists of both players, and what the rules asked about.

    That is the earlier heists that started the cooldown and the protection, the truces in which the attempt was made,
    and when the victim joined, where the host says it and its rules protect newcomers.
    """

    earlier: list[Heist]
    later: list[Heist]
    attackers_last_outcome: Heist | None
    victims_last_loss: Heist | None
    truces: list[Truce]
    victim_joined_at: dt.datetime | None


def around(heist: Heist, economy: Economy) -> Evidence:
    """Return the evidence of a heist; lists are oldest first."""
    rows = Heist.objects.using(heist._state.db).select_related("attacker", "victim")
    # The first condition of each pair is implied by the second; an index can use it.
    before = Q(created_at__lte=heist.created_at) & (Q(created_at__lt=heist.created_at) | Q(pk__lt=heist.pk))
    after = Q(created_at__gte=heist.created_at) & (Q(created_at__gt=heist.created_at) | Q(pk__gt=heist.pk))
    earlier: dict[int, Heist] = {}
    later: dict[int, Heist] = {}
    # One short index scan for each player and role: an OR of them would read a busy player's whole history.
    for player in (heist.attacker_id, heist.victim_id):
        for theirs in (rows.filter(attacker=player), rows.filter(victim=player)):
            earlier |= {row.pk: row for row in theirs.filter(before).newest_first()[:ROWS]}
            later |= {row.pk: row for row in theirs.filter(after).order_by("created_at", "pk")[:ROWS]}
    outcomes = rows.filter(before, attacker=heist.attacker_id, token_spent=True)
    losses = rows.filter(before, victim=heist.victim_id, token_spent=True, status=HeistStatus.SUCCESS)
    return Evidence(
        earlier=sorted(earlier.values(), key=_position)[-ROWS:],
        later=sorted(later.values(), key=_position)[:ROWS],
        attackers_last_outcome=outcomes.newest_first().first(),
        victims_last_loss=losses.newest_first().first(),
        truces=list(Truce.objects.using(heist._state.db).of_heist(heist).order_by("starts_at", "pk")),
        victim_joined_at=_victim_joined_at(heist, economy),
    )


def _victim_joined_at(heist: Heist, economy: Economy) -> dt.datetime | None:
    if not heist.rule_set.newcomer_days:
        return None
    victim = economy.players().using(heist._state.db).filter(pk=heist.victim_id).first()
    return joined_at(victim) if victim else None


def full_share(heist: Heist) -> int:
    """Return the points that the heist's rules allow before the monthly loss limit."""
    return share(heist.rule_set.rules, Victim(heist.victim_id, True, heist.victim_points_before))


def _position(heist: Heist) -> tuple[dt.datetime, int]:
    return heist.created_at, heist.pk
