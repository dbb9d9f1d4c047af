"""Seed the two point event types of heists in the host's table (docs/specification.md, "Data")."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS

from .. import conf

# The same as in migration 0003, which imports no project code.
EVENT_TYPES = {
    "HEIST_GAIN": "Points gained from successfully robbing another player",
    "HEIST_LOSS": "Points lost from being robbed by another player",
}


def seed_event_types(*, using: str = DEFAULT_DB_ALIAS) -> dict[str, bool] | None:
    """Create missing point event types, and return by name which were created.

    An existing row is not changed. Returns None where POINT_EVENT_TYPE_MODEL is not set: the host has no such table.
    """
    if (label := conf.point_event_type_model()) is None:
        return None
    model = apps.get_model(label)
    known = {field.name for field in model._meta.concrete_fields}
    added = {}
    for name, description in EVENT_TYPES.items():
        defaults = {"description": description, "points": 0, "active": True}
        _row, added[name] = model._default_manager.using(using).get_or_create(
            name=name, defaults={key: value for key, value in defaults.items() if key in known}
        )
    return added


def seed_after_flush(*, using: str, plan: Any = None, **kwargs: Any) -> None:
    """Seed the types again after a flush; a receiver of post_migrate.

    A migration has a plan and is skipped: it may be undoing the types.
    """
    if plan is None:
        seed_event_types(using=using)
