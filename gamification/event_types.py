"""The seven original point event types, and their return after a flush (spec section 2)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# One list: the migration's, which is history and stays as it is.
EVENT_TYPES: list[tuple[str, str, int]] = import_module("gamification.migrations.0002_point_event_types").EVENT_TYPES


def refill_after_flush(*, using: str, plan: Any = None, **kwargs: Any) -> None:
    """Write the types again when post_migrate tells of a flush, which empties the table that a migration filled.

    A migration itself comes with a plan, and is left alone: it may be on its way back.
    """
    from .models import PointEventTypeMaster

    if plan is None:
        for name, description, points in EVENT_TYPES:
            PointEventTypeMaster.objects.using(using).get_or_create(
                name=name, defaults={"description": description, "points": points}
            )
