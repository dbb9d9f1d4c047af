"""Facts, rules and execution against the oracle, where rows of other players are near and the calendar turns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from gamification.services import award_points
from heists import conf
from heists.economy import get_economy
from heists.models import Truce
from heists.queries import facts, preview
from heists.rules import Loss
from heists.services import execute_heist, set_truce
from tests import oracle
from tests.factories import player

HOUR = dt.timedelta(hours=1)
INSTANT = dt.timedelta(microseconds=1)
# Of the next month, the year, the leap day, and both changes of the clocks; in Berlin.
TURNS = [
    dt.datetime(2026, 4, 30, 22, tzinfo=dt.UTC),
    dt.datetime(2026, 12, 31, 23, tzinfo=dt.UTC),
    dt.datetime(2028, 2, 28, 23, tzinfo=dt.UTC),
    dt.datetime(2028, 2, 29, 23, tzinfo=dt.UTC),
    dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC),
    dt.datetime(2026, 10, 25, 1, tzinfo=dt.UTC),
]


class Clock:
    """The clock of the site, set by the test."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now


@contextmanager
def clock_at(now: dt.datetime) -> Iterator[Clock]:
    clock = Clock(now)
    with mock.patch("django.utils.timezone.now", clock):
        yield clock


def check(attacker: Any, victim: Any, now: dt.datetime) -> None:
    """Compare the preview of this pair with the oracle, every question of it."""
    found = preview.targets(attacker_id=attacker.pk, victim_ids=[victim.pk], economy=get_economy())[victim.pk]
    expected = oracle.questions(attacker.pk, victim.pk, now)
    assert [(reason.code, reason.retry_at, reason.details) for reason in found.reasons] == expected
    assert found.potential_points == oracle.amount(victim.pk, now)


def rob(attacker: Any, victim: Any, now: dt.datetime) -> Any:
    """Execute a heist, and compare its row with the oracle."""
    expected, points = oracle.questions(attacker.pk, victim.pk, now), oracle.amount(victim.pk, now)
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    heist.refresh_from_db()
    if expected:
        assert (heist.failure_code, heist.retry_at, heist.points_stolen) == (*expected[0][:2], 0)
    else:
        assert (heist.failure_code, heist.retry_at, heist.points_stolen) == (None, None, points)
    assert oracle.token_row_agrees(attacker.pk)
    return heist


steps = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from([0, 1, 23, 24, 24, 47, 48, 71, 72, 24 * 30]),
        st.sampled_from([-1, 0, 0, 1]),
        # The attacker asks for a truce, or no longer wants one.
        st.sampled_from([None, None, None, True, False]),
    ),
    min_size=4,
    max_size=14,
)
numbers = st.fixed_dictionaries(
    {
        "COOLDOWN_HOURS": st.sampled_from([0, 0, 24]),
        "TARGET_COOLDOWN_HOURS": st.sampled_from([0, 0, 48, 24 * 40]),
        "PAIR_COOLDOWN_HOURS": st.sampled_from([0, 0, 12, 72]),
        "MAX_HEISTS_PER_DAY": st.sampled_from([1, 2, 3, 10]),
        "MONTHLY_LOSS_PERCENT": st.sampled_from([0, 6, 10, 100]),
        "STEAL_PERCENTAGE": st.sampled_from([1, 5, 34, 100]),
        "MAX_STEAL_POINTS": st.sampled_from([1, 33, 100]),
        "MIN_TARGET_POINTS": st.sampled_from([0, 20, 950]),
        "TOKEN_COST": st.sampled_from([0, 1, 2]),
        "NEWCOMER_DAYS": st.sampled_from([0, 0, 1, 2]),
    }
)


class CalendarTest(TestCase):
    """Four players rob one another in any order, around the moments at which the calendar turns."""

    @hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(TURNS), st.sampled_from([0, 1, 24, 48, 72]), steps, numbers, st.booleans())
    def test_preview_and_execution_are_as_the_specification_says(
        self, turn: dt.datetime, before: int, steps: Any, numbers: Any, berlin: bool
    ) -> None:
        from django.conf import settings as site

        zone = "Europe/Berlin" if berlin else "UTC"
        with override_settings(HEISTS=site.HEISTS | numbers, TIME_ZONE=zone), clock_at(turn - before * HOUR) as clock:
            cast = [player(points=points, tokens=6, date_joined=clock.now) for points in (1000, 999, 20, 40)]
            for attacker, victim, hours, instants, wanted in steps:
                clock.now += hours * HOUR + instants * INSTANT
                if wanted is not None:
                    set_truce(player_id=cast[attacker].pk, wanted=wanted)
                check(cast[attacker], cast[victim], clock.now)
                rob(cast[attacker], cast[victim], clock.now)


@pytest.fixture
def clock() -> Iterator[Clock]:
    with clock_at(dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)) as clock:
        yield clock


def in_force(settings: Any, **numbers: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, **numbers}


def read(attacker: Any, *victims: Any, now: dt.datetime) -> facts.Facts:
    ids = [victim.pk for victim in victims]
    return facts.read(attacker.pk, ids, economy=get_economy(), rules=conf.rules(), now=now, using="default")


@pytest.mark.django_db
def test_losses_of_the_attacker_are_no_outcomes_and_outcomes_of_the_victim_no_losses(
    clock: Clock, settings: Any
) -> None:
    in_force(settings, COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, MAX_HEISTS_PER_DAY=2)
    me, victim, thief, third = (player(points=1000, tokens=9) for _ in range(4))
    mine = []
    for robber, robbed in ((thief, me), (third, me), (me, third), (victim, third), (victim, thief)):
        clock.now += HOUR
        heist = rob(robber, robbed, clock.now)
        assert heist.failure_code is None
        mine += [heist.points_stolen] if robbed == me else []

    seen = read(me, victim, now=clock.now)

    assert [(outcome.victim_id, outcome.at) for outcome in seen.attacker.outcomes] == [(third.pk, clock.now - 2 * HOUR)]
    assert seen.attacker.losses == [Loss(sum(mine), clock.now - 3 * HOUR)]
    assert (seen.victim(victim.pk).outcomes, seen.victim(victim.pk).losses) == ([], [])
    assert rob(me, victim, clock.now).failure_code is None
    assert rob(me, victim, clock.now).failure_code == "daily_limit"


@pytest.mark.django_db
def test_facts_of_oneself_have_each_outcome_once_and_the_sum_of_the_losses(clock: Clock, settings: Any) -> None:
    in_force(settings, COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, MONTHLY_LOSS_PERCENT=100)
    me, other = player(points=1000, tokens=9), player(points=1000, tokens=9)
    lost = {me: 0, other: 0}
    for robber, robbed in ((me, other), (other, me), (me, other), (other, me), (other, me)):
        clock.now += HOUR
        lost[robbed] += rob(robber, robbed, clock.now).points_stolen

    seen = read(me, me, other, now=clock.now)

    assert (len(seen.attacker.outcomes), seen.attacker.losses) == (2, [Loss(lost[me], clock.now)])
    assert seen.victim(other.pk).outcomes == []
    assert seen.victim(other.pk).losses == [Loss(lost[other], clock.now - 2 * HOUR)]


@pytest.mark.django_db
def test_a_blocked_attack_is_an_outcome_but_no_loss(clock: Clock, settings: Any) -> None:
    from heists.models import Shield

    in_force(settings, PAIR_COOLDOWN_HOURS=72)
    me, victim, other = player(tokens=2, points=9), player(points=1000), player(points=50, tokens=1)
    Shield.objects.create(player=victim, cost=50, bought_at=clock.now, expires_at=clock.now + HOUR)
    assert execute_heist(attacker_id=me.pk, victim_id=victim.pk).failure_code == "shield"

    seen = read(me, victim, now=clock.now)

    assert [outcome.victim_id for outcome in seen.attacker.outcomes] == [victim.pk]
    assert seen.victim(victim.pk).losses == []
    assert rob(other, victim, clock.now).points_stolen == 50
    clock.now += 71 * HOUR
    assert rob(me, victim, clock.now).failure_code == "pair_cooldown"


@pytest.mark.django_db
def test_rejections_are_no_outcomes(clock: Clock, settings: Any) -> None:
    in_force(settings, MAX_HEISTS_PER_DAY=1, PAIR_COOLDOWN_HOURS=72)
    me, victim = player(tokens=1), player(points=19)
    assert rob(me, victim, clock.now).failure_code == "insufficient_points"

    seen = read(me, victim, now=clock.now)

    assert (seen.attacker.outcomes, seen.victim(victim.pk).losses) == ([], [])
    assert rob(me, player(points=100), clock.now).failure_code is None


@pytest.mark.django_db
@pytest.mark.parametrize(("back", "known"), [(24 * HOUR, 1), (24 * HOUR + INSTANT, 0)])
def test_outcomes_are_read_from_the_first_moment_of_the_window_on(clock: Clock, back: dt.timedelta, known: int) -> None:
    me, victim = player(tokens=1), player(points=1000)
    rob(me, victim, clock.now)

    assert len(read(me, victim, now=clock.now + back).attacker.outcomes) == known


@pytest.mark.django_db
@pytest.mark.parametrize(("early", "left"), [(INSTANT, 95), (0 * HOUR, 45)])
def test_a_loss_in_the_first_moment_of_the_month_counts(
    clock: Clock, settings: Any, early: dt.timedelta, left: int
) -> None:
    in_force(settings, TARGET_COOLDOWN_HOURS=0, STEAL_PERCENTAGE=100, MAX_STEAL_POINTS=50)
    clock.now = dt.datetime(2026, 5, 1, tzinfo=dt.UTC) - early
    one, victim = player(tokens=1), player(points=1000)
    assert rob(one, victim, clock.now).points_stolen == 50
    if early:
        clock.now = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
        award_points(player=victim, type_name="CHECKIN", points=950)

    clock.now = dt.datetime(2026, 5, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC)

    seen = read(player(), victim, now=clock.now)
    assert len(seen.victim(victim.pk).losses) == (left == 45)
    in_force(settings, MAX_STEAL_POINTS=1000)
    assert rob(player(tokens=1), victim, clock.now).points_stolen == (left if left == 95 else 50)


@pytest.mark.django_db
def test_protection_reaches_into_the_next_month(clock: Clock) -> None:
    victim = player(points=1000)
    clock.now = dt.datetime(2026, 4, 30, 12, tzinfo=dt.UTC)
    rob(player(tokens=1), victim, clock.now)
    clock.now += 48 * HOUR - INSTANT

    heist = rob(player(tokens=1), victim, clock.now)

    assert (heist.failure_code, heist.retry_at) == ("protected", clock.now + INSTANT)
    clock.now += INSTANT
    assert rob(player(tokens=1), victim, clock.now).failure_code is None


@pytest.mark.django_db
def test_truces_are_read_until_they_are_over_and_repeat_neither_outcomes_nor_losses(
    clock: Clock, settings: Any
) -> None:
    in_force(settings, COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, MONTHLY_LOSS_PERCENT=100)
    me, victim = player(points=1000, tokens=9), player(points=1000, tokens=9)
    heists = [rob(robber, robbed, clock.now) for robber, robbed in ((me, victim), (victim, me), (me, victim))]
    spans = [(-9, 0), (-9 * 24, INSTANT / HOUR), (48, 72), (96, None)]
    for person in (me, victim):
        for starts, ends in spans:
            end = None if ends is None else clock.now + ends * HOUR
            Truce.objects.create(player=person, starts_at=clock.now + starts * HOUR, ends_at=end)

    seen = read(me, victim, me, now=clock.now)

    for person in (me, victim):
        known = [
            ((truce.starts_at - clock.now) / HOUR, truce.ends_at and (truce.ends_at - clock.now) / HOUR)
            for truce in seen.players[person.pk].truces
        ]
        assert sorted(known) == spans[1:]
    # Both of the same moment are there, each once.
    seen = read(me, victim, now=clock.now)
    assert len(seen.attacker.outcomes) == 2
    assert seen.victim(victim.pk).losses == [Loss(heists[0].points_stolen + heists[2].points_stolen, clock.now)]
    assert [failure.code for failure in seen.failures(seen.victim(victim.pk))] == ["own_truce", "truce"]
