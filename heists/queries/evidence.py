"""The heists around one heist, for staff who check whether it was fair."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q

from ..choices import HeistStatus
from ..models import Heist
from ..rules import Victim, share

# Heists before and after that are listed.
ROWS = 10


@dataclass(frozen=True, slots=True)
class Evidence:
    """The nearest heists of both players, and the two earlier ones that started the cooldown and the protection."""

    earlier: list[Heist]
    later: list[Heist]
    attackers_last_outcome: Heist | None
    victims_last_loss: Heist | None


def around(heist: Heist) -> Evidence:
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
    )


def full_share(heist: Heist) -> int:
    """Return the points that the heist's rules allow before the monthly loss limit."""
    return share(heist.rule_set.rules, Victim(heist.victim_id, True, heist.victim_points_before))


def _position(heist: Heist) -> tuple[dt.datetime, int]:
    return heist.created_at, heist.pk
