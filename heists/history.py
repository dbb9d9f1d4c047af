"""What happened around a heist, for whoever judges it afterwards. Reads only."""

from __future__ import annotations

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
    players = (heist.attacker_id, heist.victim_id)
    rows = Heist.objects.using(heist._state.db).select_related("attacker", "victim")
    theirs = rows.filter(Q(attacker__in=players) | Q(victim__in=players))
    # The first condition of each pair says nothing new; it is what an index can use.
    earlier = Q(created_at__lte=heist.created_at) & (Q(created_at__lt=heist.created_at) | Q(pk__lt=heist.pk))
    later = Q(created_at__gte=heist.created_at) & (Q(created_at__gt=heist.created_at) | Q(pk__gt=heist.pk))
    return Evidence(
        earlier=list(theirs.filter(earlier).newest_first()[:ROWS])[::-1],
        later=list(theirs.filter(later).order_by("created_at", "pk")[:ROWS]),
        attackers_last_outcome=rows.outcomes().filter(earlier, attacker=heist.attacker_id).newest_first().first(),
        victims_last_loss=rows.filter(earlier, victim=heist.victim_id, token_spent=True, status=HeistStatus.SUCCESS)
        .newest_first()
        .first(),
    )


def full_share(heist: Heist) -> int:
    """The points its rules allowed before the monthly loss limit: the percentage, at most the cap."""
    return share(heist.rules.rules, Victim(heist.victim_id, True, heist.victim_points_before))
