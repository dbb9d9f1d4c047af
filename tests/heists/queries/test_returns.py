"""What staff returned, by player, by day and this month."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from heists.choices import HeistRole
from heists.models import Heist, Reversal
from heists.queries import dashboard, returns
from heists.services import execute_heist
from tests.factories import player, rewrite

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
DAY, SECOND = dt.timedelta(days=1), dt.timedelta(seconds=1)


def reversed_heist(attacker: Any, victim: Any, at: dt.datetime, points: int, later: dt.timedelta = DAY) -> Reversal:
    """Write a heist at this time whose points were returned later."""
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    rewrite(heist, created_at=at)
    return Reversal.objects.create(
        heist=heist,
        points_returned=points,
        attacker_points_before=points,
        attacker_points_after=0,
        victim_points_before=0,
        victim_points_after=points,
        reason="a bug",
        created_at=at + later,
    )


def test_the_points_are_those_of_heists_since_the_time() -> None:
    alice, bob, carol = player(), player(), player()
    reversed_heist(alice, bob, NOW, 5)
    reversed_heist(alice, carol, NOW + DAY, 7)
    # By another host's clock, it was returned before it was stolen.
    reversed_heist(carol, bob, NOW, 11, later=-SECOND)
    # Returned since then, but not stolen.
    reversed_heist(alice, bob, NOW - SECOND, 100)

    assert returns.by_player(HeistRole.ATTACKER, NOW) == {str(alice.pk): 12, str(carol.pk): 11}
    assert returns.by_player(HeistRole.VICTIM, NOW) == {str(bob.pk): 16, str(carol.pk): 7}
    assert returns.by_player(HeistRole.VICTIM, NOW + 2 * DAY) == {}
    assert returns.by_player(HeistRole.VICTIM, NOW, NOW + DAY) == {str(bob.pk): 16}
    assert returns.by_day(dt.UTC, NOW) == {"2026-05-20": 16, "2026-05-21": 7}
    assert returns.by_day(ZoneInfo("Pacific/Auckland"), NOW) == {"2026-05-21": 16, "2026-05-22": 7}


def test_this_month_counts_what_was_returned_in_it(settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    start = dt.datetime(2026, 4, 30, 12, tzinfo=dt.UTC)
    alice, bob = player(), player()
    assert returns.this_month(NOW) == (0, 0)
    reversed_heist(alice, bob, start - DAY, 100, later=DAY - SECOND)
    reversed_heist(alice, bob, start, 5, later=0 * DAY)
    reversed_heist(alice, bob, NOW, 7)

    assert returns.this_month(NOW) == (2, 12)


def test_the_dashboards_points_are_those_that_were_kept() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    rewrite(heist, created_at=NOW)
    Reversal.objects.create(
        heist=Heist.objects.get(),
        points_returned=20,
        attacker_points_before=50,
        attacker_points_after=30,
        victim_points_before=950,
        victim_points_after=970,
        reason="a bug",
        created_at=NOW,
    )

    period = dashboard.period(7, NOW)

    assert [day.points for day in period.days] == [0, 0, 0, 0, 0, 0, 30]
    assert period.points == 30
    assert [(rank.player, rank.heists, rank.points) for rank in (*period.attackers, *period.victims)] == [
        (alice, 1, 30),
        (bob, 1, 30),
    ]
