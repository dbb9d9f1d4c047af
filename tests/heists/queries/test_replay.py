"""A replay under other rules: what would have ended otherwise, counted by hand on small histories."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gamification.demo.build import seed_demo
from heists import conf
from heists.choices import HeistStatus
from heists.models import Heist, RuleSet, Shield, Truce
from heists.queries import replay
from heists.queries.replay import Comparison
from heists.rules import Rules
from heists.services import buy_shield, execute_heist
from tests.conftest import HeistSettings
from tests.factories import player, rewrite
from tests.heists.services.elsewhere import only

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
MAY, JUNE, JULY = (dt.datetime(2026, month, 1, tzinfo=dt.UTC) for month in (5, 6, 7))
Clock = Callable[[dt.datetime], None]


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A function that sets the clock; it stands at NOW."""
    times = [NOW]
    with mock.patch("django.utils.timezone.now", lambda: times[-1]):
        yield times.append


def under(since: dt.datetime = NOW - DAY, until: dt.datetime = NOW + 9 * DAY, **changes: Any) -> Comparison:
    rules = dataclasses.replace(conf.rules(), **changes)
    return replay.compare(rules, since=since, until=until, using="default")


def rob(attacker: Any, victim: Any) -> Heist:
    return execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)


def test_a_larger_share_moves_more_points_and_changes_no_code(clock: Clock) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    rob(alice, bob)

    found = under(steal_percentage=8)

    assert (found.attempts, found.unknown, found.changes) == (1, 0, {})
    assert (found.points_recorded, found.points_replayed) == (50, 80)


def test_a_success_that_would_have_been_rejected(clock: Clock) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    rob(alice, bob)

    found = under(min_target_points=1001)

    assert found.changes == {(None, "insufficient_points"): 1}
    assert (found.points_recorded, found.points_replayed) == (50, 0)


def test_a_rejection_that_would_have_been_a_success(clock: Clock) -> None:
    alice, bob, cid = player(tokens=2), player(points=1000), player(points=300)
    rob(alice, bob)
    clock(NOW + 23 * HOUR)
    assert rob(alice, cid).failure_code == "cooldown"

    assert under(cooldown_hours=24).changed == 0
    found = under(cooldown_hours=23)

    assert found.changes == {("cooldown", None): 1}
    assert (found.points_recorded, found.points_replayed) == (50, 65)


@pytest.mark.parametrize(("hours", "code"), [(7 * 24 + 24, None), (7 * 24 + 23, "shield")])
def test_a_shield_blocks_what_the_rules_let_through(clock: Clock, hours: int, code: str | None) -> None:
    alice, bob, cid = player(tokens=2), player(points=1000), player(points=300, coins=50)
    clock(NOW + 24 * HOUR)
    buy_shield(player_id=cid.pk)
    clock(NOW + hours * HOUR - 10 * HOUR)
    rob(alice, bob)
    clock(NOW + hours * HOUR)
    assert rob(alice, cid).failure_code == "cooldown"

    found = under(cooldown_hours=1)

    assert found.changes == {("cooldown", code): 1}
    assert (found.points_recorded, found.points_replayed) == (50, 50 if code else 65)


def test_a_shield_that_was_used_up_before_blocks_nothing(clock: Clock) -> None:
    alice, eve, cid = player(tokens=2), player(tokens=1), player(points=300, coins=50)
    buy_shield(player_id=cid.pk)
    clock(NOW + HOUR)
    assert rob(eve, cid).status == HeistStatus.FAILED_SHIELD
    rob(alice, player(points=1000))
    clock(NOW + 2 * HOUR)
    assert rob(alice, cid).failure_code == "cooldown"
    assert Shield.objects.get().used_at == NOW + HOUR

    assert under(cooldown_hours=1).changes == {("cooldown", None): 1}


def test_each_attempt_is_looked_up_among_the_shields_of_its_own_time(clock: Clock) -> None:
    alice, cid = player(tokens=3), player(points=300, coins=50)
    rob(alice, player(points=1000))
    clock(NOW + HOUR)
    rob(alice, cid)
    clock(NOW + 2 * HOUR)
    buy_shield(player_id=cid.pk)
    rob(alice, cid)
    clock(NOW + 7 * DAY + HOUR)
    rob(alice, player(points=1000))
    clock(NOW + 7 * DAY + 2 * HOUR)
    rob(alice, cid)

    found = under(cooldown_hours=1)

    # Before the shield, in its first moment, and at its end.
    assert found.changes == {("cooldown", None): 2, ("cooldown", "shield"): 1}


def test_a_shield_blocks_neither_what_the_rules_still_reject_nor_a_success(clock: Clock) -> None:
    alice, bob, cid = player(tokens=2), player(points=1000, coins=50), player(points=300, coins=50)
    rob(alice, bob)
    # In the moment of the success, after it.
    buy_shield(player_id=bob.pk), buy_shield(player_id=cid.pk)
    clock(NOW + HOUR)
    assert rob(alice, cid).failure_code == "cooldown"

    found = under(steal_percentage=8)

    assert (found.attempts, found.unknown, found.changes, found.points_replayed) == (2, 0, {}, 80)


def test_a_blocked_attack_stays_blocked_or_is_rejected(clock: Clock) -> None:
    alice, bob = player(tokens=1), player(points=300, coins=50)
    buy_shield(player_id=bob.pk)
    rob(alice, bob)

    assert under(steal_percentage=10).changed == 0
    assert under(min_target_points=301).changes == {("shield", "insufficient_points"): 1}


def test_what_was_lost_before_the_period_counts(clock: Clock) -> None:
    alice, eve, bob = player(tokens=1), player(tokens=1), player(points=1000)
    rob(alice, bob)
    clock(NOW + 3 * DAY)
    rob(eve, bob)

    found = under(since=NOW + 2 * DAY, monthly_loss_percent=5)

    # Of (950 + 50) points, 5 % are 50, and they were lost three days before.
    assert (found.attempts, found.changes) == (1, {(None, "loss_limit"): 1})


@pytest.mark.parametrize(
    ("since", "until", "attempts"), [(NOW, NOW + DAY, 1), (NOW + HOUR, NOW + DAY, 0), (NOW, NOW, 0)]
)
def test_the_period_has_its_first_moment_and_not_its_end(
    clock: Clock, since: dt.datetime, until: dt.datetime, attempts: int
) -> None:
    rob(player(tokens=1), player(points=1000))

    assert under(since=since, until=until).attempts == attempts


def test_a_result_that_its_own_rules_do_not_give_is_unknown(clock: Clock) -> None:
    alice, bob, cid = player(tokens=2), player(points=1000), player(points=300)
    rob(alice, bob)
    clock(NOW + HOUR)
    rob(alice, cid)
    # With the victim's account, the outcome goes that the cooldown began with.
    bob.delete()

    found = under(cooldown_hours=48)

    assert (found.attempts, found.unknown, found.changed) == (1, 1, 0)
    assert (found.points_recorded, found.points_replayed) == (0, 0)


def test_losses_to_a_deleted_account_still_count(clock: Clock) -> None:
    alice, eve, bob = player(tokens=1), player(tokens=1), player(points=1000)
    rob(alice, bob)
    clock(NOW + HOUR)
    assert rob(eve, bob).failure_code == "protected"
    alice.delete()

    assert under().unknown == 0
    assert under(target_cooldown_hours=1).changes == {("protected", None): 1}


def test_losses_to_a_deleted_account_count_beside_the_others_and_after_them(clock: Clock) -> None:
    alice, bob, cid = player(tokens=1), player(points=1000), player(tokens=1)
    rob(player(tokens=1), bob)
    clock(NOW + 3 * DAY)
    rob(alice, bob)
    clock(NOW + 6 * DAY)
    rob(player(tokens=1), bob)
    clock(NOW + 6 * DAY + HOUR)
    assert rob(cid, bob).failure_code == "protected"
    alice.delete()

    # The first came before the loss to alice; the last follows a loss of an hour before.
    assert (under().attempts, under().unknown) == (3, 0)
    assert under(target_cooldown_hours=1, monthly_loss_percent=100).changes == {("protected", None): 1}


def test_truces_count_of_both_players_whether_over_or_not(clock: Clock) -> None:
    alice, bob = player(tokens=3, points=1000), player(tokens=3, points=1000)
    for starts_at, ends_at in ((MAY, JUNE), (JULY, None)):
        Truce.objects.create(player=alice, starts_at=starts_at, ends_at=ends_at, created_at=NOW - 30 * DAY)
    codes = []
    for at in (NOW, JULY + DAY):
        clock(at)
        codes += [rob(alice, bob).failure_code, rob(bob, alice).failure_code]
    assert codes == ["own_truce", "truce"] * 2

    for since, each in ((NOW, 2), (JULY, 1)):
        assert under(since=since, until=JULY + 2 * DAY).unknown == 0
        found = under(since=since, until=JULY + 2 * DAY, truce_enabled=False)
        assert sorted(recorded or "" for recorded, _ in found.changes.elements()) == sorted(
            ["own_truce", "truce"] * each
        )


def test_an_inactive_target_stays_inactive_under_any_rules(clock: Clock) -> None:
    bob = player(points=1000, is_active=False)
    rob(player(tokens=1), bob)
    bob.is_active = True
    bob.save()

    assert under(steal_percentage=9).changed == under(steal_percentage=9).unknown == 0


def test_each_attempt_is_compared_with_the_rules_of_its_own_time(clock: Clock, heist_settings: HeistSettings) -> None:
    alice, bob, eve, cid = player(tokens=1), player(points=1000), player(tokens=1), player(points=1000)
    rob(alice, bob)
    heist_settings(STEAL_PERCENTAGE=2)
    rob(eve, cid)

    found = under(steal_percentage=2)

    assert (found.points_recorded, found.points_replayed, found.unknown) == (70, 40, 0)


def test_the_demo_world_replays_without_a_difference(settings: Any) -> None:
    settings.DEBUG = True
    seed_demo(heists=300)
    first = Heist.objects.earliest("created_at").created_at
    rules = [row.rules for row in {heist.rule_set for heist in Heist.objects.select_related("rule_set")}]

    assert len(rules) == 1
    found = replay.compare(rules[0], since=first, until=first + 400 * DAY, using="default")
    assert (found.attempts, found.unknown, found.changed) == (Heist.objects.count(), 0, 0)
    assert found.points_recorded == found.points_replayed > 0


def test_a_tampered_attempt_is_unknown(clock: Clock) -> None:
    heist = rob(player(tokens=1), player(points=1000))
    rewrite(heist, points_stolen=40, victim_points_after=960, attacker_points_after=40)

    assert under(steal_percentage=8).unknown == under().unknown == 1
    # Rules that give what was recorded.
    assert under(steal_percentage=4).unknown == 0


def test_statements_and_memory_do_not_grow_with_the_attempts(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=19)
    counts = []
    for number in (2, 8):
        while Heist.objects.count() < number:
            rob(alice, bob)
        with CaptureQueriesContext(connection) as statements:
            assert under().attempts == number
        counts.append(len(statements))
    monkeypatch.setattr(replay, "CHUNK_ROWS", 4)
    with CaptureQueriesContext(connection) as statements:
        assert under().attempts == 8

    assert counts[0] == counts[1]
    # A further chunk is one statement, and the empty one after the last.
    assert len(statements) == counts[1] + 2 - 1


def test_what_cannot_matter_is_not_read(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CHUNK_ROWS", 2)
    since, until = NOW + 40 * DAY, NOW + 50 * DAY

    def statements() -> int:
        with CaptureQueriesContext(connection) as found:
            assert under(since=since, until=until).attempts == 3
        return len(found)

    clock(since - DAY)
    rob(player(tokens=1), player(points=1000))
    clock(since)
    for _ in range(3):
        rob(player(tokens=1), player(points=1000))
    before = statements()
    # Rejections before the period, and attempts after it.
    rewrite(rob(player(), player(points=1000)), created_at=since - HOUR)
    rewrite(rob(player(), player(points=1000)), created_at=since - HOUR)
    clock(until)
    for _ in range(4):
        rob(player(tokens=1), player(points=1000))

    assert statements() == before


def test_outcomes_older_than_the_longest_window_are_not_read(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "CHUNK_ROWS", 2)
    counts = []
    for days in (0, 32):
        clock(NOW + days * DAY)
        for _ in range(4):
            rob(player(tokens=1), player(points=1000))
        with CaptureQueriesContext(connection) as statements:
            assert under(since=NOW + days * DAY, until=NOW + 99 * DAY).attempts == 4
        counts.append(len(statements))

    assert counts[0] == counts[1]


def test_attempts_are_read_in_the_order_of_their_keys_whatever_their_times(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "CHUNK_ROWS", 2)
    rows = [rob(player(tokens=1), player(points=1000)) for _ in range(5)]
    for row, hours in zip(rows, (1, 4, 3, 2, 0), strict=True):
        rewrite(row, created_at=NOW + hours * HOUR)
    read: list[int] = []

    with CaptureQueriesContext(connection) as statements:
        found = replay.compare(Rules(), since=NOW + HOUR, until=NOW + 4 * HOUR, using="default", progress=read.append)

    assert found.attempts == 3
    assert read == [1, 2, 0]
    assert all("ORDER BY" in one["sql"] for one in statements if "LIMIT 2" in one["sql"])


@pytest.mark.parametrize(
    ("since", "until", "limit", "counted"),
    [(0, 3, None, 3), (0, 2, None, 2), (1, 3, None, 2), (0, 3, 2, 2), (0, 3, 4, 3), (3, 9, None, 0)],
)
def test_attempts_are_counted_up_to_a_limit(
    clock: Clock, since: int, until: int, limit: int | None, counted: int
) -> None:
    for hours in range(3):
        clock(NOW + hours * HOUR)
        rob(player(tokens=1), player(points=1000))

    found = replay.count(since=NOW + since * HOUR, until=NOW + until * HOUR, using="default", limit=limit)
    assert found == counted


@pytest.mark.parametrize("rule", [None, "pair_cooldown_hours", "target_cooldown_hours", "cooldown_hours"])
def test_the_lookback_is_the_longest_window_of_these_and_all_earlier_rules(rule: str | None) -> None:
    longest = dataclasses.asdict(Rules()) | ({} if rule is None else {rule: 2000})
    expected = 31 * DAY + 2 * HOUR if rule is None else 2000 * HOUR

    assert replay.lookback(Rules(**longest), "default") == expected
    RuleSet.objects.create(**longest)
    assert replay.lookback(Rules(token_cost=2), "default") == expected


def test_all_of_it_is_read_from_the_named_database(
    clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = player(tokens=2)
    rob(alice, player(points=1000))
    rob(alice, player(points=300))
    only(Heist, settings, monkeypatch)

    assert under(cooldown_hours=0).changes == {("cooldown", None): 1}
    assert replay.count(since=NOW, until=NOW + DAY, using="default") == 2
    assert replay.lookback(Rules(), "default") == 31 * DAY + 2 * HOUR
