"""Referrals that have to be earned (docs/specification.md, "Referrals")."""

from __future__ import annotations

import datetime as dt
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification import referrals, services
from gamification.errors import BalanceTooLarge
from gamification.models import (
    MAX_BALANCE,
    MonthlyStanding,
    PlayerProfile,
    PointEvent,
    PointEventTypeMaster,
    ReferralReward,
)
from gamification.referrals import Rewarded, reward_referrals
from heists.models import HeistNotification, HeistToken, TokenGrant
from heists.services import add_tokens, execute_heist
from tests.concurrency import at_once
from tests.heists.services.elsewhere import require_named_transactions
from tests.heists.services.lost_answers import lose_the_answer
from tests.races.staging import ConcurrentCall

from .conftest import PASSWORD
from .test_services_boundaries import Lagging

pytestmark = pytest.mark.django_db

HOUR, DAY, MICRO = dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(microseconds=1)


class Clock:
    """The time that services read."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.fixture
def conditions(settings: Any) -> Any:
    """A function that sets the conditions; on the start, a day and 30 points."""

    def change(hours: int = 0, points: int = 0, cap: int | None = None) -> None:
        settings.GAMIFICATION = {
            "REFERRAL_MEMBER_HOURS": hours,
            "REFERRAL_EARNED_POINTS": points,
            "REFERRAL_MONTHLY_CAP": cap,
        }

    change(24, 30)
    return change


@pytest.fixture
def alice(clock: Clock, db: None) -> Any:
    return services.sign_up(username="alice", password=PASSWORD)


def referred_by(referrer: Any, name: str = "bob") -> Any:
    code = PlayerProfile.objects.get(user=referrer).referral_code
    return services.sign_up(username=name, password=PASSWORD, referral_code=code)


def earn(user: Any, points: int = 30, type_name: str = "CHECKIN") -> None:
    services.award_points(player=user, type_name=type_name, points=points)


def rewards(referrer: Any) -> tuple[int, int, int]:
    """Return how many bonuses and tokens the referrer has, and the points of the bonuses."""
    bonuses = PointEvent.objects.filter(user=referrer, type__name="REFERRAL_BONUS")
    balance = HeistToken.objects.filter(user=referrer).values_list("balance", flat=True).first() or 0
    return bonuses.count(), balance, sum(event.points for event in bonuses)


NOTHING, ONE = (0, 0, 0), (1, 1, 50)


def waits(user: Any) -> bool:
    return PlayerProfile.objects.get(user=user).referral_waits_since is not None


def test_a_sign_up_under_conditions_is_recorded_and_pays_nothing(alice: Any, conditions: Any, clock: Clock) -> None:
    bob = referred_by(alice)

    profile = PlayerProfile.objects.get(user=bob)
    assert (profile.referred_by, profile.referral_waits_since, profile.points) == (alice, clock.now, 100)
    assert rewards(alice) == NOTHING
    assert not HeistNotification.objects.exists() and not ReferralReward.objects.exists()
    assert not waits(alice)


@pytest.mark.parametrize("values", [{"hours": 1}, {"points": 1}, {"cap": 5}])
def test_each_condition_alone_leaves_the_payment_to_the_command(
    alice: Any, conditions: Any, values: Any, clock: Clock
) -> None:
    conditions(**values)
    bob = referred_by(alice)
    assert rewards(alice) == NOTHING

    clock.now += HOUR
    earn(bob, 1)

    assert reward_referrals() == Rewarded(1, 0)
    assert rewards(alice) == ONE


def test_thirty_sign_ups_with_ones_own_code_pay_nothing(alice: Any, conditions: Any, clock: Clock) -> None:
    for number in range(30):
        referred_by(alice, f"alice{number}")
    clock.now += 365 * DAY

    assert reward_referrals() == Rewarded(0, 0)
    assert rewards(alice) == NOTHING
    assert PlayerProfile.objects.get(user=alice).points == 100


def test_an_earned_referral_is_paid_once(alice: Any, conditions: Any, clock: Clock) -> None:
    bob = referred_by(alice)
    earn(bob)
    clock.now += DAY

    assert reward_referrals() == Rewarded(1, 0)
    assert reward_referrals() == Rewarded(0, 0)

    assert rewards(alice) == ONE and not waits(bob)
    (event,) = PointEvent.objects.filter(user=alice, type__name="REFERRAL_BONUS")
    grant, reward = TokenGrant.objects.get(), ReferralReward.objects.get()
    assert event.reference == grant.source == reward.reference == f"referral:{bob.pk}"
    assert (reward.referrer, reward.month) == (alice, dt.date(2026, 5, 1))
    (note,) = HeistNotification.objects.filter(user=alice)
    assert (note.type, (note.metadata or {})["referred_name"]) == ("TOKEN_EARNED", "bob")


@pytest.mark.parametrize("past", [-MICRO, dt.timedelta()])
@pytest.mark.parametrize("points", [29, 30])
def test_the_boundaries_of_hours_and_points(
    alice: Any, conditions: Any, clock: Clock, past: dt.timedelta, points: int
) -> None:
    bob = referred_by(alice)
    earn(bob, points)
    clock.now += DAY + past

    assert reward_referrals().paid == (past == dt.timedelta() and points == 30)


def test_what_signing_up_referring_and_robbing_bring_is_not_earned(alice: Any, conditions: Any, clock: Clock) -> None:
    bob, rich = referred_by(alice), services.sign_up(username="rich", password=PASSWORD)
    earn(rich, 1000)
    services.award_points(player=bob, type_name="REFERRAL_BONUS", points=50)
    HeistToken.objects.create(user=bob, balance=1, total_earned=1)
    assert execute_heist(attacker_id=bob.pk, victim_id=rich.pk).points_stolen == 55
    earn(bob, 29)
    clock.now += DAY
    assert reward_referrals() == Rewarded(0, 0)

    # What is taken back was not earned.
    earn(bob, 6)
    earn(bob, -6, "LOYALTY_BONUS")
    assert reward_referrals() == Rewarded(0, 0)
    earn(bob, 1, "LOYALTY_BONUS")
    assert reward_referrals() == Rewarded(1, 0)


def test_what_heists_took_does_not_count_against_the_player(alice: Any, conditions: Any, clock: Clock) -> None:
    bob, thief = referred_by(alice), services.sign_up(username="thief", password=PASSWORD)
    earn(bob, 30)
    HeistToken.objects.create(user=thief, balance=1, total_earned=1)
    assert execute_heist(attacker_id=thief.pk, victim_id=bob.pk).points_stolen == 6
    clock.now += DAY

    assert reward_referrals() == Rewarded(1, 0)


@pytest.mark.parametrize("side", ["referrer", "referred"])
def test_both_accounts_have_to_be_active(alice: Any, conditions: Any, clock: Clock, side: str) -> None:
    bob = referred_by(alice)
    earn(bob)
    clock.now += DAY
    user = alice if side == "referrer" else bob
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)

    assert reward_referrals() == Rewarded(0, 0)
    assert rewards(alice) == NOTHING and waits(bob)

    get_user_model().objects.filter(pk=user.pk).update(is_active=True)
    assert reward_referrals() == Rewarded(1, 0)


def test_the_cap_counts_one_months_sign_ups_of_one_referrer(alice: Any, conditions: Any, clock: Clock) -> None:
    conditions(hours=24, cap=2)
    carol = services.sign_up(username="carol", password=PASSWORD)
    clock.now = dt.datetime(2026, 5, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
    may = [referred_by(alice, f"may{number}") for number in range(4)]
    others = [referred_by(carol, f"other{number}") for number in range(2)]
    clock.now += MICRO
    june = referred_by(alice, "june")
    clock.now += DAY

    assert reward_referrals() == Rewarded(5, 2)

    paid = set(ReferralReward.objects.values_list("reference", flat=True))
    assert paid == {f"referral:{user.pk}" for user in [*may[:2], *others, june]}
    assert rewards(alice) == (3, 3, 150)
    # The rest are never paid, whatever the cap becomes.
    conditions(cap=100)
    assert reward_referrals() == Rewarded(0, 0)
    assert not any(waits(user) for user in may)


def test_the_month_of_a_sign_up_is_of_the_sites_time_zone(
    alice: Any, conditions: Any, clock: Clock, settings: Any
) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    conditions(cap=1)
    clock.now = dt.datetime(2026, 5, 31, 11, 59, tzinfo=dt.UTC)
    referred_by(alice, "may")
    clock.now += dt.timedelta(minutes=1)
    referred_by(alice, "june"), referred_by(alice, "june2")

    assert reward_referrals() == Rewarded(2, 1)
    months = list(ReferralReward.objects.order_by("pk").values_list("month", flat=True))
    assert months == [dt.date(2026, 5, 1), dt.date(2026, 6, 1)]


def test_a_reward_belongs_to_the_month_in_which_it_is_paid(alice: Any, conditions: Any, clock: Clock) -> None:
    bob = referred_by(alice)
    earn(bob)
    clock.now = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)

    assert reward_referrals() == Rewarded(1, 0)

    profile = PlayerProfile.objects.get(user=alice)
    assert (profile.month, profile.monthly_points, profile.points) == (dt.date(2026, 6, 1), 50, 150)
    assert MonthlyStanding.objects.get(player=alice).points == 100
    assert PointEvent.objects.get(user=alice, type__name="REFERRAL_BONUS").month == dt.date(2026, 6, 1)
    # The sign-up was in May.
    assert ReferralReward.objects.get().month == dt.date(2026, 5, 1)


def test_a_cap_of_zero_pays_nothing(alice: Any, conditions: Any) -> None:
    conditions(cap=0)
    referred_by(alice)

    assert reward_referrals() == Rewarded(0, 1)


def test_deleting_those_who_were_paid_for_makes_no_room_under_the_cap(alice: Any, conditions: Any) -> None:
    conditions(cap=1)
    referred_by(alice, "first")
    assert reward_referrals() == Rewarded(1, 0)
    get_user_model().objects.get(username="first").delete()
    referred_by(alice, "second")

    assert reward_referrals() == Rewarded(0, 1)
    assert rewards(alice) == ONE


@pytest.mark.parametrize("side", ["referrer", "referred"])
def test_a_deleted_account_is_paid_nothing_and_for(alice: Any, conditions: Any, clock: Clock, side: str) -> None:
    bob = referred_by(alice)
    earn(bob)
    clock.now += DAY
    (alice if side == "referrer" else bob).delete()

    assert reward_referrals() == Rewarded(0, 0)
    assert not ReferralReward.objects.exists() and not TokenGrant.objects.exists()


def test_conditions_that_are_switched_on_pay_nothing_twice(alice: Any, conditions: Any, clock: Clock) -> None:
    conditions()
    paid = referred_by(alice, "paid")
    assert rewards(alice) == ONE
    get_user_model().objects.filter(pk=alice.pk).update(is_active=False)
    nothing = referred_by(alice, "nothing")
    get_user_model().objects.filter(pk=alice.pk).update(is_active=True)

    conditions(cap=1)
    late = referred_by(alice, "late")
    clock.now += DAY

    # The one that was paid at once counts for its month; the one that was paid nothing then stays so.
    assert not waits(paid) and not waits(nothing) and waits(late)
    assert reward_referrals() == Rewarded(0, 1)
    assert rewards(alice) == ONE


def test_conditions_that_are_switched_off_leave_the_waiting_to_the_command(
    alice: Any, conditions: Any, clock: Clock
) -> None:
    referred_by(alice, "waiting")
    conditions()
    referred_by(alice, "immediate")
    assert rewards(alice) == ONE

    assert reward_referrals() == Rewarded(1, 0)
    assert rewards(alice) == (2, 2, 100)


def test_a_referral_that_waits_again_is_paid_no_second_time(alice: Any, conditions: Any, clock: Clock) -> None:
    conditions(cap=5)
    bob = referred_by(alice)
    assert reward_referrals() == Rewarded(1, 0)

    for _ in range(2):
        PlayerProfile.objects.filter(user=bob).update(referral_waits_since=clock.now)
        assert reward_referrals() == Rewarded(0, 0)
        # Not even where the reward is missing: the point event has its reference.
        ReferralReward.objects.all()._raw_delete("default")

    assert rewards(alice) == ONE and not waits(bob)


def test_a_site_without_referral_tokens_and_an_inactive_type_decide_once(
    alice: Any, conditions: Any, heist_settings: Any
) -> None:
    conditions(cap=5)
    heist_settings(TOKENS_PER_REFERRAL=0)
    PointEventTypeMaster.objects.filter(name="REFERRAL_BONUS").update(active=False)
    referred_by(alice)

    assert reward_referrals() == Rewarded(1, 0)
    heist_settings(TOKENS_PER_REFERRAL=1)
    assert reward_referrals() == Rewarded(0, 0)
    assert rewards(alice) == NOTHING


def test_a_full_balance_stops_no_other_referral(alice: Any, conditions: Any, caplog: pytest.LogCaptureFixture) -> None:
    conditions(cap=5)
    carol = services.sign_up(username="carol", password=PASSWORD)
    bob = referred_by(alice)
    referred_by(carol, "dora")
    PlayerProfile.objects.filter(user=alice).update(points=MAX_BALANCE)

    assert reward_referrals() == Rewarded(1, 0)
    assert (rewards(alice), rewards(carol)) == (NOTHING, ONE)
    assert waits(bob) and not ReferralReward.objects.filter(referrer=alice).exists()
    assert [(line.levelname, line.args) for line in caplog.records] == [("WARNING", (bob.pk,))]


def test_an_interrupted_command_leaves_whole_referrals(
    alice: Any, conditions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions(cap=5)
    users = [referred_by(alice, f"bob{number}") for number in range(3)]
    calls = 0

    def killed(**grant: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return add_tokens(**grant)

    monkeypatch.setattr(services, "add_tokens", killed)
    with pytest.raises(KeyboardInterrupt):
        reward_referrals()

    assert rewards(alice) == ONE
    assert [waits(user) for user in users] == [False, True, True]
    assert reward_referrals() == Rewarded(2, 0)
    assert rewards(alice) == (3, 3, 150)


def test_a_player_without_any_event_has_earned_nothing(alice: Any, conditions: Any) -> None:
    conditions(points=1)
    bob = referred_by(alice)

    assert reward_referrals() == Rewarded(0, 0)
    earn(bob, 1)
    assert reward_referrals() == Rewarded(1, 0)


def test_every_statement_goes_to_the_database_that_is_written(
    alice: Any, conditions: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions(points=1, cap=5)
    earn(referred_by(alice), 1)
    settings.DATABASE_ROUTERS = [Lagging()]
    require_named_transactions(monkeypatch)

    assert reward_referrals() == Rewarded(1, 0)


@pytest.mark.django_db(transaction=True)
def test_a_payment_whose_commit_is_not_answered_is_found_and_not_paid_again(
    alice: Any, conditions: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions(cap=5)
    referred_by(alice)
    with monkeypatch.context() as lost:
        lose_the_answer(lost)

        # Committed, and not counted.
        assert reward_referrals() == Rewarded(0, 0)
    assert rewards(alice) == ONE


@pytest.mark.postgresql
def test_both_profiles_are_locked_in_one_order(alice: Any, conditions: Any) -> None:
    """Heists and awards lock in this order too; another one would deadlock with them."""
    conditions(cap=5)
    bob = referred_by(alice)

    with CaptureQueriesContext(connection) as statements:
        assert reward_referrals() == Rewarded(1, 0)

    lock, *_others = [one["sql"] for one in statements if "FOR UPDATE" in one["sql"]]
    assert str(alice.pk) in lock and str(bob.pk) in lock
    assert lock.endswith("ORDER BY 1 ASC FOR UPDATE")
    assert lock.startswith('SELECT "gamification_playerprofile"."user_id"')


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_batches_reach_every_referral_also_past_those_that_wait_on(
    alice: Any, conditions: Any, clock: Clock, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions(cap=100)
    # Two at each moment, so that a batch ends between equal times.
    for number in range(6):
        clock.now += HOUR * (number % 2)
        referred_by(alice, f"bob{number}")
    pay = services.pay_referral
    done: list[Rewarded] = []

    def pay_some(referrer: Any, referred: Any, month: Any) -> None:
        if get_user_model().objects.get(pk=referred).username in ("bob0", "bob3"):
            raise BalanceTooLarge
        pay(referrer, referred, month)

    monkeypatch.setattr(services, "pay_referral", pay_some)

    assert reward_referrals(batch=batch, on_batch=done.append) == Rewarded(4, 0)
    assert sum(one.paid for one in done) == 4 and len(done) == -(-6 // batch)


def test_the_command_says_what_it_did(alice: Any, conditions: Any) -> None:
    conditions(cap=1)
    for number in range(3):
        referred_by(alice, f"bob{number}")
    out = StringIO()

    call_command("reward_referrals", stdout=out)
    call_command("reward_referrals", "--batch", "1", stdout=out)

    assert out.getvalue().splitlines() == [
        "1 referral rewarded, 2 never paid: their month's limit is reached.",
        "0 referrals rewarded, 0 never paid: their month's limit is reached.",
    ]


@pytest.mark.parametrize(("options", "batch"), [({}, 500), ({"batch": 3}, 3)])
def test_the_command_reads_so_many_referrals_at_once(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, int], batch: int
) -> None:
    reward = mock.Mock(return_value=Rewarded())
    monkeypatch.setattr(referrals, "reward_referrals", reward)

    call_command("reward_referrals", stdout=StringIO(), **options)

    reward.assert_called_once_with(batch=batch)


def test_wrong_options_and_settings_are_errors(settings: Any, db: None) -> None:
    with pytest.raises(CommandError, match="--batch must be at least 1"):
        call_command("reward_referrals", batch=0)
    settings.GAMIFICATION = {"REFERRAL_MONTHLY_CAP": "ten"}
    with pytest.raises(CommandError, match="REFERRAL_MONTHLY_CAP"):
        call_command("reward_referrals")


class TestAtOnce:
    """On PostgreSQL: SQLite has one writer at a time."""

    pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

    def test_two_commands_pay_each_referral_once(self, alice: Any, conditions: Any) -> None:
        conditions(cap=7)
        for number in range(10):
            referred_by(alice, f"bob{number}")

        done = at_once(reward_referrals, reward_referrals)

        assert (sum(one.paid for one in done), sum(one.never_paid for one in done)) == (7, 3)
        assert rewards(alice) == (7, 7, 350)

    @pytest.mark.parametrize("step", ["pay_referral", "add_tokens"])
    def test_a_second_command_waits_for_the_first_and_finds_it_paid(
        self, alice: Any, conditions: Any, step: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        conditions(cap=5)
        referred_by(alice)
        original, second = getattr(services, step), ConcurrentCall(reward_referrals)

        def staged(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(services, step, original)
            second.start()
            second.settle()
            assert second.is_alive(), "the second command does not wait"
            return original(*args, **kwargs)

        monkeypatch.setattr(services, step, staged)

        assert reward_referrals() == Rewarded(1, 0)
        second.finish()
        assert (second.error, second.result) == (None, Rewarded(0, 0))
        assert rewards(alice) == ONE

    @pytest.mark.parametrize("change", ["deactivated", "deleted"])
    def test_a_referral_that_changes_before_the_lock_is_not_paid(
        self, alice: Any, conditions: Any, change: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        conditions(cap=5)
        bob = referred_by(alice)
        decide = referrals._decide

        def staged(*args: Any) -> Any:
            rows = get_user_model().objects.filter(pk=bob.pk)
            call = ConcurrentCall((lambda: rows.update(is_active=False)) if change == "deactivated" else rows.delete)
            call.start()
            call.finish()
            assert call.error is None
            return decide(*args)

        monkeypatch.setattr(referrals, "_decide", staged)

        assert reward_referrals() == Rewarded(0, 0)
        assert rewards(alice) == NOTHING
        assert PlayerProfile.objects.filter(user=bob).exists() is (change == "deactivated")
