"""The ranking is exact for any data, from the cached sums of closed days or without them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache

from heists.choices import HeistRole
from heists.models import Heist, HeistToken, Reversal, RuleSet
from heists.queries import cached, dashboard, leaderboard, rollups
from heists.queries.rollups import Rollup
from heists.rules import Rules
from tests.factories import player

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 20, 12, tzinfo=dt.UTC)
TODAY, YESTERDAY = NOW - dt.timedelta(hours=2), NOW - dt.timedelta(hours=26)


@pytest.fixture(autouse=True)
def _slow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Cache every sum, as a large site does."""
    monkeypatch.setattr(cached, "SLOW_SECONDS", -1)
    cache.clear()
    yield
    cache.clear()


def people(count: int) -> list[Any]:
    model = get_user_model()
    users = model.objects.bulk_create([model(username=f"p{number}") for number in range(count)])
    HeistToken.objects.bulk_create([HeistToken(user=user) for user in users])
    return users


def insert(rows: list[tuple[Any, Any, int, dt.datetime]]) -> None:
    """Insert successes: attacker, victim, points, time."""
    rule_set = RuleSet.objects.in_force(Rules())
    Heist.objects.bulk_create(
        Heist(
            attacker=attacker,
            victim=victim,
            points_stolen=points,
            victim_points_before=points,
            victim_points_after=0,
            attacker_points_before=0,
            attacker_points_after=points,
            rule_set=rule_set,
            created_at=at,
        )
        for attacker, victim, points, at in rows
    )


def give_back(random: Random) -> Counter[tuple[int, Any]]:
    """Reverse some heists, in part or in whole; return the points by side and player."""
    returned: Counter[tuple[int, Any]] = Counter()
    for heist in Heist.objects.all():
        if random.random() < 0.3:
            points = random.choice([heist.points_stolen, random.randint(1, heist.points_stolen)])
            Reversal.objects.create(
                heist=heist,
                points_returned=points,
                attacker_points_before=points,
                attacker_points_after=0,
                victim_points_before=0,
                victim_points_after=points,
                reason="a bug",
                created_at=heist.created_at + random.choice([0, 1, 40]) * dt.timedelta(minutes=1),
            )
            for side, key in enumerate((heist.attacker_id, heist.victim_id)):
                returned[side, key] += points
    return returned


def expected(
    rows: list[tuple[Any, Any, int, dt.datetime]],
    side: int,
    places: int,
    returned: Mapping[tuple[int, Any], int] = MappingProxyType({}),
) -> list[tuple[Any, int, int]]:
    points: Counter[Any] = Counter()
    heists: Counter[Any] = Counter()
    for row in rows:
        player: Any = row[side]
        points[player.pk] += row[2]
        heists[player.pk] += 1
    points -= Counter({key: lost for (of, key), lost in returned.items() if of == side})
    ranked = sorted(points, key=lambda key: (-points[key], -heists[key], key))
    return [(key, heists[key], points[key]) for key in ranked[:places]]


@pytest.mark.parametrize("side", [0, 1], ids=["attackers", "victims"])
def test_the_winner_is_found_behind_two_thousand_others(side: int) -> None:
    early, late, (winner, other) = people(1001 * 2 + 2)[:1001], [], (None, None)
    users = list(get_user_model().objects.order_by("pk"))
    early, late, winner, other = users[:1001], users[1001:2002], users[2002], users[2003]

    def row(user: Any, points: int, at: dt.datetime) -> tuple[Any, Any, int, dt.datetime]:
        return (user, other, points, at) if side == 0 else (other, user, points, at)

    insert(
        [row(user, 100, YESTERDAY) for user in early]
        + [row(user, 100, TODAY) for user in late]
        + [row(winner, 99, YESTERDAY), row(winner, 99, TODAY)]
    )

    if side == 0:
        first = leaderboard.leaders(now=NOW, limit=100)[0]
        assert (first.player, first.points_stolen, first.heists) == (winner, 198, 2)
    period = dashboard.period(7, NOW)
    ranks = period.attackers if side == 0 else period.victims
    assert (ranks[0].player, ranks[0].points, ranks[0].heists) == (winner, 198, 2)


@pytest.mark.parametrize("seed", range(20))
def test_any_data_gives_the_ranking_of_a_plain_sum(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    # Few candidates, so that both ways of computing are taken.
    monkeypatch.setattr(leaderboard, "MAX_CANDIDATES", random.choice([8, 15, 40]))
    monkeypatch.setattr(leaderboard, "MAX_PLACES", 5)
    users = people(random.choice([4, 12, 30]))
    largest = random.choice([3, 100])
    rows = []
    for _heist in range(random.choice([10, 60, 250])):
        attacker, victim = random.sample(users, 2)
        hours = random.choice([1, 5, random.randrange(30, 18 * 24)])
        rows.append((attacker, victim, random.randint(1, largest), NOW - dt.timedelta(hours=hours)))
    insert(rows)
    # Sums of closed days that were cached before the reversals stay right.
    if seed % 2:
        monkeypatch.setattr(rollups, "OPEN_TIMEOUT", dt.timedelta())
        leaderboard.leaders(now=NOW, limit=5)
    returned = give_back(random) if seed >= 8 else Counter[tuple[int, Any]]()

    for _cold_then_cached in range(2):
        found = leaderboard.leaders(now=NOW, limit=5)
        assert [(one.player.pk, one.heists, one.points_stolen) for one in found] == expected(rows, 0, 5, returned)
    for role, side in ((HeistRole.ATTACKER, 0), (HeistRole.VICTIM, 1)):
        rollup = Rollup.up_to(NOW, dt.date(2026, 3, 1), "UTC")
        assert leaderboard.best(rollup, role, 3) == expected(rows, side, 3, returned)


def test_the_closed_days_decide_where_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    users = people(30)
    rows = [
        (users[number], users[-1], 100 + number, YESTERDAY - dt.timedelta(days=day))
        for number, day in itertools.product(range(20), range(10))
    ]
    rows += [(users[19], users[-1], 30, TODAY), (users[25], users[-1], 60, TODAY)]
    insert(rows)
    rollup = Rollup.up_to(NOW, dt.date(2026, 3, 1), "UTC")

    assert leaderboard._from_closed(rollup, HeistRole.ATTACKER, 5, {}) is not None
    assert leaderboard.best(rollup, HeistRole.ATTACKER, 5) == expected(rows, 0, 5)


def test_a_player_behind_the_candidates_may_still_reach_the_last_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "MAX_CANDIDATES", 3)
    best, second, third, left_out, victim = people(5)
    rows = [(one, victim, points, YESTERDAY) for one, points in ((best, 99), (second, 60), (third, 55), (left_out, 55))]
    rows.append((left_out, victim, 5, TODAY))
    insert(rows)
    rollup = Rollup.up_to(NOW, dt.date(2026, 3, 1), "UTC")

    # As many points as the second, by more heists.
    assert leaderboard.best(rollup, HeistRole.ATTACKER, 2) == [(best.pk, 1, 99), (left_out.pk, 2, 60)]
    # The first place is out of reach: nobody behind the candidates has more than the last of them.
    assert leaderboard._from_closed(rollup, HeistRole.ATTACKER, 1, {}) is not None
    insert([(victim, best, 42, TODAY)])
    assert leaderboard._from_closed(rollup, HeistRole.ATTACKER, 1, {}) is not None


def test_players_who_tie_by_both_sums_are_in_the_order_of_their_keys() -> None:
    first, second, victim = people(3)
    rows = [(first, victim, 50, YESTERDAY), (second, victim, 52, YESTERDAY)]
    rows += [(first, victim, 5, TODAY), (second, victim, 3, TODAY)]
    insert(rows)
    rollup = Rollup.up_to(NOW, dt.date(2026, 3, 1), "UTC")

    assert leaderboard._from_closed(rollup, HeistRole.ATTACKER, 2, {}) is not None
    assert leaderboard.best(rollup, HeistRole.ATTACKER, 2) == [(first.pk, 2, 55), (second.pk, 2, 55)]


def test_without_a_success_in_the_open_rest_nothing_is_added_up_there(django_assert_num_queries: Any) -> None:
    first, second, victim = people(3)
    insert([(first, victim, 50, YESTERDAY), (second, victim, 52, YESTERDAY)])
    rollup = Rollup.up_to(NOW, dt.date(2026, 3, 1), "UTC")

    # What was returned, the closed sums, and the largest open sum.
    with django_assert_num_queries(3):
        assert leaderboard.best(rollup, HeistRole.ATTACKER, 2) == [(second.pk, 1, 52), (first.pk, 1, 50)]


def test_a_day_that_begins_twice_is_counted_once(settings: Any) -> None:
    settings.TIME_ZONE = "America/Havana"
    first, second = player("first"), player("second")
    HeistToken.objects.create(user=first)
    both = [dt.datetime(2026, 11, 1, 4, 30, tzinfo=dt.UTC), dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.UTC)]
    insert([(first, second, 10, at) for at in both])

    for now in (both[1] + dt.timedelta(minutes=1), dt.datetime(2026, 11, 3, 12, tzinfo=dt.UTC)):
        cache.clear()
        assert [leader.points_stolen for leader in leaderboard.leaders(now=now, limit=5)] == [20]
        assert sum(day.points for day in dashboard.period(7, now).days) == 20


@pytest.mark.parametrize(
    "later", [dt.timedelta(), dt.timedelta(minutes=1), dt.timedelta(days=1), dt.timedelta(days=40)]
)
@pytest.mark.parametrize("seed", range(3))
def test_an_earlier_months_ranking_is_that_of_the_month_alone(seed: int, later: dt.timedelta) -> None:
    random, users = Random(seed), people(8)
    begins, ends = dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    instant = dt.timedelta(microseconds=1)
    edges = [(begins - instant, False), (begins, True), (ends - instant, True), (ends, False)]
    times = edges + [(begins + dt.timedelta(hours=random.randrange(31 * 24)), True) for _ in range(40)]
    rows = [(*random.sample(users, 2), random.randint(1, 50), at) for at, _inside in times]
    insert(rows)
    inside = [row for row, (_at, is_inside) in zip(rows, times, strict=True) if is_inside]

    for _cold_then_cached in range(2):
        found = leaderboard.leaders(now=ends + later, month=begins.date(), limit=8)
        assert [(one.player.pk, one.heists, one.points_stolen) for one in found] == expected(inside, 0, 8)


def test_the_first_month_is_that_of_the_oldest_heist(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    assert leaderboard.first_month(NOW) == dt.date(2026, 3, 1)
    first, second = people(2)

    insert([(first, second, 5, dt.datetime(2025, 12, 31, 15, tzinfo=dt.UTC)), (first, second, 5, NOW)])

    assert leaderboard.first_month(NOW) == dt.date(2026, 1, 1)
