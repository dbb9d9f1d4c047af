"""The two point event types that heists adds to the host's table (spec section 3)."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS

from .. import conf

# As the migration wrote them; the same row again is left alone.
EVENT_TYPES = {
    "HEIST_GAIN": "Points gained from successfully robbing another player",
    "HEIST_LOSS": "Points lost from being robbed by another player",
}


def seed_event_types(*, using: str = DEFAULT_DB_ALIAS) -> dict[str, bool] | None:
    """Add the point event types that are missing, and return for each name whether it was.

    A row that is there stays as it is. Returns None where `HEISTS` names no POINT_EVENT_TYPE_MODEL: such a host keeps
    no table of types.
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


def refill_after_flush(*, using: str, plan: Any = None, **kwargs: Any) -> None:
    """Seed the types again when post_migrate tells of a flush, which empties the table that a migration filled.

    A migration itself comes with a plan, and is left alone: it may be on its way back.
    """
    if plan is None:
        seed_event_types(using=using)
