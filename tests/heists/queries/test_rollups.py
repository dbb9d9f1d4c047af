"""Which days are closed, in which zone, and under which keys their sums are cached."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from heists.models import Heist
from heists.queries import rollups
from heists.queries.rollups import Rollup
from heists.rules import DAY
from heists.services import execute_heist
from tests.factories import player, rewrite

pytestmark = pytest.mark.django_db

HOUR, INSTANT = dt.timedelta(hours=1), dt.timedelta(microseconds=1)
FIRST = dt.date(2026, 5, 1)
MIDNIGHT = dt.datetime(2026, 5, 20, tzinfo=dt.UTC)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dt.timedelta]]:
    """The name and timeout of each value that is asked for; nothing is kept."""
    asked: list[tuple[str, dt.timedelta]] = []

    def cached(name: str, compute: Any, timeout: dt.timedelta) -> Any:
        asked.append((name, timeout))
        return compute()

    monkeypatch.setattr(rollups, "cached", cached)
    return asked


def heist(at: dt.datetime) -> Heist:
    found = execute_heist(attacker_id=player().pk, victim_id=player().pk)
    rewrite(found, created_at=at)
    return found


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (MIDNIGHT, MIDNIGHT - DAY),
        (MIDNIGHT + 2 * HOUR - INSTANT, MIDNIGHT - DAY),
        (MIDNIGHT + 2 * HOUR, MIDNIGHT),
        (MIDNIGHT + 23 * HOUR, MIDNIGHT),
    ],
)
def test_pages_use_a_day_as_closed_two_hours_after_its_end(now: dt.datetime, until: dt.datetime) -> None:
    assert Rollup.up_to(now, FIRST, "UTC").until == until


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/New_York"])
def test_days_are_those_of_the_zone(zone: str) -> None:
    offset = {"Pacific/Auckland": -12 * HOUR, "America/New_York": 4 * HOUR}[zone]
    rollup = Rollup.up_to(MIDNIGHT + offset + 2 * HOUR, FIRST, zone)

    assert (rollup.start, rollup.until) == (dt.datetime(2026, 5, 1, tzinfo=dt.UTC) + offset, MIDNIGHT + offset)
    assert Rollup.up_to(MIDNIGHT + offset + 2 * HOUR - INSTANT, FIRST, zone).until == MIDNIGHT + offset - DAY


def test_no_day_before_the_period_is_closed_and_none_after_its_end() -> None:
    start = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)

    assert Rollup.since(FIRST, "UTC", closed_before=dt.date(2026, 4, 20)).until == start
    assert Rollup.since(FIRST, "UTC", closed_before=FIRST).until == start
    assert Rollup.since(FIRST, "UTC", closed_before=dt.date(2026, 5, 20), end=start + 9 * DAY).until == start + 9 * DAY
    assert Rollup.since(FIRST, "UTC", closed_before=dt.date(2026, 5, 5), end=start + 9 * DAY).until == start + 4 * DAY


def test_the_newest_closed_heist_is_the_last_one_before_the_open_rest() -> None:
    def newest() -> int | None:
        return Rollup.since(FIRST, "UTC", closed_before=MIDNIGHT.date()).newest

    assert newest() is None
    heist(MIDNIGHT)
    assert newest() is None
    last = heist(MIDNIGHT - INSTANT)
    heist(MIDNIGHT - 3 * DAY)
    assert newest() == last.pk


def test_the_parts_meet_at_the_open_rest(stored: Any) -> None:
    rollup = Rollup(MIDNIGHT - 5 * DAY, MIDNIGHT, 7, MIDNIGHT + 9 * DAY)

    assert rollup.closed("name", lambda since, until: [since, until]) == [MIDNIGHT - 5 * DAY, MIDNIGHT]
    assert rollup.open("name", lambda since, until: [since, until]) == [MIDNIGHT, MIDNIGHT + 9 * DAY]


def test_closed_days_are_kept_for_two_days_and_the_open_rest_for_a_minute(stored: Any) -> None:
    rollup = Rollup(MIDNIGHT - 5 * DAY, MIDNIGHT, 7)
    rollup.closed("name", lambda since, until: [])
    rollup.open("name", lambda since, until: [])
    rollup.open("name", lambda since, until: [], 3 * HOUR)

    assert [timeout for _name, timeout in stored] == [2 * DAY, dt.timedelta(minutes=1), 3 * HOUR]


def test_every_difference_of_a_period_is_in_the_key(stored: Any) -> None:
    periods = [
        Rollup(MIDNIGHT - 5 * DAY, MIDNIGHT, 7),
        Rollup(MIDNIGHT - 6 * DAY, MIDNIGHT, 7),
        Rollup(MIDNIGHT - 5 * DAY, MIDNIGHT - DAY, 7),
        Rollup(MIDNIGHT - 5 * DAY, MIDNIGHT, 8),
        Rollup(MIDNIGHT - 5 * DAY, MIDNIGHT, None),
        # Half an hour: some zones are that far apart.
        Rollup(MIDNIGHT - 5 * DAY + dt.timedelta(minutes=30), MIDNIGHT, 7),
    ]
    for period in periods:
        for name in ("days", "pairs"):
            period.closed(name, lambda since, until: [])
            period.open(name, lambda since, until: [])
    Rollup(MIDNIGHT - 5 * DAY, MIDNIGHT, 7, MIDNIGHT + 9 * DAY).open("days", lambda since, until: [])
    Rollup(MIDNIGHT - 5 * DAY, MIDNIGHT, 7, MIDNIGHT + 8 * DAY).open("days", lambda since, until: [])

    names = [name for name, _timeout in stored]
    assert len(set(names)) == len(names) == 4 * len(periods) + 2
