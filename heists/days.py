"""The days up to now, in two parts: those that are over, and what is still open.

What a closed day holds stays as it is, so sums over the closed days are computed once and remembered in Django's cache
where that took long; sums over what happened since are then at most a minute old. At ten million heists that is the
difference between seconds and milliseconds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .models import Heist
from .remembered import remembered

DAY = dt.timedelta(days=1)
# A day is closed this long after its midnight: a heist that is being committed just then still counts.
GRACE = dt.timedelta(hours=1)
# Pages take a day as closed only so much later: in between, `statistics.summarize` adds it up and nobody has to wait.
AHEAD = dt.timedelta(hours=1)
# How old what happened today may look, where it takes long to add up.
MINUTE = dt.timedelta(minutes=1)

# Computes rows, such as JSON can say, from the heists since a moment and, unless it is None, before another.
Compute = Callable[[dt.datetime, dt.datetime | None], list[Any]]


@dataclass(frozen=True, slots=True)
class Days:
    """The days since `start`; those before `until` are closed."""

    start: dt.datetime
    until: dt.datetime
    # The newest closed heist: a database that is filled anew is another one.
    newest: int | None

    @classmethod
    def since(cls, first: dt.date, zone: dt.tzinfo, *, closed_before: dt.date) -> Days:
        """Return the days of this time zone from the first one on."""
        start = dt.datetime.combine(first, dt.time(), zone)
        until = max(start, dt.datetime.combine(closed_before, dt.time(), zone))
        older = Heist.objects.filter(created_at__lt=until).newest_first()
        return cls(start, until, older.values_list("pk", flat=True).first())

    @classmethod
    def up_to(cls, now: dt.datetime, first: dt.date, zone: dt.tzinfo) -> Days:
        """Return the days of this time zone from the first one on, as pages look back on them at `now`."""
        return cls.since(first, zone, closed_before=(now - GRACE - AHEAD).astimezone(zone).date())

    def closed(self, name: str, compute: Compute) -> list[Any]:
        """Return what the closed days come to, computed or remembered under this name."""
        key = f"{name}:{self.start:%Y%m%d%z}:{self.until:%Y%m%d%z}:{self.newest}"
        return remembered(key, lambda: compute(self.start, self.until), 2 * DAY)

    def opened(self, name: str, compute: Compute) -> list[Any]:
        """Return what came after the closed days, computed or remembered under this name."""
        key = f"open-{name}:{self.until:%Y%m%d%z}:{self.newest}"
        return remembered(key, lambda: compute(self.until, None), MINUTE)
