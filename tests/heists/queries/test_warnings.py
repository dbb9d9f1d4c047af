"""The dashboard's warnings, on small histories (docs/specification.md, "Admin")."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from heists.choices import GrantReason, HeistStatus
from heists.models import Heist
from heists.queries import warnings
from heists.rules import DAY
from heists.services import execute_heist, grant_tokens
from tests.factories import player, rewrite

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


def rejection(attacker: Any, victim: Any, at: dt.datetime, address: str | None = None) -> Heist:
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk, ip_address=address)
    rewrite(heist, created_at=at)
    return heist


def outcome(attacker: Any, victim: Any, at: dt.datetime, status: HeistStatus = HeistStatus.SUCCESS) -> None:
    """Record an outcome without asking the rules."""
    points = 5 if status == HeistStatus.SUCCESS else 0
    rewrite(
        rejection(attacker, victim, at),
        status=status,
        failure_code=None if points else "shield",
        token_spent=True,
        points_stolen=points,
        victim_points_before=points,
        victim_points_after=0,
        attacker_points_before=0,
        attacker_points_after=points,
    )


def pairs(found: list[warnings.PairWarning]) -> list[tuple[Any, Any, int]]:
    return [(pair.attacker, pair.victim, pair.count) for pair in found]


def test_the_eleventh_rejection_in_an_hour_is_a_warning() -> None:
    many, patient, bob = player("many"), player("patient"), player("bob")
    for number in range(11):
        rejection(many, bob, NOON - 5 * number * MINUTE)
        rejection(patient, bob, NOON - 6 * number * MINUTE)

    found = warnings.find(NOON).many_rejections

    assert [(warning.player, warning.count) for warning in found] == [(many, 11)]


def test_the_sixth_attack_in_a_day_is_a_warning() -> None:
    alice, bob, cid = player("alice"), player("bob"), player("cid")
    for number in range(6):
        rejection(alice, bob, NOON - number * HOUR)
        rejection(alice, cid, NOON - 5 * number * HOUR)
        rejection(cid, cid, NOON)

    found = warnings.find(NOON).attacked_often

    assert [(warning.player, warning.count) for warning in found] == [(bob, 6)]


def test_the_fourth_attacker_from_one_address_in_a_day_is_a_warning() -> None:
    bob, users = player("bob"), [player() for _number in range(4)]
    for user in users:
        rejection(user, bob, NOON, "192.0.2.1")
        # Three players of the day; four attempts of one; no address.
        rejection(user, bob, NOON - (DAY + MINUTE if user is users[0] else HOUR), "192.0.2.2")
        rejection(users[0], bob, NOON, "192.0.2.3")
        rejection(user, bob, NOON)
    rejection(users[0], bob, NOON - DAY, "192.0.2.1")

    found = warnings.find(NOON).shared_addresses

    assert [(warning.address, warning.count) for warning in found] == [("192.0.2.1", 4)]


@pytest.mark.parametrize("newest", [NOON, NOON - 5 * DAY], ids=["today", "days ago"])
def test_the_third_meeting_of_a_pair_in_thirty_days_is_a_warning(newest: dt.datetime) -> None:
    alice, bob, cid = player("alice"), player("bob"), player("cid")
    first = NOON.replace(hour=0) - 29 * DAY
    outcome(alice, bob, first)
    outcome(alice, bob, first + DAY, HeistStatus.FAILED_SHIELD)
    outcome(alice, bob, newest)
    # The other way round twice; a meeting before the period; a rejection.
    outcome(bob, alice, first)
    outcome(bob, alice, newest)
    outcome(alice, cid, first - MINUTE)
    outcome(alice, cid, first)
    outcome(alice, cid, newest)
    rejection(alice, cid, newest)

    assert pairs(warnings.find(NOON).pairs) == [(alice, bob, 3)]
    assert pairs(warnings.find(NOON + DAY).pairs) == []


def test_a_pair_that_meets_again_is_counted_once_and_over_all_days() -> None:
    alice, bob, cid, dan = (player(name) for name in ("alice", "bob", "cid", "dan"))
    for number in range(3):
        outcome(alice, bob, NOON - (3 + number) * DAY)
        outcome(cid, dan, NOON - (3 + number) * DAY)
    outcome(cid, dan, NOON)
    outcome(cid, dan, NOON + HOUR)

    assert pairs(warnings.find(NOON + HOUR).pairs) == [(cid, dan, 5), (alice, bob, 3)]


def referral(referrer: Any, referred: Any, reason: GrantReason = GrantReason.REFERRAL) -> None:
    grant_tokens(player=referrer, amount=1, reason=reason, source=f"referral:{referred.pk}", referred=referred)


@pytest.mark.parametrize("at", [NOON, NOON - 5 * DAY], ids=["today", "days ago"])
def test_a_referrer_who_robs_the_referred_is_a_warning(at: dt.datetime) -> None:
    alice, bob, cid, dan = (player(name) for name in ("alice", "bob", "cid", "dan"))
    referral(alice, bob)
    referral(dan, alice)
    referral(cid, dan, GrantReason.STAFF)
    outcome(alice, bob, at)
    # The referred robs the referrer; another robs the referred; the grant was no referral's; a rejection; long ago.
    outcome(bob, alice, at)
    outcome(cid, bob, at)
    outcome(cid, dan, at)
    rejection(dan, alice, at)
    outcome(dan, alice, NOON - 30 * DAY)

    assert pairs(warnings.find(NOON).referrers) == [(alice, bob, 1)]


def test_players_whose_account_is_deleted_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heists.queries.cached.SLOW_SECONDS", 0)
    alice, bob = player("alice"), player("bob")
    for number in range(6):
        outcome(alice, bob, NOON - number * HOUR)
    assert pairs(warnings.find(NOON).pairs) == [(alice, bob, 6)]
    alice.delete()

    found = warnings.find(NOON)

    assert found.pairs == []
    assert [(warning.player, warning.count) for warning in found.attacked_often] == [(bob, 6)]


def test_slow_warnings_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heists.queries.cached.SLOW_SECONDS", 0)
    many, bob = player("many"), player("bob")
    for number in range(11):
        rejection(many, bob, NOON - 5 * number * MINUTE)

    with CaptureQueriesContext(connection) as first:
        found = warnings.find(NOON)
    with CaptureQueriesContext(connection) as second:
        assert warnings.find(NOON) == found
    # The rollup's newest heist, the day's rejections and the players.
    assert (len(first), len(second)) == (10, 3)
    assert [(warning.player, warning.count) for warning in found.many_rejections] == [(many, 11)]


def test_no_warning_takes_a_statement_more_with_more_rows() -> None:
    with CaptureQueriesContext(connection) as none:
        assert not warnings.find(NOON)
    alice, bob = player("alice"), player("bob")
    referral(alice, bob)
    for number in range(11):
        outcome(alice, bob, NOON - number * DAY)
        for each in (alice, bob):
            rejection(each, bob, NOON, "192.0.2.1")

    with CaptureQueriesContext(connection) as some:
        assert warnings.find(NOON)

    assert (len(none), len(some)) == (8, 10)


def test_ten_rejections_and_an_outcome_or_one_yet_to_come_are_no_warning() -> None:
    mixed, early, bob = player("mixed"), player("early"), player("bob")
    for number in range(10):
        rejection(mixed, bob, NOON - number * MINUTE)
        rejection(early, bob, NOON - number * MINUTE)
    outcome(mixed, bob, NOON)
    # By a host whose clock is ahead.
    rejection(early, bob, NOON + MINUTE)

    assert warnings.find(NOON).many_rejections == []


def test_the_worst_come_first() -> None:
    alice, bob, cid = player("alice"), player("bob"), player("cid")
    for number in range(12):
        rejection(bob, cid, NOON - number * MINUTE, "192.0.2.9")
        if number:
            rejection(alice, cid, NOON - number * MINUTE, "192.0.2.1")
    for _number in range(5):
        rejection(player(), bob, NOON, "192.0.2.9")
        rejection(player(), alice, NOON, "192.0.2.1")
    rejection(player(), bob, NOON, "192.0.2.9")
    rejection(cid, bob, NOON)
    rejection(cid, alice, NOON)

    found = warnings.find(NOON)

    assert [(one.player, one.count) for one in found.many_rejections] == [(bob, 12), (alice, 11)]
    assert [(one.player, one.count) for one in found.attacked_often] == [(cid, 23), (bob, 7), (alice, 6)]
    assert [(one.address, one.count) for one in found.shared_addresses] == [("192.0.2.9", 7), ("192.0.2.1", 6)]


@pytest.mark.parametrize("days", [0, 3], ids=["today", "closed days"])
def test_the_pairs_that_met_most_are_named(days: int) -> None:
    bob, users = player("bob"), [player() for _ in range(11)]
    at = NOON - days * DAY
    for number, user in enumerate(users):
        for minutes in range(3 if number < 10 else 4):
            outcome(user, bob, at - minutes * MINUTE)

    found = pairs(warnings.find(NOON).pairs)

    # Ten at most; of equals, those with the first keys.
    assert found[0] == (users[10], bob, 4)
    assert [count for *_pair, count in found[1:]] == [3] * 9


def test_a_pair_that_meets_often_hides_no_other() -> None:
    alice, bob, cid = player("alice"), player("bob"), player("cid")
    for minutes in range(12):
        outcome(alice, bob, NOON - minutes * MINUTE)
    for minutes in range(3):
        outcome(cid, bob, NOON - minutes * MINUTE)

    assert pairs(warnings.find(NOON).pairs) == [(alice, bob, 12), (cid, bob, 3)]
