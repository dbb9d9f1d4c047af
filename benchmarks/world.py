"""The world that is measured: the demo world, and pairs of players for whom no rule fails."""

from __future__ import annotations

import datetime as dt
import time
from itertools import islice
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from gamification.demo.accounts import insert_balances, insert_players
from gamification.demo.bulk import Bulk
from gamification.demo.players import Player
from heists.choices import GrantReason
from heists.models import Heist, TokenGrant

POINTS = 1000


def build(heists: int) -> dict[str, Any]:
    """Migrate and seed, and return how long the seeding took."""
    call_command("migrate", verbosity=0)
    begun = time.perf_counter()
    call_command("seed_demo", heists=heists, verbosity=0)
    seconds = time.perf_counter() - begun
    # Makes the visibility map, as autovacuum does in a world that grows slowly.
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return {"heists": heists, "seconds": round(seconds, 1)}


class Recruits:
    """New players with tokens and points, for attempts that each need an attacker and a victim of their own."""

    def take(self, count: int, *, tokens: int = 1) -> list[int]:
        """Return the primary keys of new players who have tokens and no history."""
        now = timezone.now() - dt.timedelta(days=1)
        prefix = f"recruit{int(time.time() * 1000)}-"
        players = [
            Player(f"{prefix}{n}", timezone.now(), starting_points=POINTS, tokens=tokens, last_earned_at=now)
            for n in range(count)
        ]
        bulk = Bulk()
        with transaction.atomic():
            insert_players(players, bulk)
            insert_balances(players, bulk)
            bulk.insert(
                TokenGrant,
                ("player", "amount", "reason", "source", "note", "created_at"),
                ((p.key, tokens, GrantReason.PROMOTION.value, f"bench:{p.key}", "", now) for p in players),
            )
            bulk.reset_sequences()
        return [player.key for player in players]

    def pairs(self, count: int) -> list[tuple[int, int]]:
        """Return pairs of an attacker and a victim, all different players."""
        keys = iter(self.take(2 * count))
        return list(zip(islice(keys, count), keys, strict=True))


def veterans(count: int) -> list[int]:
    """Return the primary keys of attackers, spread over the whole history."""
    top = Heist.objects.order_by("-pk").values_list("pk", flat=True).first() or 1
    picked = [max(1, top * n // count) for n in range(count)]
    return list(Heist.objects.filter(pk__in=picked, token_spent=True).values_list("attacker", flat=True))
