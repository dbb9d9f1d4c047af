"""Changes of the rules and the switch: what is accepted, and that everything is judged by them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification.economy import GamificationEconomy
from heists import conf, in_force
from heists.choices import HeistStatus, RuleChangeKind
from heists.economy import get_economy
from heists.errors import (
    FeatureDisabled,
    HeistError,
    InvalidRuleChange,
    MomentOutOfRange,
    MomentTaken,
    NothingToChange,
    OutcomeUnknown,
    RulesChangedMeanwhile,
    TruceDisabled,
)
from heists.models import Heist, RuleChange, RuleSet, Shield, Truce
from heists.queries import me, preview
from heists.rules import Rules
from heists.services import buy_shield, change_rules, execute_heist, set_truce, switch_heists
from tests.conftest import HeistSettings
from tests.factories import player

from .elsewhere import only
from .lost_answers import lose_the_answer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("rule_changes")]

NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
MICRO, SECOND, MINUTE, DAY = (dt.timedelta(**{unit: 1}) for unit in ("microseconds", "seconds", "minutes", "days"))


class Clock:
    now = NOON


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


def change(
    at: dt.datetime = NOON + MINUTE, seen_change: int | None = None, by: Any = None, **values: Any
) -> RuleChange:
    rules = dataclasses.replace(conf.rules(), **values)
    return change_rules(rules=rules, takes_effect_at=at, changed_by=by, reason="a try", seen_change=seen_change)


def switch(enabled: bool) -> RuleChange:
    return switch_heists(enabled=enabled, changed_by=None, reason="a bug")


def rob(points: int = 1000) -> Heist:
    return execute_heist(attacker_id=player(tokens=5).pk, victim_id=player(points=points).pk)


def test_a_change_keeps_who_when_why_and_what() -> None:
    staff = player("ann")

    row = change(by=staff, steal_percentage=8, truce_enabled=False)

    assert row.rule_set is not None
    assert row.rule_set.rules == Rules(steal_percentage=8, truce_enabled=False)
    assert (row.kind, row.takes_effect_at, row.created_at) == (RuleChangeKind.RULES, NOON + MINUTE, NOON)
    assert (row.changed_by, row.changed_by_name, row.reason, row.enabled) == (staff, "ann", "a try", None)


def test_the_name_of_a_deleted_member_of_staff_stays() -> None:
    staff = player("ann")
    change(by=staff, steal_percentage=8)

    staff.delete()

    row = RuleChange.objects.get()
    assert (row.changed_by, row.changed_by_name) == (None, "ann")


@pytest.mark.parametrize(
    ("values", "name", "minimum", "maximum"),
    [
        ({"steal_percentage": 0}, "steal_percentage", 1, 100),
        ({"steal_percentage": 101}, "steal_percentage", 1, 100),
        ({"steal_percentage": 0.05}, "steal_percentage", 1, 100),
        ({"shield_days": 3661}, "shield_days", 1, 3660),
        ({"cooldown_hours": True}, "cooldown_hours", 0, 8784),
        ({"truce_enabled": 1}, "truce_enabled", None, None),
    ],
)
def test_a_number_out_of_its_range(values: dict[str, Any], name: str, minimum: int, maximum: int) -> None:
    with pytest.raises(InvalidRuleChange) as error:
        change(**values)

    assert error.value.details == {"code_detail": name, "minimum": minimum, "maximum": maximum}
    assert not RuleChange.objects.exists()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 256, "a\x00b"])
def test_a_reason_out_of_range(reason: str) -> None:
    with pytest.raises(InvalidRuleChange) as error:
        change_rules(rules=Rules(token_cost=2), takes_effect_at=NOON + MINUTE, changed_by=None, reason=reason)
    assert error.value.details["code_detail"] == "reason"
    with pytest.raises(InvalidRuleChange) as error:
        switch_heists(enabled=False, changed_by=None, reason=reason)
    assert error.value.details["code_detail"] == "reason"
    assert not RuleChange.objects.exists()


@pytest.mark.parametrize("ahead", [-DAY, -MICRO, 0 * DAY, MINUTE - MICRO, 366 * DAY + MICRO, 9999 * DAY])
def test_a_moment_that_is_past_or_too_near_or_too_far(ahead: dt.timedelta) -> None:
    with pytest.raises(MomentOutOfRange) as error:
        change(NOON + ahead, steal_percentage=8)

    assert error.value.details == {"earliest": NOON + MINUTE, "latest": NOON + 366 * DAY}
    assert not RuleChange.objects.exists()


def test_one_change_for_a_moment() -> None:
    first = change(by=player("ann"), steal_percentage=8)

    for percentage in (9, 8):
        with pytest.raises(MomentTaken) as error:
            change(steal_percentage=percentage)
        assert error.value.details == {"at": NOON + MINUTE, "by": "ann"}
    assert RuleChange.objects.get() == first


def test_rules_that_are_already_so_are_no_change(heist_settings: HeistSettings) -> None:
    heist_settings(STEAL_PERCENTAGE=6)
    with pytest.raises(NothingToChange):
        change(steal_percentage=6)
    change(NOON + 2 * MINUTE, steal_percentage=8)

    # Before the change, after it, and with another time zone, which does not count.
    cases: list[tuple[dt.datetime, dict[str, Any]]] = [
        (NOON + MINUTE, {"steal_percentage": 6}),
        (NOON + 3 * MINUTE, {"steal_percentage": 8}),
        (NOON + 3 * MINUTE, {"steal_percentage": 8, "time_zone": "Asia/Tokyo"}),
    ]
    for at, values in cases:
        with pytest.raises(NothingToChange):
            change(at, **values)
    # Going back is a change.
    change(NOON + 3 * MINUTE, steal_percentage=6)
    assert RuleChange.objects.count() == 2


def test_a_change_on_top_of_one_that_was_not_seen() -> None:
    first = change(by=player("ann"), seen_change=0, steal_percentage=8)

    with pytest.raises(RulesChangedMeanwhile) as error:
        change(NOON + 5 * MINUTE, seen_change=0, cooldown_hours=12)
    assert error.value.details == {"at": NOON, "by": "ann"}
    second = change(NOON + 5 * MINUTE, seen_change=first.pk, cooldown_hours=12)
    assert RuleChange.objects.count() == 2

    with pytest.raises(RulesChangedMeanwhile):
        change(NOON + 9 * MINUTE, seen_change=first.pk, cooldown_hours=6)
    # The newest is the one made last, also where another counts later.
    change(NOON + 3 * MINUTE, seen_change=second.pk, cooldown_hours=6)


def test_the_last_change_before_the_moment_says_what_is_in_force_then() -> None:
    change(NOON + MINUTE, steal_percentage=6)
    change(NOON + 2 * MINUTE, steal_percentage=7)

    with pytest.raises(NothingToChange):
        change(NOON + 3 * MINUTE, steal_percentage=7)
    assert change(NOON + 3 * MINUTE, steal_percentage=6).pk


def test_a_switch_is_no_change_of_the_rules() -> None:
    switch(False)

    assert change(seen_change=0, steal_percentage=8).pk


def test_a_change_on_top_of_one_that_is_not_there() -> None:
    with pytest.raises(RulesChangedMeanwhile) as error:
        change(seen_change=99, steal_percentage=8)

    assert error.value.details == {"at": None, "by": None}


@pytest.mark.parametrize("call", [lambda: change(steal_percentage=8), lambda: switch(False)], ids=["rules", "switch"])
def test_a_change_whose_commit_is_not_answered_is_an_unknown_outcome(call: Any) -> None:
    with pytest.MonkeyPatch.context() as lost:
        lose_the_answer(lost)
        with pytest.raises(OutcomeUnknown):
            call()

    assert RuleChange.objects.count() == 1


def test_heists_before_and_from_the_moment_on(clock: Clock) -> None:
    change(steal_percentage=8)

    clock.now = NOON + MINUTE - MICRO
    before = rob()
    clock.now = NOON + MINUTE
    after = rob()

    assert [(heist.points_stolen, heist.rule_set.steal_percentage) for heist in (before, after)] == [(50, 5), (80, 8)]
    assert after.created_at == NOON + MINUTE


def test_every_reader_uses_the_rules_in_force(clock: Clock) -> None:
    alice, bob = player(tokens=5, points=1000, coins=500), player(points=1000)
    change(steal_percentage=8, shield_cost=70, shield_days=3, truce_enabled=False)
    clock.now = NOON + MINUTE

    [target] = preview.targets(attacker_id=alice.pk, victim_ids=[bob.pk], economy=get_economy()).values()
    own = me.read(alice.pk, economy=get_economy())
    shield = buy_shield(player_id=alice.pk)

    assert target.potential_points == 80
    assert (own.rules.steal_percentage, own.potential_points, own.truce.enabled) == (8, 80, False)
    assert (shield.cost, shield.expires_at) == (70, clock.now + 3 * DAY)
    with pytest.raises(TruceDisabled):
        set_truce(player_id=alice.pk, wanted=True)


def test_switched_off_and_on_again(clock: Clock) -> None:
    alice, bob = player(tokens=5, coins=500), player(points=1000)
    kept = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")

    off = switch(False)

    assert (off.kind, off.enabled, off.takes_effect_at, off.rule_set) == (RuleChangeKind.SWITCH, False, NOON, None)
    for call in (
        lambda: execute_heist(attacker_id=alice.pk, victim_id=player(points=1000).pk),
        lambda: buy_shield(player_id=alice.pk),
        lambda: set_truce(player_id=alice.pk, wanted=True),
    ):
        with pytest.raises(FeatureDisabled):
            call()
    assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k") == kept
    [target] = preview.targets(attacker_id=alice.pk, victim_ids=[bob.pk], economy=get_economy()).values()
    assert target.code == "feature_disabled"
    assert not me.read(alice.pk, economy=get_economy()).enabled
    assert (Heist.objects.count(), Shield.objects.count(), Truce.objects.count()) == (1, 0, 0)

    clock.now += SECOND
    switch(True)

    assert rob().status == HeistStatus.SUCCESS
    assert me.read(alice.pk, economy=get_economy()).enabled


def test_a_switch_that_is_already_so() -> None:
    with pytest.raises(NothingToChange):
        switch(True)
    switch(False)
    with pytest.raises(NothingToChange):
        switch(False)

    assert RuleChange.objects.count() == 1


@pytest.mark.parametrize("behind", [0 * SECOND, MICRO, SECOND])
def test_a_switch_of_a_host_whose_clock_is_behind_comes_later(clock: Clock, behind: dt.timedelta) -> None:
    switch(False)

    clock.now = NOON - behind
    back = switch(True)

    assert back.takes_effect_at == NOON + MICRO
    assert in_force.enabled(NOON + MICRO)


def test_a_process_knows_its_own_change_at_once() -> None:
    assert in_force.enabled(NOON)

    switch(False)

    assert not in_force.enabled(NOON)


@pytest.mark.parametrize("call", [lambda: change(steal_percentage=8), lambda: switch(False)])
def test_a_change_is_logged(call: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "heists"):
        row = call()

    [record] = [record for record in caplog.records if "rule change" in record.getMessage()]
    assert vars(record)["change_id"] == row.pk
    assert vars(record)["kind"] == row.kind


@pytest.mark.parametrize("call", [lambda: change(steal_percentage=8), lambda: switch(False)])
def test_all_of_it_is_on_the_database_of_rule_changes(
    call: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(RuleChange, settings, monkeypatch)

    assert call().pk


def statements(call: Any) -> int:
    with CaptureQueriesContext(connection) as found:
        call()
    return len(found)


def test_a_heist_a_preview_and_my_state_take_no_statement_more(clock: Clock) -> None:
    alice, bob = player(tokens=5, coins=5), player(points=1000, tokens=1)
    calls: dict[str, Callable[[], Any]] = {
        "heist": lambda: execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=500).pk),
        "rejection": lambda: execute_heist(attacker_id=alice.pk, victim_id=alice.pk),
        "preview": lambda: preview.targets(attacker_id=alice.pk, victim_ids=[bob.pk], economy=get_economy()),
        "me": lambda: me.read(alice.pk, economy=get_economy()),
    }
    for call in calls.values():
        call()
    before = {name: statements(call) for name, call in calls.items()}

    change(steal_percentage=8)
    change(NOON + 2 * MINUTE, steal_percentage=9)
    clock.now = NOON + 2 * MINUTE
    for call in calls.values():
        call()

    assert {name: statements(call) for name, call in calls.items()} == before


def test_an_error_has_a_code_and_a_sentence() -> None:
    errors = (InvalidRuleChange, MomentOutOfRange, MomentTaken, NothingToChange, RulesChangedMeanwhile)

    assert len({error.code for error in errors}) == len(errors)
    assert all(str(error()) != str(HeistError()) for error in errors)


def test_the_rules_of_a_change_that_is_refused_leave_no_row() -> None:
    change(steal_percentage=8)
    count = RuleSet.objects.count()

    with pytest.raises(MomentTaken):
        change(steal_percentage=9)

    assert RuleSet.objects.count() == count


@pytest.mark.parametrize(
    ("call", "disabled"),
    [
        (lambda who: buy_shield(player_id=who.pk), None),
        (lambda who: set_truce(player_id=who.pk, wanted=True), TruceDisabled),
    ],
    ids=["shield", "truce"],
)
@pytest.mark.parametrize("meanwhile", ["rules", "switch", "by another process"])
def test_what_waits_for_the_lock_past_a_change_is_judged_by_it(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, meanwhile: str, call: Any, disabled: Any
) -> None:
    alice, lock, age = player(coins=500), GamificationEconomy.lock, [0.0]
    monkeypatch.setattr(in_force, "_clocks", lambda: (age[0], age[0]))
    in_force.forget()
    switched = RuleChange(kind=RuleChangeKind.SWITCH, enabled=False, reason="a bug", created_at=NOON)
    if meanwhile == "rules":
        change(shield_cost=70, truce_enabled=False)
    elif meanwhile == "switch":
        switched.takes_effect_at = NOON + MINUTE
        switched.save()
    else:
        assert in_force.enabled(NOON)
        switched.takes_effect_at = NOON
        switched.save()

    def wait(self: Any, *players: Any) -> None:
        lock(self, *players)
        if meanwhile == "by another process":
            age[0] = max(age[0], 10.1)
        else:
            clock.now = NOON + MINUTE

    monkeypatch.setattr(GamificationEconomy, "lock", wait)

    if meanwhile != "rules":
        disabled = FeatureDisabled
    if disabled:
        with pytest.raises(disabled):
            call(alice)
    else:
        assert call(alice).cost == 70
