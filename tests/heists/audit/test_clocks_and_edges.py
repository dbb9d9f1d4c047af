"""The audit reports nothing on correct rows: under clocks a second apart, and under every setting at its edges."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from gamification.services import award_points
from heists.choices import GrantReason
from heists.conf import SETTINGS
from heists.errors import HeistError
from heists.models import Heist, HeistToken, Shield, Truce
from heists.services import buy_shield, execute_heist, expire_shields, grant_tokens, set_truce
from tests.factories import player

from .test_tampering import audited

pytestmark = pytest.mark.django_db

HALF = dt.timedelta(seconds=0.5)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
START = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
OFF = {
    "COOLDOWN_HOURS": 0,
    "TARGET_COOLDOWN_HOURS": 0,
    "PAIR_COOLDOWN_HOURS": 0,
    "MAX_HEISTS_PER_DAY": 1000,
    "MONTHLY_LOSS_PERCENT": 100,
}


class Hosts:
    """Two hosts whose clocks are half a second ahead of and behind the true time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, start: dt.datetime) -> None:
        self.now, self.offset = start, dt.timedelta()
        monkeypatch.setattr(timezone, "now", lambda: self.now + self.offset)

    def at(self, time: dt.datetime, offset: dt.timedelta) -> None:
        self.now, self.offset = time, offset


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    return Hosts(monkeypatch, START)


def attempt(attacker: Any, victim: Any) -> Heist:
    return execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)


def cast() -> list[Any]:
    return [player(name, points=1000, tokens=50, coins=5000) for name in ("alice", "bob", "carol", "dora")]


WINDOWS: dict[str, tuple[dict[str, int], dt.timedelta, tuple[int, int], tuple[int, int]]] = {
    # the settings, the length of the window, the first heist, the second heist
    "cooldown": ({"COOLDOWN_HOURS": 1}, HOUR, (0, 1), (0, 2)),
    "protection": ({"TARGET_COOLDOWN_HOURS": 1}, HOUR, (0, 1), (2, 1)),
    "pair": ({"PAIR_COOLDOWN_HOURS": 1}, HOUR, (0, 1), (0, 1)),
    "day": ({"MAX_HEISTS_PER_DAY": 1}, DAY, (0, 1), (0, 2)),
}
DIRECTIONS = [(HALF, -HALF), (-HALF, HALF)]
AROUND = [dt.timedelta(milliseconds=step) for step in (-1500, -1000, -500, -20, 0, 20, 500, 1000, 1500)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("direction", DIRECTIONS, ids=["first ahead", "second ahead"])
@pytest.mark.parametrize("around", AROUND, ids=str)
def test_the_end_of_a_window(
    hosts: Hosts, settings: Any, window: str, direction: tuple[dt.timedelta, dt.timedelta], around: dt.timedelta
) -> None:
    rules, length, first, second = WINDOWS[window]
    settings.HEISTS = settings.HEISTS | OFF | rules
    hosts.at(START - DAY, dt.timedelta())
    people = cast()

    hosts.at(START, direction[0])
    before = attempt(people[first[0]], people[first[1]])
    hosts.at(START + length + around, direction[1])
    after = attempt(people[second[0]], people[second[1]])

    assert after.is_outcome == (after.created_at - before.created_at >= length)
    hosts.at(START + 2 * DAY, dt.timedelta())
    assert audited() == {}


@pytest.mark.parametrize("direction", DIRECTIONS, ids=["first ahead", "second ahead"])
@pytest.mark.parametrize("gap", [dt.timedelta(milliseconds=20), HALF, 2 * HALF], ids=str)
@pytest.mark.parametrize("limit", [2, 3])
def test_many_heists_in_a_second_and_a_day_later(
    hosts: Hosts, settings: Any, direction: tuple[dt.timedelta, dt.timedelta], gap: dt.timedelta, limit: int
) -> None:
    settings.HEISTS = settings.HEISTS | OFF | {"MAX_HEISTS_PER_DAY": limit}
    people, offsets = cast(), itertools.cycle(direction)
    for start in (START, START + DAY - HALF, START + DAY, START + DAY + 3 * HALF):
        for number in range(limit + 1):
            hosts.at(max(hosts.now, start + number * gap), next(offsets))
            attempt(people[0], people[1 + number % 3])

    hosts.at(START + 5 * DAY, dt.timedelta())
    assert Heist.objects.outcomes().count() >= 2 * limit
    assert audited() == {}


@pytest.mark.parametrize("zone", ["UTC", "America/Havana", "Asia/Tokyo"])
@pytest.mark.parametrize("direction", DIRECTIONS, ids=["first ahead", "second ahead"])
@pytest.mark.parametrize("limit", [3, 10])
def test_the_turn_of_the_month(
    hosts: Hosts, settings: Any, zone: str, direction: tuple[dt.timedelta, dt.timedelta], limit: int
) -> None:
    settings.TIME_ZONE = zone
    settings.HEISTS = settings.HEISTS | OFF | {"MONTHLY_LOSS_PERCENT": limit}
    turn = {"UTC": 0, "America/Havana": 4, "Asia/Tokyo": -9}[zone] * HOUR + dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    hosts.at(turn - 2 * DAY, dt.timedelta())
    people, offsets = cast(), itertools.cycle(direction)
    for millisecond in (-1200, -700, -400, -20, 0, 20, 300, 600, 1100, 3_600_000, 3_600_500):
        hosts.at(turn + dt.timedelta(milliseconds=millisecond), next(offsets))
        award_points(player=people[3], type_name="CHECKIN", points=600)
        attempt(people[millisecond % 3], people[3])

    hosts.at(turn + 3 * DAY, dt.timedelta())
    assert Heist.objects.successful().count() >= 2
    assert audited() == {}


@pytest.mark.parametrize("direction", DIRECTIONS, ids=["first ahead", "second ahead"])
def test_shields_bought_used_and_expired(
    hosts: Hosts, settings: Any, direction: tuple[dt.timedelta, dt.timedelta]
) -> None:
    settings.HEISTS = settings.HEISTS | OFF | {"SHIELD_DAYS": 1}
    first, second = direction
    tick = dt.timedelta(milliseconds=20)
    people = cast()

    hosts.at(START, first)
    assert attempt(people[0], people[1]).points_stolen
    hosts.at(START + tick, second)
    buy_shield(player_id=people[1].pk)
    hosts.at(START + 2 * tick, first)
    assert not attempt(people[2], people[1]).points_stolen
    hosts.at(START + 3 * tick, second)
    assert attempt(people[3], people[1]).points_stolen
    hosts.at(START + 4 * tick, first)
    buy_shield(player_id=people[1].pk)
    hosts.at(START + 5 * tick, second)
    assert not attempt(people[0], people[1]).points_stolen
    hosts.at(START + 6 * tick, second)
    buy_shield(player_id=people[1].pk)
    for around in (-HALF, dt.timedelta(), HALF, 2 * HALF):
        hosts.at(START + DAY + around, first)
        expire_shields()
        hosts.at(START + DAY + around + tick, second)
        attempt(people[2], people[1])

    assert Shield.objects.count() == 3
    hosts.at(START + 2 * DAY, dt.timedelta())
    assert audited() == {}


def test_grants_and_outcomes_out_of_order_in_time(hosts: Hosts, settings: Any) -> None:
    settings.HEISTS = settings.HEISTS | OFF
    people = cast()
    hosts.at(START, HALF)
    grant_tokens(player=people[0], amount=1, reason=GrantReason.STAFF, source="a")
    attempt(people[0], people[1])
    hosts.at(START, -HALF)
    grant_tokens(player=people[0], amount=1, reason=GrantReason.STAFF, source="b")
    attempt(people[0], people[2])

    assert HeistToken.objects.get(user=people[0]).last_spent_at == START - HALF
    hosts.at(START + DAY, dt.timedelta())
    assert audited() == {}


RULES = [
    *("TOKEN_COST", "STEAL_PERCENTAGE", "MAX_STEAL_POINTS", "MIN_TARGET_POINTS", "COOLDOWN_HOURS"),
    *("TARGET_COOLDOWN_HOURS", "MAX_HEISTS_PER_DAY", "PAIR_COOLDOWN_HOURS", "MONTHLY_LOSS_PERCENT"),
    *("SHIELD_COST", "SHIELD_DAYS", "NEWCOMER_DAYS"),
]


def edges(key: str) -> set[int]:
    """Return the least and the most that the checks allow, their neighbours inside, and 0."""
    setting = SETTINGS[key]
    least, most = setting.minimum or 0, setting.maximum or 0
    return {0, least, least + 1, most - 1, most} - ({0} if key == "SHIELD_DAYS" else set())


EDGES = [(key, value) for key in RULES for value in sorted(edges(key))]


@pytest.mark.parametrize("others", [{}, OFF], ids=["defaults", "windows off"])
@pytest.mark.parametrize(("key", "value"), EDGES, ids=[f"{key} {value}" for key, value in EDGES])
def test_every_setting_at_its_edges(hosts: Hosts, settings: Any, key: str, value: int, others: dict[str, int]) -> None:
    settings.HEISTS = settings.HEISTS | others | {key: value}
    people = cast()
    for number, hours in enumerate((0, 0, 1, 23, 24, 25, 48, 49, 24 * 40)):
        hosts.at(START + hours * HOUR, dt.timedelta())
        attempt(people[number % 4], people[(number + 1) % 4])
        attempt(people[0], people[1])
        carry_out(lambda: buy_shield(player_id=people[2].pk))
        expire_shields()

    assert audited() == {}


@pytest.mark.parametrize("seed", range(15))
def test_any_course_of_play_under_any_rules_and_clocks(hosts: Hosts, settings: Any, seed: int) -> None:
    random = Random(seed)
    settings.TIME_ZONE = random.choice(["UTC", "America/Havana", "Africa/Cairo", "Pacific/Auckland"])
    hosts.at(dt.datetime(2026, 10, 30, tzinfo=dt.UTC), dt.timedelta())
    people, base = cast(), dict(settings.HEISTS)
    hours = [0, 0, 1, 24]
    for step in range(60):
        if step % 20 == 0:
            settings.HEISTS = base | {
                "TOKEN_COST": random.choice([0, 1, 2]),
                "COOLDOWN_HOURS": random.choice(hours),
                "TARGET_COOLDOWN_HOURS": random.choice(hours),
                "PAIR_COOLDOWN_HOURS": random.choice(hours),
                "MAX_HEISTS_PER_DAY": random.choice([0, 1, 2, 100]),
                "MONTHLY_LOSS_PERCENT": random.choice([0, 1, 5, 100]),
                "SHIELD_DAYS": 1,
                "SHIELD_COST": random.choice([0, 50]),
            }
        later = random.choice([0, 0.02, 0.5, 1, 3599.5, 3600, 86399.9, 86400])
        hosts.at(hosts.now + dt.timedelta(seconds=later), random.choice([-1, 0, 1]) * HALF)
        attempt(random.choice(people), random.choice(people))
        if random.random() < 0.2:
            carry_out(lambda: buy_shield(player_id=random.choice(people).pk))
        if random.random() < 0.2:
            expire_shields()

    hosts.at(hosts.now + DAY, dt.timedelta())
    assert audited() == {}


def carry_out(call: Callable[[], object]) -> None:
    try:
        call()
    except HeistError:
        # The rules may say no, as to a second shield.
        return


@pytest.mark.parametrize("seed", range(12))
def test_truces_at_the_turns_of_the_months_under_clocks_a_second_apart(hosts: Hosts, settings: Any, seed: int) -> None:
    random = Random(seed)
    settings.TIME_ZONE = random.choice(["UTC", "America/Havana", "Pacific/Auckland"])
    settings.HEISTS = settings.HEISTS | OFF
    zone = ZoneInfo(settings.TIME_ZONE)
    turns = [dt.datetime(2026, month, 1, tzinfo=zone).astimezone(dt.UTC) for month in (10, 11, 12)]
    hosts.at(turns[0] - DAY, dt.timedelta())
    people = cast()
    for turn in turns:
        for millisecond in sorted(random.sample(range(-1500, 1500), 25)):
            hosts.at(turn + dt.timedelta(milliseconds=millisecond), random.choice([-1, 0, 1]) * HALF)
            one, other = random.sample(people, 2)
            if random.random() < 0.5:
                set_truce(player_id=one.pk, wanted=random.random() < 0.6)
            attempt(one, other)

    hosts.at(turns[-1] + DAY, dt.timedelta())
    assert Truce.objects.exists() and Heist.objects.filter(failure_code__in=["truce", "own_truce"]).exists()
    assert audited() == {}
