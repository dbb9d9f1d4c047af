"""Which rules and which switch are in force: exact at the turn, from a copy that is read once in ten seconds."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists import conf, in_force
from heists.choices import RuleChangeKind
from heists.models import Heist, RuleChange, RuleSet
from heists.rules import Rules
from tests.concurrency import at_once
from tests.conftest import HeistSettings
from tests.heists.services.elsewhere import only

pytestmark = pytest.mark.usefixtures("rule_changes")

NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
MICRO, HOUR = dt.timedelta(microseconds=1), dt.timedelta(hours=1)


class Clocks:
    """The clock of the application, and both by which a copy's age is measured, in seconds."""

    def __init__(self) -> None:
        self.now = NOON
        self.monotonic = self.time_of_day = 0.0

    def pass_(self, seconds: float) -> None:
        self.monotonic += seconds
        self.time_of_day += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    clocks = Clocks()
    monkeypatch.setattr(timezone, "now", lambda: clocks.now)
    monkeypatch.setattr(
        in_force,
        "time",
        SimpleNamespace(monotonic=lambda: clocks.monotonic, time=lambda: clocks.time_of_day),
    )
    yield clocks


def change(at: dt.datetime, **values: Any) -> RuleChange:
    rule_set = RuleSet.objects.get_or_create(**dataclasses.asdict(Rules(**values)))[0]
    return RuleChange.objects.create(
        kind=RuleChangeKind.RULES, takes_effect_at=at, rule_set=rule_set, reason="test", created_at=at - HOUR
    )


def switch(at: dt.datetime, enabled: bool) -> RuleChange:
    return RuleChange.objects.create(
        kind=RuleChangeKind.SWITCH, takes_effect_at=at, enabled=enabled, reason="test", created_at=at
    )


def reads() -> list[int]:
    """Return the percentage now, and how many statements it took to find out."""
    with CaptureQueriesContext(connection) as statements:
        percentage = in_force.rules(timezone.now()).steal_percentage
    return [percentage, len(statements)]


@pytest.mark.django_db
def test_the_settings_decide_until_the_first_change_and_then_the_changes_do(
    clocks: Clocks, heist_settings: HeistSettings
) -> None:
    heist_settings(STEAL_PERCENTAGE=6)
    change(NOON + HOUR, steal_percentage=8)
    change(NOON + 2 * HOUR, steal_percentage=9)
    moments = (NOON + HOUR - MICRO, NOON + HOUR, NOON + 2 * HOUR - MICRO, NOON + 2 * HOUR)

    assert [in_force.rules(moment).steal_percentage for moment in moments] == [6, 8, 8, 9]

    heist_settings(STEAL_PERCENTAGE=7)
    assert [in_force.rules(moment).steal_percentage for moment in moments] == [7, 8, 8, 9]
    # The others of the change count too, whatever the settings say.
    assert in_force.rules(NOON + HOUR) == Rules(steal_percentage=8)


@pytest.mark.django_db
def test_the_time_zone_is_always_that_of_the_settings(clocks: Clocks, settings: Any) -> None:
    change(NOON, steal_percentage=8)
    settings.TIME_ZONE = "Asia/Tokyo"

    assert in_force.rules(NOON) == Rules(steal_percentage=8, time_zone="Asia/Tokyo")


@pytest.mark.django_db
def test_the_switch_is_off_from_its_moment_until_it_is_on_again(clocks: Clocks) -> None:
    switch(NOON + HOUR, False)
    switch(NOON + 2 * HOUR, True)
    moments = (NOON, NOON + HOUR - MICRO, NOON + HOUR, NOON + 2 * HOUR - MICRO, NOON + 2 * HOUR)

    assert [in_force.enabled(moment) for moment in moments] == [True, True, False, False, True]


@pytest.mark.django_db
def test_switched_off_by_the_settings_always_wins(clocks: Clocks, heist_settings: HeistSettings) -> None:
    switch(NOON, True)
    heist_settings(ENABLED=False)

    assert not in_force.enabled(NOON)


@pytest.mark.django_db
def test_the_newest_change_counts_however_long_ago_it_was(clocks: Clocks) -> None:
    change(NOON - 9000 * HOUR, steal_percentage=6)
    change(NOON - 8000 * HOUR, steal_percentage=8)
    switch(NOON - 9000 * HOUR, True)
    switch(NOON - 7000 * HOUR, False)

    assert in_force.rules(NOON).steal_percentage == 8
    assert not in_force.enabled(NOON)
    assert len(in_force.changes().of_rules) == 1


@pytest.mark.django_db
def test_tokens_per_referral_are_those_in_force(clocks: Clocks, heist_settings: HeistSettings) -> None:
    heist_settings(TOKENS_PER_REFERRAL=2)
    assert in_force.tokens_per_referral() == 2

    change(NOON, tokens_per_referral=3)
    in_force.forget()
    assert in_force.tokens_per_referral() == 3


@pytest.mark.django_db(transaction=True)
def test_at_most_one_statement_in_ten_seconds(clocks: Clocks) -> None:
    assert reads() == [5, 1]
    change(NOON - HOUR, steal_percentage=8)

    clocks.pass_(10)
    assert [reads() for _ in range(20)] == [[5, 0]] * 20
    clocks.pass_(0.1)
    assert [reads() for _ in range(20)] == [[8, 1], *[[8, 0]] * 19]


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_threads_share_the_one_statement(clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> None:
    read, times = in_force._read, []
    monkeypatch.setattr(in_force, "_read", lambda using: times.append(using) or read(using))  # type: ignore[func-returns-value]

    assert at_once(*[lambda: in_force.rules(NOON)] * 8) == [conf.rules()] * 8
    assert times == ["default"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("monotonic", "time_of_day"),
    [(0.0, 3600.0), (3600.0, 3600.0), (3600.0, 0.0), (0.0, -3600.0), (10.1, 0.0), (0.0, 10.1), (0.1, -0.1)],
    ids=["slept", "stopped", "clock set back while stopped", "clock set back", "10.1 s", "10.1 s asleep", "set back"],
)
def test_a_process_that_slept_reads_before_it_judges(clocks: Clocks, monotonic: float, time_of_day: float) -> None:
    reads()
    change(NOON - HOUR, steal_percentage=8)

    clocks.monotonic += monotonic
    clocks.time_of_day += time_of_day

    assert reads() == [8, 1]


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_rolled_back_is_not_kept(clocks: Clocks) -> None:
    with transaction.atomic():
        change(NOON - HOUR, steal_percentage=8)
        assert in_force.rules(NOON).steal_percentage == 8
        transaction.set_rollback(True)

    assert reads() == [5, 1]


@pytest.mark.django_db(transaction=True)
def test_a_fresh_copy_serves_inside_a_transaction_too(clocks: Clocks) -> None:
    reads()

    with transaction.atomic(), CaptureQueriesContext(connection) as statements:
        in_force.rules(NOON)

    assert len(statements) == 0


@pytest.mark.django_db(transaction=True)
def test_a_flush_forgets_the_changes(clocks: Clocks) -> None:
    from django.core.management import call_command

    change(NOON - HOUR, steal_percentage=8)
    assert reads()[0] == 8

    call_command("flush", verbosity=0, interactive=False)

    assert reads() == [5, 1]


@pytest.mark.django_db
def test_the_changes_are_those_of_the_named_database(
    clocks: Clocks, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(NOON, steal_percentage=8)
    # The router names another database for rule changes.
    only(Heist, settings, monkeypatch)

    assert in_force.changes("default").rules(NOON).steal_percentage == 8


@pytest.mark.django_db
@pytest.mark.parametrize(("early", "read"), [(-MICRO, 2), (0 * MICRO, 1), (MICRO, 1)])
def test_a_change_of_a_day_ago_replaces_the_one_before_from_its_moment_on(
    clocks: Clocks, early: dt.timedelta, read: int
) -> None:
    change(NOON - 48 * HOUR, steal_percentage=6)
    change(NOON - 24 * HOUR - early, steal_percentage=8)

    assert in_force.rules(NOON).steal_percentage == 8
    assert len(in_force.changes().of_rules) == read
