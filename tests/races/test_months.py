"""The month turns while a heist runs: at every point of it, and against every other call that may interfere."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from gamification import services
from gamification.models import MonthlyStanding, PlayerProfile, PointEvent, PointEventTypeMaster
from gamification.months import close_month
from heists.choices import HeistStatus
from heists.db.retry import retry_transient
from heists.services import buy_shield, execute_heist
from tests.concurrency import at_once
from tests.factories import player

from .staging import SUCCESS, ConcurrentCall, concurrent_at

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("audited")]

TURN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
OCTOBER, NOVEMBER = dt.date(2026, 10, 1), dt.date(2026, 11, 1)
# The heist's own clock is read before the second look, and decides.
JUDGED_IN_OCTOBER = SUCCESS[SUCCESS.index("after the second look") :]

Clock = Callable[[dt.datetime], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A function that sets the clock of all threads; it begins a second before the month ends."""

    def set_clock(now: dt.datetime) -> None:
        monkeypatch.setattr(timezone, "now", lambda: now)

    set_clock(TURN - SECOND)
    return set_clock


def totals() -> Counter[dt.date]:
    """Return all points by month, standings and profiles together."""
    found: Counter[dt.date] = Counter()
    for month, points in [
        *MonthlyStanding.objects.values_list("month", "points"),
        *PlayerProfile.objects.values_list("month", "monthly_points"),
    ]:
        found[month] += points
    return +found


def standings() -> dict[Any, int]:
    assert set(MonthlyStanding.objects.values_list("month", flat=True)) <= {OCTOBER}
    return dict(MonthlyStanding.objects.values_list("player", "points"))


@retry_transient
def close() -> None:
    call_command("close_month", stdout=StringIO(), stderr=StringIO())


def award(user: Any, points: int) -> PointEvent:
    return retry_transient(services.award_points)(player=user, type_name="CHECKIN", points=points)


def sign_up(code: str) -> Any:
    sign_up = retry_transient(services.sign_up)
    return sign_up(username="newcomer", password="correct horse battery", referral_code=code)


@pytest.mark.usefixtures("isolation")
@pytest.mark.parametrize("point", SUCCESS)
def test_a_heist_and_close_month_at_the_turn(point: str, clock: Clock) -> None:
    alice, bob = player(points=70, tokens=1), player(points=1000)

    def turn_and_close() -> None:
        clock(TURN)
        close()

    with concurrent_at(point, turn_and_close) as concurrent:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert concurrent.error is None
    stolen = 50 if point in JUDGED_IN_OCTOBER else 0
    assert heist.points_stolen == stolen
    # A first look that finds the new month begun is right by its own clock, which is behind.
    first = point == "before the first look"
    assert heist.created_at == (TURN - SECOND if stolen or first else TURN)
    assert standings() == {alice.pk: 70 + stolen, bob.pk: 1000 - stolen}
    assert totals() == {OCTOBER: 1070}


@pytest.mark.parametrize("point", SUCCESS)
@pytest.mark.parametrize(
    "call", ["award", "award to the robber", "shield", "sign-up", "referral by the victim", "heist"]
)
def test_a_heist_and_another_call_at_the_turn(point: str, call: str, clock: Clock) -> None:
    alice, bob = player(points=70, tokens=1), player(points=1000, coins=50)
    carol = player(points=5, tokens=1)
    # Too few to be robbed of in the new month.
    PointEventTypeMaster.objects.filter(name="REFERRAL_BONUS").update(points=10)
    codes = dict(PlayerProfile.objects.values_list("user", "referral_code"))
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "award": (lambda: award(bob, 10), 10),
        "award to the robber": (lambda: award(alice, 10), 10),
        "shield": (lambda: buy_shield(player_id=bob.pk), 0),
        "sign-up": (lambda: sign_up(codes[alice.pk]), 110),
        "referral by the victim": (lambda: sign_up(codes[bob.pk]), 110),
        "heist": (lambda: execute_heist(attacker_id=carol.pk, victim_id=bob.pk), 0),
    }
    concurrent_call, gained = calls[call]

    def turn_and_call() -> Any:
        clock(TURN)
        return concurrent_call()

    with concurrent_at(point, turn_and_call) as concurrent:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert concurrent.error is None
    assert (heist.status == HeistStatus.SUCCESS) == (point in JUDGED_IN_OCTOBER)
    assert totals() == +Counter({OCTOBER: 1075, NOVEMBER: gained})
    close()
    stolen = heist.points_stolen
    assert standings() == {alice.pk: 70 + stolen, bob.pk: 1000 - stolen, carol.pk: 5}
    assert totals() == +Counter({OCTOBER: 1075, NOVEMBER: gained})


def test_an_award_that_waits_while_the_month_turns_counts_for_the_new_one(clock: Clock) -> None:
    alice = player(points=70)
    waiting = ConcurrentCall(lambda: award(alice, 10))

    with transaction.atomic():
        services.lock_profiles(alice.pk)
        waiting.start()
        waiting.settle()
        clock(TURN)
    waiting.finish()

    assert (waiting.error, waiting.result.month) == (None, NOVEMBER)
    assert (standings(), totals()) == ({alice.pk: 70}, {OCTOBER: 70, NOVEMBER: 10})


def test_close_month_leaves_a_locked_profile_for_last_and_waits_for_it(clock: Clock) -> None:
    users = [player(points=10 * n) for n in range(1, 6)]
    clock(TURN)
    closing = ConcurrentCall(lambda: close_month(using="default", batch=2))

    with transaction.atomic():
        PlayerProfile.objects.select_for_update().get(user=users[0])
        closing.start()
        closing.settle()
        assert closing.is_alive()
        assert MonthlyStanding.objects.count() == 4
    closing.finish()

    assert closing.result == (5, 5)
    assert standings() == {user.pk: 10 * n for n, user in enumerate(users, 1)}


def test_close_month_many_times_at_once_closes_each_profile_once(clock: Clock) -> None:
    users = [player(points=1) for _ in range(40)]
    clock(TURN)

    results = at_once(*[lambda: close_month(using="default", batch=3)] * 4)

    assert sum(closed.profiles for closed in results) == sum(closed.standings for closed in results) == 40
    assert standings() == {user.pk: 1 for user in users}


def test_locks_and_close_month_at_once_write_one_standing(clock: Clock) -> None:
    users = [player(points=100) for _ in range(10)]
    clock(TURN)
    awards = [lambda user=user: award(user, 1) for user in users]

    at_once(*awards, *[lambda: close_month(using="default", batch=2)] * 2)

    assert standings() == {user.pk: 100 for user in users}
    assert totals() == {OCTOBER: 1000, NOVEMBER: 10}
