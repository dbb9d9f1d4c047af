"""What happened around a heist, for whoever judges it afterwards. Reads only."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q

from .choices import HeistStatus
from .models import Heist
from .rules import Victim, share

# How many heists are told on either side of the moment.
ROWS = 10


@dataclass(frozen=True, slots=True)
class Evidence:
    """One heist among those of its two players, and the two earlier ones that its windows ran from."""

    earlier: list[Heist]
    later: list[Heist]
    attackers_last_outcome: Heist | None
    victims_last_loss: Heist | None


def around(heist: Heist) -> Evidence:
    """Return the nearest heists of either player, oldest first, and what their cooldown and protection ran from."""
    rows = Heist.objects.using(heist._state.db).select_related("attacker", "victim")
    # The first condition of each pair says nothing new; it is what an index can use.
    before = Q(created_at__lte=heist.created_at) & (Q(created_at__lt=heist.created_at) | Q(pk__lt=heist.pk))
    after = Q(created_at__gte=heist.created_at) & (Q(created_at__gt=heist.created_at) | Q(pk__gt=heist.pk))
    earlier: dict[int, Heist] = {}
    later: dict[int, Heist] = {}
    # One short read of an index for each player and role: an OR of them would read all that a busy player ever did.
    for player in (heist.attacker_id, heist.victim_id):
        for theirs in (rows.filter(attacker=player), rows.filter(victim=player)):
            earlier |= {row.pk: row for row in theirs.filter(before).newest_first()[:ROWS]}
            later |= {row.pk: row for row in theirs.filter(after).order_by("created_at", "pk")[:ROWS]}
    raids = rows.filter(before, attacker=heist.attacker_id, token_spent=True)
    losses = rows.filter(before, victim=heist.victim_id, token_spent=True, status=HeistStatus.SUCCESS)
    return Evidence(
        earlier=sorted(earlier.values(), key=_moment)[-ROWS:],
        later=sorted(later.values(), key=_moment)[:ROWS],
        attackers_last_outcome=raids.newest_first().first(),
        victims_last_loss=losses.newest_first().first(),
    )


def _moment(heist: Heist) -> tuple[dt.datetime, int]:
    return heist.created_at, heist.pk


def full_share(heist: Heist) -> int:
    """The points its rules allowed before the monthly loss limit: the percentage, at most the cap."""
    return share(heist.rules.rules, Victim(heist.victim_id, True, heist.victim_points_before))
