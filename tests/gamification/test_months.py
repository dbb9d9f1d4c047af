"""Monthly points belong to a calendar month: they are 0 from its first moment on, and past months are kept."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification import errors, months, services
from gamification.economy import GamificationEconomy
from gamification.models import MonthlyStanding, PlayerProfile, PointEvent, ReferralReward
from heists.choices import FailureCode, HeistStatus
from heists.services import execute_heist
from tests.factories import player
from tests.heists.services.lost_answers import lose_the_answer

pytestmark = pytest.mark.django_db

SECOND, INSTANT = dt.timedelta(seconds=1), dt.timedelta(microseconds=1)
OCTOBER, NOVEMBER = dt.date(2026, 10, 1), dt.date(2026, 11, 1)
TURN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)

Clock = Callable[[dt.datetime], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A function that sets the clock; it begins the day before the month ends."""

    def set_clock(now: dt.datetime) -> None:
        monkeypatch.setattr(timezone, "now", lambda: now)

    set_clock(TURN - dt.timedelta(days=1))
    return set_clock


def points(*users: Any) -> list[int]:
    """Return the monthly points of these users, as everybody reads them."""
    found = dict(GamificationEconomy().players().values_list("pk", "monthly_points"))
    return [found[user.pk] for user in users]


def standings() -> list[tuple[Any, ...]]:
    return sorted(MonthlyStanding.objects.values_list("player", "month", "points"))


def stored(user: Any) -> tuple[dt.date, int]:
    # By name, also behind a replica router: it is read inside a service call.
    profile = PlayerProfile.objects.using("default").get(user=user)
    return profile.month, profile.monthly_points


def lock(*users: Any) -> None:
    with transaction.atomic():
        services.lock_profiles(*(user.pk for user in users))


def award(user: Any, number: int) -> PointEvent:
    return services.award_points(player=user, type_name="CHECKIN", points=number)


def audit() -> str:
    out = StringIO()
    with suppress(SystemExit):
        call_command("audit_heists", stdout=out)
    return out.getvalue()


def test_points_are_zero_from_the_first_moment_of_the_month_without_any_write(clock: Clock) -> None:
    alice, bob = player(points=500), player(points=30)

    clock(TURN - INSTANT)
    assert points(alice, bob) == [500, 30]
    assert list(GamificationEconomy().leaderboard()) == [alice, bob]

    clock(TURN)
    assert points(alice, bob) == [0, 0]
    assert list(GamificationEconomy().leaderboard()) == []
    assert stored(alice) == (OCTOBER, 500)


@pytest.mark.parametrize(
    ("zone", "turn"),
    [
        ("America/Havana", dt.datetime(2026, 11, 1, 4, tzinfo=dt.UTC)),  # midnight comes twice
        ("America/Sao_Paulo", dt.datetime(2026, 11, 1, 3, tzinfo=dt.UTC)),
        ("Asia/Tokyo", dt.datetime(2026, 10, 31, 15, tzinfo=dt.UTC)),
    ],
)
def test_the_month_is_that_of_the_site(clock: Clock, settings: Any, zone: str, turn: dt.datetime) -> None:
    settings.TIME_ZONE = zone
    clock(turn - INSTANT)
    alice = player(points=500)
    assert (points(alice), stored(alice)) == ([500], (OCTOBER, 500))

    clock(turn)
    assert points(alice) == [0]
    award(alice, 5)

    clock(turn + dt.timedelta(hours=1, minutes=30))
    assert (points(alice), stored(alice)) == ([5], (NOVEMBER, 5))
    assert standings() == [(alice.pk, OCTOBER, 500)]


def test_the_first_lock_keeps_what_there_was_and_begins_at_zero(clock: Clock) -> None:
    alice, bob, poor = player(points=500), player(points=30), player(points=0)
    clock(TURN)

    lock(alice, poor)
    lock(alice, poor)

    assert (stored(alice), stored(poor), stored(bob)) == ((NOVEMBER, 0), (NOVEMBER, 0), (OCTOBER, 30))
    assert standings() == [(alice.pk, OCTOBER, 500)]
    assert points(alice, bob, poor) == [0, 0, 0]


def test_points_are_not_lost_where_their_month_was_kept_before(clock: Clock) -> None:
    alice = player(points=500)
    MonthlyStanding.objects.create(player=alice, month=OCTOBER, points=4)
    clock(TURN)

    with pytest.raises(IntegrityError):
        lock(alice)

    assert (stored(alice), standings()) == ((OCTOBER, 500), [(alice.pk, OCTOBER, 4)])


def test_a_lock_of_profiles_of_this_month_is_one_statement(clock: Clock) -> None:
    alice, bob = player(points=500), player(points=30)

    with transaction.atomic(), CaptureQueriesContext(connection) as statements:
        services.lock_profiles(alice.pk, bob.pk)

    assert len(statements) == 1


def test_an_award_counts_for_the_month_that_has_begun(clock: Clock) -> None:
    alice = player(points=500)
    clock(TURN)

    event = award(alice, 10)

    assert event.month == NOVEMBER
    assert (stored(alice), PlayerProfile.objects.get(user=alice).points) == ((NOVEMBER, 10), 510)
    assert standings() == [(alice.pk, OCTOBER, 500)]
    assert "no difference" in audit()


def test_points_of_a_past_month_are_not_taken(clock: Clock) -> None:
    alice = player(points=500)
    clock(TURN)

    with pytest.raises(errors.InsufficientPoints):
        award(alice, -1)

    assert (stored(alice), standings()) == ((OCTOBER, 500), [])


def test_a_sign_up_with_a_code_closes_the_referrer(clock: Clock) -> None:
    alice = player(points=500)
    code = PlayerProfile.objects.get(user=alice).referral_code
    clock(TURN)

    bob = services.sign_up(username="bob", password="correct horse battery", referral_code=code)

    assert (stored(alice), stored(bob)) == ((NOVEMBER, 50), (NOVEMBER, 100))
    assert standings() == [(alice.pk, OCTOBER, 500)]
    events = PointEvent.objects.exclude(type__name="ACHIEVEMENT_UNLOCK")
    assert set(events.values_list("type__name", "month")) == {("SIGNUP", NOVEMBER), ("REFERRAL_BONUS", NOVEMBER)}


def test_a_referral_is_of_the_month_of_the_sign_up_also_where_the_referrers_has_begun(clock: Clock) -> None:
    alice = player(points=500)
    # By the clock of another host.
    PlayerProfile.objects.filter(user=alice).update(month=NOVEMBER)
    code = PlayerProfile.objects.get(user=alice).referral_code

    services.sign_up(username="bob", password="correct horse battery", referral_code=code)

    assert ReferralReward.objects.get(referrer=alice).month == OCTOBER
    assert PointEvent.objects.get(type__name="REFERRAL_BONUS").month == NOVEMBER


def test_coins_are_of_no_month(clock: Clock) -> None:
    alice = player(points=500, coins=40)
    clock(TURN)

    services.award_coins(player=alice, amount=2)

    assert PlayerProfile.objects.get(user=alice).coins == 42
    assert (stored(alice), standings()) == ((NOVEMBER, 0), [(alice.pk, OCTOBER, 500)])


def test_nobody_can_be_robbed_of_last_months_points(clock: Clock) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    clock(TURN)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert heist.failure_code == FailureCode.INSUFFICIENT_POINTS
    assert heist.victim_points_before == 0
    assert standings() == []


def test_a_heist_closes_both_and_counts_for_the_new_month(clock: Clock) -> None:
    alice, bob = player(tokens=1, points=70), player(points=1000)
    clock(TURN)
    award(bob, 200)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert (heist.status, heist.points_stolen, heist.attacker_points_before) == (HeistStatus.SUCCESS, 10, 0)
    assert (stored(alice), stored(bob)) == ((NOVEMBER, 10), (NOVEMBER, 190))
    assert standings() == [(alice.pk, OCTOBER, 70), (bob.pk, OCTOBER, 1000)]
    assert set(PointEvent.objects.filter(reference=f"heist:{heist.pk}").values_list("month", flat=True)) == {NOVEMBER}
    assert "no difference" in audit()


def test_a_host_whose_clock_is_behind_takes_no_month_back(clock: Clock) -> None:
    alice, bob, carol = player(points=500, tokens=1), player(points=1000), player(points=40)
    clock(TURN)
    award(bob, 200)

    clock(TURN - SECOND / 2)
    assert points(alice, bob, carol) == [500, 200, 40]
    assert list(GamificationEconomy().leaderboard().values_list("pk", "monthly_points")) == [
        (alice.pk, 500),
        (bob.pk, 200),
        (carol.pk, 40),
    ]
    event = award(bob, 1)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    # What bob has is of the new month, so alice's is too.
    assert event.month == NOVEMBER
    assert (heist.points_stolen, heist.attacker_points_before) == (10, 0)
    assert (stored(alice), stored(bob), stored(carol)) == ((NOVEMBER, 10), (NOVEMBER, 191), (OCTOBER, 40))
    assert standings() == [(alice.pk, OCTOBER, 500), (bob.pk, OCTOBER, 1000)]
    assert "no difference" in audit()
    clock(TURN + dt.timedelta(hours=1))
    assert (points(alice, bob, carol), "no difference" in audit()) == ([10, 191, 0], True)


@pytest.mark.parametrize(("behind", "seen"), [(SECOND, 1), (SECOND + INSTANT, 0)])
def test_the_leaderboard_merges_two_months_only_within_the_tolerance(
    clock: Clock, behind: dt.timedelta, seen: int
) -> None:
    alice = player(points=500)
    clock(TURN)
    award(alice, 5)

    clock(TURN - behind)

    assert GamificationEconomy().leaderboard().count() == seen


def test_a_heist_is_judged_again_where_the_month_turned_before_its_own_clock_was_read(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = player(tokens=1, points=70), player(points=1000)
    original = GamificationEconomy.lock
    turned: list[Any] = []

    def lock_and_turn(self: GamificationEconomy, *player_ids: Any) -> None:
        original(self, *player_ids)
        if not turned:
            turned.append(stored(bob))
            clock(TURN)

    monkeypatch.setattr(GamificationEconomy, "lock", lock_and_turn)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert turned == [(OCTOBER, 1000)]
    assert (heist.failure_code, heist.created_at) == (FailureCode.INSUFFICIENT_POINTS, TURN)
    assert (points(alice, bob), standings()) == ([0, 0], [])


def test_a_transfer_of_a_month_that_was_not_locked_moves_nothing(clock: Clock) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    heist.created_at = TURN
    heist.victim_points_before, heist.victim_points_after = heist.victim_points_after, 900
    heist.attacker_points_before, heist.attacker_points_after = heist.attacker_points_after, 100

    with pytest.raises(errors.StaleBalance), transaction.atomic():
        GamificationEconomy().transfer(heist)

    assert points(alice, bob) == [50, 950]


def close(**options: Any) -> str:
    out = StringIO()
    call_command("close_month", stdout=out, **options)
    return out.getvalue().strip()


def test_close_month_closes_everybody_once(clock: Clock) -> None:
    rich = [player(points=n) for n in (10, 20, 30, 40, 50)]
    poor = player(points=0)
    clock(TURN)
    award(rich[1], 3)
    current = player(points=7)

    assert close(batch=2) == "5 profiles closed, 4 standings written."
    assert close() == "0 profiles closed, 0 standings written."

    assert standings() == [(user.pk, OCTOBER, 10 * n) for n, user in enumerate(rich, 1)]
    assert {stored(user) for user in (*rich, poor)} == {(NOVEMBER, 0), (NOVEMBER, 3)}
    assert stored(current) == (NOVEMBER, 7)
    assert "no difference" in audit()


@pytest.mark.django_db(transaction=True)
def test_close_month_goes_on_where_the_answer_of_a_commit_is_lost(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [player(points=10 * n) for n in (1, 2, 3)]
    clock(TURN)
    with monkeypatch.context() as lost:
        lose_the_answer(lost)

        # The first batch was committed, and is not counted.
        assert months.close_month(using="default", batch=2) == (1, 1)

    assert standings() == [(user.pk, OCTOBER, 10 * n) for n, user in enumerate(users, 1)]


@pytest.mark.postgresql
def test_close_month_locks_in_one_order_and_waits_for_nobody_at_first(clock: Clock) -> None:
    player(points=10), player(points=10)
    clock(TURN)

    with CaptureQueriesContext(connection) as statements:
        assert months.close_month(using="default", batch=1).profiles == 2

    locks = [one["sql"] for one in statements if "FOR UPDATE" in one["sql"]]
    assert all("ORDER BY 1 ASC LIMIT 1 FOR UPDATE" in lock for lock in locks)
    # Both batches, the empty one, and the pass that waits.
    assert [lock.endswith("SKIP LOCKED") for lock in locks] == [True, True, True, False]


def test_close_month_keeps_each_profiles_own_month(clock: Clock) -> None:
    alice, bob = player(points=500), player(points=30)
    clock(TURN)
    award(alice, 5)
    clock(dt.datetime(2026, 12, 24, tzinfo=dt.UTC))

    assert close() == "2 profiles closed, 2 standings written."

    assert standings() == [(alice.pk, OCTOBER, 500), (alice.pk, NOVEMBER, 5), (bob.pk, OCTOBER, 30)]
    assert {stored(user) for user in (alice, bob)} == {(dt.date(2026, 12, 1), 0)}


def test_close_month_killed_in_the_middle_keeps_whole_batches_and_continues(clock: Clock) -> None:
    users = [player(points=10) for _ in range(5)]
    clock(TURN)

    class Killed(BaseException):
        pass

    def kill(closed: months.Closed) -> None:
        raise Killed

    with pytest.raises(Killed):
        months.close_month(using="default", batch=2, on_batch=kill)
    assert [stored(user)[0] for user in users] == [NOVEMBER, NOVEMBER, OCTOBER, OCTOBER, OCTOBER]
    assert len(standings()) == 2
    assert "no difference" in audit()

    assert close(batch=2) == "3 profiles closed, 3 standings written."
    assert len(standings()) == 5


def test_a_clock_that_is_set_back_while_a_batch_is_closed_takes_no_month_back(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, lock_batch = player(points=500), months._lock_stale
    clock(TURN)

    def set_back(*args: Any, **kwargs: Any) -> Any:
        locked = lock_batch(*args, **kwargs)
        clock(TURN - SECOND)
        return locked

    monkeypatch.setattr(months, "_lock_stale", set_back)

    assert close() == "1 profile closed, 1 standing written."
    assert (stored(alice), standings()) == ((NOVEMBER, 0), [(alice.pk, OCTOBER, 500)])


@pytest.mark.parametrize(("options", "batch"), [({}, 1000), ({"batch": 3}, 3)])
def test_close_month_closes_so_many_profiles_in_one_transaction(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, int], batch: int
) -> None:
    close_all = mock.Mock(return_value=months.Closed(0, 0))
    monkeypatch.setattr(months, "close_month", close_all)

    close(**options)

    close_all.assert_called_once_with(using="default", batch=batch, on_batch=mock.ANY)


def test_close_month_rejects_what_it_cannot_do(clock: Clock) -> None:
    with pytest.raises(CommandError, match="--batch must be at least 1"):
        close(batch=0)
    with pytest.raises(CommandError, match="There is no database 'nowhere'"):
        close(database="nowhere")
    assert close(database="default") == "0 profiles closed, 0 standings written."


def test_close_month_says_one_profile_and_one_standing(clock: Clock) -> None:
    player(points=10)
    clock(TURN)

    assert close() == "1 profile closed, 1 standing written."


def test_a_standing_is_never_changed(clock: Clock) -> None:
    alice = player(points=500)
    clock(TURN)
    lock(alice)
    standing = MonthlyStanding.objects.get()

    for change in (standing.save, standing.delete, MonthlyStanding.objects.all().delete):
        with pytest.raises(errors.AppendOnly):
            change()
    with pytest.raises(errors.AppendOnly):
        MonthlyStanding.objects.update(points=1)
    assert str(standing) == f"{standing.player}, October 2026: 500"


@pytest.mark.postgresql
def test_the_leaderboard_is_walked_in_the_first_minute_of_a_month_with_many_stale_profiles(
    clock: Clock, django_user_model: Any
) -> None:
    users = django_user_model.objects.bulk_create(
        django_user_model(username=f"player{n}", password="!") for n in range(3000)
    )
    PlayerProfile.objects.bulk_create(
        PlayerProfile(user=user, monthly_points=n + 1, referral_code=f"{n:012}") for n, user in enumerate(users)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE gamification_playerprofile, auth_user")
    clock(TURN)
    award(users[7], 5)

    board = GamificationEconomy().leaderboard()[:20]
    plan = board.explain(analyze=True, timing=False, costs=False)

    assert [user.pk for user in board] == [users[7].pk]
    assert "profile_leaderboard" in plan and "Seq Scan" not in plan and "Sort" not in plan
    assert "Rows Removed" not in plan
