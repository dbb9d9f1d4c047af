"""Heists and shields against the changes: each clause of each check, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from heists.models import RuleChange, RuleSet, Shield

from .rows import DAY, HOUR, MICRO, NOW, SECOND, found, heist, rejected, rule_set

MINUTE = 60 * SECOND


def change(rules: RuleSet | None, at: dt.datetime = NOW, made: dt.datetime | None = None) -> RuleChange:
    made = at - MINUTE if made is None else made
    return RuleChange.objects.create(kind="RULES", takes_effect_at=at, rule_set=rules, reason="a try", created_at=made)


def switch(enabled: bool, at: dt.datetime, made: dt.datetime | None = None) -> RuleChange:
    return RuleChange.objects.create(
        kind="SWITCH", takes_effect_at=at, enabled=enabled, reason="a bug", created_at=made or at
    )


@pytest.mark.parametrize(("ahead", "wrong"), [(MINUTE, False), (DAY, False), (MINUTE - MICRO, True), (-HOUR, True)])
def test_a_change_of_the_rules_is_made_a_minute_ahead(
    people: SimpleNamespace, ahead: dt.timedelta, wrong: bool
) -> None:
    row = change(rule_set(), NOW, NOW - ahead)

    reported = [f"change {row.pk}: created_at {NOW - ahead}, takes_effect_at {NOW}"]
    assert found("rule_change_notice") == (reported if wrong else [])


@pytest.mark.parametrize(("late", "wrong"), [(0 * SECOND, False), (-MICRO, False), (MICRO, True)])
def test_a_switch_is_not_for_the_past(people: SimpleNamespace, late: dt.timedelta, wrong: bool) -> None:
    row = switch(False, NOW, NOW + late)

    reported = [f"change {row.pk}: created_at {NOW + late}, takes_effect_at {NOW}"]
    assert found("rule_change_notice") == (reported if wrong else [])


@pytest.mark.parametrize("write", [heist, rejected])
@pytest.mark.parametrize(
    ("at", "percentage", "wrong"),
    [
        # Before the first change, the settings decided.
        (NOW - MICRO, 9, False),
        (NOW, 6, False),
        (NOW, 5, True),
        (NOW + HOUR - MICRO, 6, False),
        (NOW + HOUR - MICRO, 7, True),
        (NOW + HOUR, 7, False),
        (NOW + HOUR, 6, True),
        (NOW + 9 * HOUR, 7, False),
        (NOW + 9 * HOUR, 6, True),
        # A change that is still to come.
        (NOW + DAY, 8, True),
    ],
)
def test_a_heist_is_judged_by_the_rules_in_force_at_its_time(
    people: SimpleNamespace, write: Any, at: dt.datetime, percentage: int, wrong: bool
) -> None:
    sets = {number: rule_set(steal_percentage=number) for number in (5, 6, 7, 8, 9)}
    change(sets[6], NOW), change(sets[7], NOW + HOUR), change(sets[8], NOW + 2 * DAY)
    switch(True, NOW)

    row = write(people.alice, people.bob, sets[percentage], at)

    reported = [f"heist {row.pk}: rule_set_id {sets[percentage].pk}, created_at {at}"]
    assert found("heist_rules_in_force") == (reported if wrong else [])


def test_the_time_zone_of_a_change_does_not_count(people: SimpleNamespace) -> None:
    change(rule_set(steal_percentage=6), NOW)

    heist(people.alice, people.bob, rule_set(steal_percentage=6, time_zone="Asia/Tokyo"), NOW + HOUR)

    assert found("heist_rules_in_force") == []


def test_a_change_without_rules_is_for_the_constraint(people: SimpleNamespace) -> None:
    row = change(None)
    heist(people.alice, people.bob, rule_set(), NOW + HOUR)

    assert found("heist_rules_in_force") == []
    assert found("heists_rulechange_kind_known")[0].startswith(f"rulechange {row.pk}")


@pytest.mark.parametrize(
    ("at", "wrong"),
    [
        (NOW, False),
        # Every process knows it ten seconds later; the rest of the minute is for a slow commit, and for clocks.
        (NOW + MINUTE - MICRO, False),
        (NOW + MINUTE, True),
        (NOW + HOUR - MICRO, True),
        (NOW + HOUR, False),
        (NOW + 2 * HOUR + MINUTE - MICRO, False),
        (NOW + 2 * HOUR + MINUTE, True),
        (NOW + 9 * HOUR, True),
    ],
)
def test_nothing_happens_while_heists_are_switched_off(people: SimpleNamespace, at: dt.datetime, wrong: bool) -> None:
    switch(False, NOW), switch(True, NOW + HOUR), switch(False, NOW + 2 * HOUR)

    row = rejected(people.alice, people.bob, rule_set(), at)
    shield = Shield.objects.create(player=people.carol, cost=50, bought_at=at, expires_at=at + DAY)

    assert found("heist_switched_off") == ([f"heist {row.pk}: status {row.status}, created_at {at}"] if wrong else [])
    assert found("shield_switched_off") == (
        [f"shield {shield.pk}, player {people.carol.pk}: bought_at {at}"] if wrong else []
    )


def test_a_change_without_rules_hides_no_other(people: SimpleNamespace) -> None:
    change(None, NOW), change(rule_set(steal_percentage=6), NOW + HOUR), change(None, NOW + 2 * HOUR)

    row = heist(people.alice, people.bob, rule_set(), NOW + HOUR)

    assert [line.partition(":")[0] for line in found("heist_rules_in_force")] == [f"heist {row.pk}"]
