"""The seven original point event types, and seeding them after a flush (docs/specification.md, "The two apps")."""

from __future__ import annotations

from typing import Any

# (name, description, points). The same as in migration 0002, which imports no project code.
EVENT_TYPES = [
    ("SIGNUP", "Opened an account", 100),
    ("FIRST_CHECKIN_DEAL", "First check-in at a deal", 50),
    ("CHECKIN", "Check-in", 10),
    ("COIN_PURCHASE", "Bought coins", 20),
    ("ACHIEVEMENT_UNLOCK", "Unlocked an achievement", 25),
    ("LOYALTY_BONUS", "Came back again and again", 15),
    ("REFERRAL_BONUS", "Referred another player", 50),
]


def seed_after_flush(*, using: str, plan: Any = None, **kwargs: Any) -> None:
    """Seed the types again after a flush; a receiver of post_migrate.

    A migration has a plan and is skipped: it may be undoing the types.
    """
    from .models import PointEventTypeMaster

    if plan is None:
        for name, description, points in EVENT_TYPES:
            PointEventTypeMaster.objects.using(using).get_or_create(
                name=name, defaults={"description": description, "points": points}
            )
