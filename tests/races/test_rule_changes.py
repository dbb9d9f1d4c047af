"""Changes of the rules against one another, and against a heist at every point, at two isolation levels."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from heists import conf, in_force
from heists.choices import RuleChangeKind
from heists.errors import FeatureDisabled, HeistError, MomentTaken, NothingToChange
from heists.models import Heist, RuleChange, RuleSet
from heists.services import buy_shield, change_rules, execute_heist, rule_changes, switch_heists, truces
from tests.concurrency import at_once
from tests.factories import player

from .staging import POINTS, SUCCESS, ConcurrentCall, Point, concurrent_at

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("isolation", "audited", "no_cooldowns", "rule_changes")]

NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
MICRO, HOUR = dt.timedelta(microseconds=1), dt.timedelta(hours=1)
# Up to these points of a heist, its time is not yet taken for the last time.
UNDECIDED = SUCCESS[: SUCCESS.index("after the lock") + 1]
CHANGE_POINTS = {
    "before the lock": Point(rule_changes, "_lock", "before"),
    "after the lock": Point(rule_changes, "_lock", "after"),
    "before the row is written": Point(rule_changes, "_insert", "before"),
    "after the row is written": Point(rule_changes, "_insert", "after"),
}


class Clock:
    now = NOON - MICRO


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


@pytest.fixture
def pair() -> dict[str, Any]:
    return {"attacker": player(tokens=5, points=1000, coins=500), "victim": player(points=1000)}


def changing(percentage: int, at: dt.datetime = NOON + HOUR) -> Callable[[], RuleChange]:
    rules = dataclasses.replace(conf.rules(), steal_percentage=percentage)
    return lambda: change_rules(rules=rules, takes_effect_at=at, changed_by=None, reason="a try")


def switching(enabled: bool) -> Callable[[], RuleChange]:
    return lambda: switch_heists(enabled=enabled, changed_by=None, reason="a bug")


def robbing(pair: dict[str, Any]) -> Callable[[], Heist]:
    return lambda: execute_heist(attacker_id=pair["attacker"].pk, victim_id=pair["victim"].pk)


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except HeistError as error:
        return error


def committed(at: dt.datetime, percentage: int) -> None:
    """Commit a change of the rules for this moment, made an hour before it."""
    rules = dataclasses.replace(conf.rules(), steal_percentage=percentage)
    row = RuleSet.objects.in_force(rules)
    RuleChange.objects.create(
        kind=RuleChangeKind.RULES, takes_effect_at=at, rule_set=row, reason="a try", created_at=at - HOUR
    )
    in_force.forget()


@pytest.mark.parametrize("point", CHANGE_POINTS)
def test_two_members_of_staff_change_the_rules_for_one_moment(point: str) -> None:
    with concurrent_at(point, changing(9), CHANGE_POINTS) as concurrent:
        result = outcome(changing(8))

    results = [result, concurrent.error or concurrent.result]
    assert {type(found) for found in results} == {RuleChange, MomentTaken}
    row = RuleChange.objects.get()
    assert row in results


@pytest.mark.parametrize("point", CHANGE_POINTS)
def test_two_members_of_staff_switch_heists_off(point: str) -> None:
    with concurrent_at(point, switching(False), CHANGE_POINTS) as concurrent:
        result = outcome(switching(False))

    assert {type(found) for found in (result, concurrent.error or concurrent.result)} == {RuleChange, NothingToChange}
    assert RuleChange.objects.count() == 1


def test_a_form_that_is_sent_ten_times_at_once_has_one_effect() -> None:
    results = at_once(*[changing(8)] * 5, *[switching(False)] * 5, errors=HeistError)

    assert [type(found) for found in results].count(RuleChange) == 2
    assert sorted(RuleChange.objects.values_list("kind", flat=True)) == ["RULES", "SWITCH"]


@pytest.mark.parametrize("point", SUCCESS)
def test_a_heist_over_the_turn_is_judged_by_the_rules_at_its_time(
    pair: dict[str, Any], clock: Clock, point: str
) -> None:
    committed(NOON, 8)

    with concurrent_at(point, lambda: setattr(clock, "now", NOON)) as concurrent:
        heist = robbing(pair)()

    assert concurrent.error is None
    undecided = point in UNDECIDED
    heist = Heist.objects.select_related("rule_set").get(pk=heist.pk)
    assert (heist.points_stolen, heist.rule_set.steal_percentage) == ((80, 8) if undecided else (50, 5))
    assert heist.created_at == (NOON if undecided else NOON - MICRO)


@pytest.mark.parametrize("point", ["before the lock", "after the lock", "before the commit"])
def test_a_heist_against_a_switch_off(pair: dict[str, Any], point: str) -> None:
    with concurrent_at(point, switching(False)) as concurrent:
        heist = outcome(robbing(pair))

    # The copy of the process is fresh: the switch counts from the next attempt on.
    assert concurrent.error is None
    assert isinstance(heist, Heist)
    assert isinstance(outcome(robbing(pair)), FeatureDisabled)


@pytest.mark.parametrize(
    "point", ["before the first look", "before the lock", "after the lock", "after the second look"]
)
def test_a_heist_that_waited_longer_than_its_copy_is_fresh_reads_again(
    pair: dict[str, Any], point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later() -> None:
        switching(False)()
        # As if the heist had waited for ten seconds from here on.
        monkeypatch.setattr(in_force, "MAX_AGE_SECONDS", 0.0)

    with concurrent_at(point, later) as concurrent:
        result = outcome(robbing(pair))

    assert concurrent.error is None
    assert isinstance(result, FeatureDisabled if point in UNDECIDED else Heist)
    assert Heist.objects.count() == (0 if point in UNDECIDED else 1)


def test_a_purchase_over_the_turn_is_at_the_new_price(pair: dict[str, Any], clock: Clock) -> None:
    rules = dataclasses.replace(conf.rules(), shield_cost=70)
    RuleChange.objects.create(
        kind="RULES",
        takes_effect_at=NOON,
        rule_set=RuleSet.objects.in_force(rules),
        reason="a try",
        created_at=NOON - HOUR,
    )

    with concurrent_at("before the lock", lambda: setattr(clock, "now", NOON), POINTS):
        shield = buy_shield(player_id=pair["attacker"].pk)

    assert (shield.cost, shield.bought_at) == (70, NOON)


def test_a_heist_that_waits_for_a_lock_over_the_turn_is_judged_again(
    pair: dict[str, Any], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(NOON, 8)
    change, heist = truces._change, ConcurrentCall(robbing(pair))

    def change_while_a_heist_waits(*args: Any) -> Any:
        if heist.ident is None:
            heist.start()
            heist.settle()
            assert heist.is_alive(), "the heist waits for the lock"
            clock.now = NOON
        return change(*args)

    monkeypatch.setattr(truces, "_change", change_while_a_heist_waits)

    truces.set_truce(player_id=pair["victim"].pk, wanted=True)
    heist.finish()

    assert heist.error is None
    row = Heist.objects.select_related("rule_set").get()
    assert (row.created_at, row.points_stolen, row.rule_set.steal_percentage) == (NOON, 80, 8)
