"""The world that is measured: `seed_demo`, and pairs of players who are ready for each other."""

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
    # The visibility map, which autovacuum would have made by the time a real world is this large.
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return {"heists": heists, "seconds": round(seconds, 1)}


class Recruits:
    """Fresh players with tokens and points, for attempts that each need an attacker and a victim of their own."""

    def take(self, count: int, *, tokens: int = 1) -> list[int]:
        """Return the keys of so many players who hold tokens, can be robbed and never met anybody."""
        now = timezone.now() - dt.timedelta(days=1)
        prefix = f"recruit{int(time.time() * 1000)}-"
        players = [
            Player(f"{prefix}{n}", now, starting_points=POINTS, tokens=tokens, last_earned_at=now) for n in range(count)
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
        """Return attackers with victims, everybody once."""
        keys = iter(self.take(2 * count))
        return list(zip(islice(keys, count), keys, strict=True))


def veterans(count: int) -> list[int]:
    """Return players with a history, spread over the whole world."""
    top = Heist.objects.order_by("-pk").values_list("pk", flat=True).first() or 1
    picked = [max(1, top * n // count) for n in range(count)]
    return list(Heist.objects.filter(pk__in=picked, token_spent=True).values_list("attacker", flat=True))
