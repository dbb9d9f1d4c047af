"""The seven original point event types, and seeding them after a flush (docs/specification.md, "The two apps")."""

from __future__ import annotations

from typing import Any

from django.db import connections, router
from django.db.migrations.loader import MigrationLoader

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
    """Seed the types after a flush, or where the tables are made without migrations; a receiver of post_migrate.

    A migration has a plan and is skipped: it seeds them itself, and may be undoing them. So is a database that does not
    have the table.
    """
    from .models import PointEventTypeMaster as model

    without_migrations = MigrationLoader.migrations_module("gamification")[0] is None
    if plan is not None and not without_migrations:
        return
    if not router.allow_migrate_model(using, model):
        return
    if model._meta.db_table not in connections[using].introspection.table_names():
        return
    for name, description, points in EVENT_TYPES:
        model.objects.using(using).get_or_create(name=name, defaults={"description": description, "points": points})
