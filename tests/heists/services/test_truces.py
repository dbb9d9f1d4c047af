"""Wishes for a truce, and what they do to heists (docs/specification.md, "Truces")."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile
from heists.choices import FailureCode
from heists.db.retry import StaleRead
from heists.errors import FeatureDisabled, InactiveAccount, TruceDisabled, UnknownPlayer
from heists.models import RuleSet, Truce
from heists.services import execute_heist, set_truce
from tests.conftest import HeistSettings
from tests.factories import player
from tests.heists.queries.test_facts_joins import Clock, check, clock_at, rob

from .elsewhere import only
from .lost_answers import lose_the_answer

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
INSTANT = dt.timedelta(microseconds=1)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]  # mypy: it may be the time zone


MAY, JUNE, JULY, AUGUST = (utc(2026, month, 1) for month in (5, 6, 7, 8))


@pytest.fixture
def clock() -> Any:
    with clock_at(utc(2026, 5, 20, 12)) as clock:
        yield clock


def enrich(clock: Clock, *users: Any) -> None:
    """Give players points of the month of the clock: those of an earlier one are no longer theirs."""
    PlayerProfile.objects.filter(user__in=users).update(month=clock.now.date().replace(day=1), monthly_points=1000)


def spans(user: Any) -> list[tuple[dt.datetime, dt.datetime | None]]:
    return list(Truce.objects.filter(player=user).order_by("starts_at").values_list("starts_at", "ends_at"))


def test_a_truce_begins_with_the_next_month_and_lasts_until_it_is_no_longer_wanted(clock: Clock) -> None:
    alice = player()

    truce = set_truce(player_id=alice.pk, wanted=True)

    assert truce and (truce.player_id, truce.starts_at, truce.ends_at) == (alice.pk, JUNE, None)
    assert (truce.wanted, truce.created_at) == (True, clock.now)
    clock.now = JULY + 3 * HOUR
    ended = set_truce(player_id=alice.pk, wanted=False)
    assert ended and (ended.pk, ended.wanted) == (truce.pk, False)
    assert spans(alice) == [(JUNE, AUGUST)]


def test_a_truce_that_is_withdrawn_before_it_begins_never_begins(clock: Clock) -> None:
    alice, bob = player(points=1000), player(tokens=1)
    set_truce(player_id=alice.pk, wanted=True)

    set_truce(player_id=alice.pk, wanted=False)

    assert spans(alice) == [(JUNE, JUNE)]
    clock.now = JUNE
    enrich(clock, alice)
    assert rob(bob, alice, clock.now).failure_code is None


@pytest.mark.parametrize("at", [utc(2026, 5, 31, 23), JUNE, JULY - INSTANT])
def test_a_truce_whose_end_lies_ahead_is_continued(clock: Clock, at: dt.datetime) -> None:
    alice = player()
    truce = set_truce(player_id=alice.pk, wanted=True)
    clock.now = at
    set_truce(player_id=alice.pk, wanted=False)

    again = set_truce(player_id=alice.pk, wanted=True)

    assert again == truce
    assert spans(alice) == [(JUNE, None)]


def test_after_its_end_another_truce_begins_with_the_next_month(clock: Clock) -> None:
    alice = player()
    set_truce(player_id=alice.pk, wanted=True)
    clock.now = JUNE
    set_truce(player_id=alice.pk, wanted=False)
    clock.now = JULY

    set_truce(player_id=alice.pk, wanted=True)

    assert spans(alice) == [(JUNE, JULY), (AUGUST, None)]


def test_asking_for_what_is_already_so_changes_nothing(clock: Clock) -> None:
    alice, bob = player(), player()
    assert set_truce(player_id=bob.pk, wanted=False) is None
    first = set_truce(player_id=alice.pk, wanted=True)
    clock.now += HOUR

    with CaptureQueriesContext(connection) as statements:
        assert set_truce(player_id=alice.pk, wanted=True) == first

    assert not [s["sql"] for s in statements if s["sql"].startswith(("INSERT", "UPDATE"))]
    set_truce(player_id=alice.pk, wanted=False)
    clock.now += HOUR
    set_truce(player_id=alice.pk, wanted=False)
    # After the end, no longer wanting it is still so.
    clock.now = JULY
    assert set_truce(player_id=alice.pk, wanted=False) is None
    assert list(Truce.objects.values_list("player", "starts_at", "ends_at")) == [(alice.pk, JUNE, JUNE)]


def test_a_wish_is_tried_again_where_another_transaction_is_in_the_way(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, lock, failures = player(), GamificationEconomy.lock, [StaleRead, StaleRead]

    def fail_first(self: Any, *players: Any) -> None:
        if failures:
            raise failures.pop()
        lock(self, *players)

    monkeypatch.setattr(GamificationEconomy, "lock", fail_first)

    assert set_truce(player_id=alice.pk, wanted=True)
    assert (failures, spans(alice)) == ([], [(JUNE, None)])


@pytest.mark.django_db(transaction=True)
def test_a_wish_whose_commit_is_not_answered_is_repeated(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player()
    lose_the_answer(monkeypatch)

    assert set_truce(player_id=alice.pk, wanted=True) == Truce.objects.get()
    assert spans(alice) == [(JUNE, None)]


def test_a_wish_concerns_its_player_alone(clock: Clock) -> None:
    alice, bob = player(points=1000), player(points=1000)
    set_truce(player_id=alice.pk, wanted=True)
    set_truce(player_id=bob.pk, wanted=True)

    set_truce(player_id=str(bob.pk), wanted=False)

    assert (spans(alice), spans(bob)) == ([(JUNE, None)], [(JUNE, JUNE)])


def test_both_sides_of_a_truce_at_its_first_and_last_moment(clock: Clock, heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, MONTHLY_LOSS_PERCENT=100)
    alice, bob = player(points=1000, tokens=9), player(points=1000, tokens=9)
    set_truce(player_id=alice.pk, wanted=True)

    for moment, ends, inside in (
        (JUNE - INSTANT, None, False),
        (JUNE, None, True),
        (JULY - INSTANT, JULY, True),
        (JULY, None, False),
    ):
        clock.now = moment
        enrich(clock, alice, bob)
        if ends:
            set_truce(player_id=alice.pk, wanted=False)
        for attacker, victim, code in ((alice, bob, FailureCode.OWN_TRUCE), (bob, alice, FailureCode.TRUCE)):
            check(attacker, victim, moment)
            heist = rob(attacker, victim, moment)
            assert heist.failure_code == (code if inside else None)
            assert heist.retry_at == ends
            if inside:
                assert heist.status == code.status
                assert heist.failure_reason.startswith(
                    "You have a truce this month." if attacker == alice else "This player has a truce this month."
                )


@pytest.mark.parametrize(
    ("zone", "turn"),
    [
        # Midnight comes twice, and the second half hour after it, too.
        ("America/Havana", utc(2026, 11, 1, 4)),
        # The clock is set back out of the month that has begun.
        ("America/St_Johns", utc(2009, 11, 1, 2, 30)),
        # No midnight: from 23:59:59 to 01:00.
        ("Asia/Beirut", utc(1994, 4, 30, 21)),
        ("America/Asuncion", utc(2006, 10, 1, 4)),
        ("America/Asuncion", utc(2017, 10, 1, 4)),
        ("Europe/Berlin", utc(2026, 5, 31, 22)),
        ("Pacific/Kiritimati", utc(2026, 12, 31, 10)),
    ],
)
def test_a_truce_turns_with_the_month_of_the_sites_zone(zone: str, turn: dt.datetime) -> None:
    with override_settings(TIME_ZONE=zone), clock_at(turn - INSTANT) as clock:
        alice = player()
        assert clock.now.astimezone(ZoneInfo(zone)).month != turn.astimezone(ZoneInfo(zone)).month

        truce = set_truce(player_id=alice.pk, wanted=True)

        assert truce and truce.starts_at == turn
        for later in (0 * HOUR, HOUR - INSTANT, HOUR, 2 * HOUR):
            clock.now = turn + later
            with override_settings(HEISTS={**_heists(), "TOKEN_COST": 0}):
                assert rob(alice, player(points=1000), clock.now).failure_code == "own_truce"


def _heists() -> dict[str, Any]:
    from django.conf import settings

    return dict(settings.HEISTS)


def test_the_zone_of_a_wish_is_known_to_the_audit(clock: Clock, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"

    set_truce(player_id=player().pk, wanted=True)

    assert RuleSet.objects.filter(time_zone="Asia/Tokyo").exists()


def test_a_truce_does_not_end_before_it_starts_where_the_clock_is_behind(clock: Clock) -> None:
    alice = player()
    clock.now = JUNE
    set_truce(player_id=alice.pk, wanted=True)
    clock.now = JUNE - INSTANT

    set_truce(player_id=alice.pk, wanted=False)
    assert spans(alice) == [(JULY, JULY)]
    set_truce(player_id=alice.pk, wanted=True)
    assert spans(alice) == [(JULY, None)]


@pytest.mark.parametrize("zone", ["America/Havana", "Asia/Tokyo"])
def test_a_truce_that_is_withdrawn_after_the_zone_changed_never_begins(clock: Clock, settings: Any, zone: str) -> None:
    alice = player()
    set_truce(player_id=alice.pk, wanted=True)
    settings.TIME_ZONE = zone

    set_truce(player_id=alice.pk, wanted=False)

    assert spans(alice) == [(JUNE, JUNE)]


def test_of_two_truces_that_are_not_over_the_later_is_changed(clock: Clock) -> None:
    alice = player()
    Truce.objects.create(player=alice, starts_at=MAY, ends_at=JUNE)
    Truce.objects.create(player=alice, starts_at=JULY)

    set_truce(player_id=alice.pk, wanted=False)

    assert spans(alice) == [(MAY, JUNE), (JULY, JULY)]


def test_the_clock_is_read_under_the_lock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, locked = GamificationEconomy.lock, []

    def waits_over_the_months_end(self: Any, *ids: Any) -> None:
        lock(self, *ids)
        locked.append(ids)
        clock.now = JUNE

    monkeypatch.setattr(GamificationEconomy, "lock", waits_over_the_months_end)
    alice = player()

    set_truce(player_id=alice.pk, wanted=True)

    assert (locked, spans(alice)) == ([(alice.pk,)], [(JULY, None)])


def test_a_heist_that_waited_over_the_months_end_is_judged_by_the_month_it_ends_in(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    set_truce(player_id=bob.pk, wanted=True)
    lock = GamificationEconomy.lock

    def waits_over_the_months_end(self: Any, *ids: Any) -> None:
        lock(self, *ids)
        clock.now = JUNE

    monkeypatch.setattr(GamificationEconomy, "lock", waits_over_the_months_end)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert (heist.failure_code, heist.created_at) == ("truce", JUNE)


def test_nobody_can_wish_for_an_account_that_is_missing_or_inactive(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, lock = player(is_active=False), GamificationEconomy.lock
    locked: list[Any] = []

    def noted_lock(self: Any, *ids: Any) -> None:
        locked.extend(ids)
        lock(self, *ids)

    monkeypatch.setattr(GamificationEconomy, "lock", noted_lock)
    for wanted in (True, False):
        with pytest.raises(InactiveAccount):
            set_truce(player_id=alice.pk, wanted=wanted)
        with pytest.raises(UnknownPlayer):
            set_truce(player_id=alice.pk + 999, wanted=wanted)

    assert not Truce.objects.exists()
    # The host's lock may create a row for whatever key it gets.
    assert set(locked) == {alice.pk}


def test_an_account_that_is_deleted_or_deactivated_while_it_waits_gets_no_truce(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob, users = player(), player(), get_user_model().objects
    calls: list[Any] = [
        lambda: users.filter(pk=bob.pk).update(is_active=False),
        lambda: users.filter(pk=alice.pk).delete(),
    ]
    monkeypatch.setattr(GamificationEconomy, "lock", lambda self, *ids: calls.pop()())

    with pytest.raises(UnknownPlayer):
        set_truce(player_id=alice.pk, wanted=True)
    with pytest.raises(InactiveAccount):
        set_truce(player_id=bob.pk, wanted=True)

    assert not Truce.objects.exists()


@pytest.mark.parametrize(
    ("change", "error"), [({"ENABLED": False}, FeatureDisabled), ({"TRUCE_ENABLED": False}, TruceDisabled)]
)
def test_a_wish_while_heists_or_truces_are_off_changes_nothing(
    clock: Clock, heist_settings: HeistSettings, change: dict[str, Any], error: type[Exception]
) -> None:
    alice, bob = player(), player()
    set_truce(player_id=alice.pk, wanted=True)
    heist_settings(**change)

    for user, wanted in ((alice, False), (alice, True), (bob, True)):
        with pytest.raises(error):
            set_truce(player_id=user.pk, wanted=wanted)

    assert (spans(alice), spans(bob)) == ([(JUNE, None)], [])


def test_truces_that_are_switched_off_do_not_count_and_return_with_the_switch(
    clock: Clock, heist_settings: HeistSettings
) -> None:
    alice, bob = player(tokens=2), player(points=1000)
    set_truce(player_id=bob.pk, wanted=True)
    clock.now = JUNE
    enrich(clock, bob)
    heist_settings(TRUCE_ENABLED=False)
    check(alice, bob, clock.now)
    assert rob(alice, bob, clock.now).failure_code is None

    heist_settings(TRUCE_ENABLED=True, COOLDOWN_HOURS=0)

    assert rob(alice, bob, clock.now).failure_code == "truce"


class WishesTest(TestCase):
    """A player wants a truce or no longer does, at any time; the months are counted on the calendar, by the wishes."""

    @hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 12, 24 * 10, 24 * 29, 24 * 45])), max_size=9),
        st.sampled_from(["UTC", "Europe/Berlin", "America/Havana", "Pacific/Kiritimati"]),
        st.sampled_from([-1, 0, 1]),
    )
    def test_a_month_is_a_truce_where_the_last_wish_before_it_was_for_one(
        self, steps: list[tuple[bool, int]], zone: str, instants: int
    ) -> None:
        def month(moment: dt.datetime) -> tuple[int, int]:
            local = moment.astimezone(ZoneInfo(zone))
            return local.year, local.month

        midnight = dt.datetime(2026, 11, 1, tzinfo=ZoneInfo(zone))
        with override_settings(TIME_ZONE=zone), clock_at(midnight + instants * INSTANT) as clock:
            alice, bob = player(), player(points=1000)
            wishes: list[tuple[dt.datetime, bool]] = []
            for wanted, hours in steps:
                set_truce(player_id=alice.pk, wanted=wanted)
                wishes.append((clock.now, wanted))
                clock.now += hours * HOUR
                before = [wish for at, wish in wishes if month(at) < month(clock.now)]
                heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
                truce = bool(before) and before[-1]
                assert heist.failure_code == ("own_truce" if truce else "insufficient_tokens")
                if truce and wanted:
                    assert heist.retry_at is None
                elif truce:
                    assert heist.retry_at and month(heist.retry_at - INSTANT) == month(clock.now)
                    assert month(heist.retry_at) > month(clock.now)
            assert Truce.objects.not_over(clock.now).count() <= 1


def test_every_statement_goes_to_the_database_of_the_truces(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = player()
    only(Truce, settings, monkeypatch)

    for wanted in (True, False):
        assert set_truce(player_id=alice.pk, wanted=wanted) is not None


def test_a_wish_changes_the_end_alone(clock: Clock) -> None:
    alice = player()
    set_truce(player_id=alice.pk, wanted=True)

    with CaptureQueriesContext(connection) as statements:
        set_truce(player_id=alice.pk, wanted=False)

    [change] = [one["sql"] for one in statements if one["sql"].startswith("UPDATE")]
    assert change.startswith('UPDATE "heists_truce" SET "ends_at" = ')
    assert "starts_at" not in change and "player_id" not in change
