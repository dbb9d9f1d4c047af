"""The month turns while a heist runs: at every point of it, and against every other call that may interfere."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from gamification import months, referrals, services
from gamification.models import MonthlyStanding, PlayerProfile, PointEvent, PointEventTypeMaster
from gamification.months import close_month
from gamification.referrals import Rewarded, reward_referrals
from heists.choices import HeistStatus
from heists.services import buy_shield, execute_heist
from tests.concurrency import at_once
from tests.factories import player

from .staging import SUCCESS, ConcurrentCall, Point, concurrent_at, terminate

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


def close() -> None:
    call_command("close_month", stdout=StringIO(), stderr=StringIO())


def award(user: Any, points: int) -> PointEvent:
    return services.award_points(player=user, type_name="CHECKIN", points=points)


def sign_up(code: str) -> Any:
    return services.sign_up(username="newcomer", password="correct horse battery", referral_code=code)


@pytest.fixture
def earned(settings: Any, clock: Clock) -> Callable[[Any], Any]:
    """A function that lets a player refer a new one, whose referral is earned: `reward_referrals` pays 10 points."""
    settings.GAMIFICATION = {"REFERRAL_MONTHLY_CAP": 100}
    PointEventTypeMaster.objects.filter(name="REFERRAL_BONUS").update(points=10)

    def refer(referrer: Any) -> Any:
        return sign_up(PlayerProfile.objects.get(user=referrer).referral_code)

    return refer


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


# The moments of one decision of `reward_referrals`.
REWARD_POINTS = {
    "before the lock": Point(referrals, "_decide", "before"),
    "after the lock": Point(services, "lock_profiles", "before"),
    "before it is paid": Point(services, "pay_referral", "before"),
    "after the points are added": Point(services, "add_tokens", "before"),
    "before the commit": Point(services, "pay_referral", "after"),
}


PAID_IN_OCTOBER = ("before it is paid", "after the points are added", "before the commit")


@pytest.mark.parametrize("point", REWARD_POINTS)
@pytest.mark.parametrize("call", ["close_month", "reward_referrals", "heist"])
def test_a_referral_is_paid_at_the_turn(
    point: str, call: str, clock: Clock, isolation: str, earned: Callable[[Any], Any]
) -> None:
    alice, carol = player(points=70), player(points=5, tokens=1)
    earned(alice)
    calls: dict[str, Callable[[], Any]] = {
        "close_month": close,
        "reward_referrals": reward_referrals,
        "heist": lambda: execute_heist(attacker_id=carol.pk, victim_id=alice.pk),
    }

    def turn_and_call() -> Any:
        clock(TURN)
        return calls[call]()

    with concurrent_at(point, turn_and_call, REWARD_POINTS) as concurrent:
        paid = reward_referrals()

    assert concurrent.error is None
    also_paid = concurrent.result if call == "reward_referrals" else Rewarded()
    assert paid.paid + also_paid.paid == 1
    # The month is that of the lock: the new one also where a serialization failure repeats the payment.
    month = PointEvent.objects.get(type__name="REFERRAL_BONUS").month
    assert month == (OCTOBER if point in PAID_IN_OCTOBER else NOVEMBER) or (isolation, month) == (
        "serializable",
        NOVEMBER,
    )
    expected = Counter({OCTOBER: 175}) + Counter({month: 10})
    assert totals() == expected
    close()
    assert (standings()[alice.pk], totals()) == (70 + 10 * (month == OCTOBER), expected)


@pytest.mark.parametrize("point", ["before the lock", "after the lock", "after the points moved", "after the commit"])
def test_a_heist_on_a_referrer_who_is_paid_at_the_turn(point: str, clock: Clock, earned: Callable[[Any], Any]) -> None:
    alice, bob = player(points=70, tokens=1), player(points=1000)
    earned(bob)

    def turn_and_reward() -> Rewarded:
        clock(TURN)
        return reward_referrals()

    with concurrent_at(point, turn_and_reward) as concurrent:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert (concurrent.error, concurrent.result) == (None, Rewarded(1, 0))
    stolen = 50 if point in JUDGED_IN_OCTOBER else 0
    assert (heist.points_stolen, PointEvent.objects.get(type__name="REFERRAL_BONUS").month) == (stolen, NOVEMBER)
    close()
    assert (standings()[bob.pk], totals()) == (1000 - stolen, {OCTOBER: 1170, NOVEMBER: 10})


def test_a_referral_that_waits_for_its_referrer_while_the_month_turns_is_paid_in_the_new_one(
    clock: Clock, earned: Callable[[Any], Any]
) -> None:
    alice = player(points=70)
    earned(alice)
    rewarding = ConcurrentCall(reward_referrals)

    with transaction.atomic():
        services.lock_profiles(alice.pk)
        rewarding.start()
        rewarding.settle()
        assert rewarding.is_alive()
        clock(TURN)
    rewarding.finish()

    assert (rewarding.error, rewarding.result) == (None, Rewarded(1, 0))
    assert (standings(), totals()) == ({alice.pk: 70}, {OCTOBER: 170, NOVEMBER: 10})


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


@pytest.mark.usefixtures("isolation")
def test_close_month_many_times_at_once_closes_each_profile_once(clock: Clock) -> None:
    users = [player(points=1) for _ in range(40)]
    clock(TURN)

    results = at_once(*[lambda: close_month(using="default", batch=3)] * 4)

    assert sum(closed.profiles for closed in results) == sum(closed.standings for closed in results) == 40
    assert standings() == {user.pk: 1 for user in users}


@pytest.mark.usefixtures("isolation")
def test_locks_and_close_month_at_once_write_one_standing(clock: Clock) -> None:
    users = [player(points=100) for _ in range(10)]
    clock(TURN)
    awards = [lambda user=user: award(user, 1) for user in users]

    at_once(*awards, *[lambda: close_month(using="default", batch=2)] * 2)

    assert standings() == {user.pk: 100 for user in users}
    assert totals() == {OCTOBER: 1000, NOVEMBER: 10}


@pytest.mark.usefixtures("isolation")
def test_close_month_that_waits_for_an_award_finds_the_profile_closed(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At SERIALIZABLE the wait ends in a serialization failure of one of the two, which is repeated."""
    users = [player(points=10 * n) for n in range(1, 6)]
    clock(TURN)
    closing, add = ConcurrentCall(lambda: close_month(using="default", batch=2)), services._add_points

    def add_while_closing(*args: Any) -> PointEvent:
        if closing.ident is None:
            closing.start()
            closing.settle()
            assert closing.is_alive(), "close_month does not wait"
        return add(*args)

    monkeypatch.setattr(services, "_add_points", add_while_closing)
    award(users[0], 1)
    closing.finish()

    assert closing.error is None
    assert closing.result in ((4, 4), (5, 5))
    assert standings() == {user.pk: 10 * n for n, user in enumerate(users, 1)}
    assert totals() == {OCTOBER: 150, NOVEMBER: 1}


@pytest.mark.usefixtures("isolation")
def test_close_month_and_the_deletion_of_a_player_do_not_stop_one_another(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds a row that the other one waits for; PostgreSQL ends `close_month`, whose patience is shorter."""
    users = [player(points=10 * n) for n in range(1, 6)]
    clock(TURN)
    original, tries = months._close, []

    def delete() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '60s'")
            cursor.execute("DELETE FROM auth_user WHERE id = %s", [users[0].pk])

    deletion = ConcurrentCall(delete)

    def close_while_deleting(*args: Any) -> int:
        tries.append(args)
        if deletion.ident is None:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL deadlock_timeout = '10ms'")
            deletion.start()
            deletion.settle()
            assert deletion.is_alive(), "the deletion does not wait"
        return original(*args)

    monkeypatch.setattr(months, "_close", close_while_deleting)
    closed = close_month(using="default", batch=2)
    deletion.finish()

    assert deletion.error is None
    assert closed == (4, 4)
    # Two batches of two and the empty last one of each pass, and the one that was repeated.
    assert len(tries) == 5
    assert standings() == {user.pk: 10 * n for n, user in enumerate(users, 1) if n > 1}


@pytest.mark.usefixtures("isolation")
def test_close_month_whose_connection_is_killed_in_the_middle_goes_on(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [player(points=10) for _ in range(5)]
    clock(TURN)
    original, tries = months._close, []

    def close_and_be_killed(*args: Any) -> int:
        tries.append(args)
        kept = original(*args)
        if len(tries) == 2:
            terminate(connection.connection.info.backend_pid)
        return kept

    monkeypatch.setattr(months, "_close", close_and_be_killed)

    assert close_month(using="default", batch=2) == (5, 5)
    assert standings() == {user.pk: 10 for user in users}
