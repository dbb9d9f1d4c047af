"""Each clause about reversals, refunds and corrections: a row that breaks it, and the nearest row that does not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection

from heists.models import AttemptLog, Heist, RuleSet

from .rows import (
    DAY,
    HOUR,
    MICRO,
    NOW,
    SECOND,
    blocked,
    found,
    grant,
    heist,
    notification,
    rejected,
    reversal,
    rule_set,
    tokens,
    unlock,
    user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unlocked(db: None) -> None:
    unlock()


@pytest.fixture
def unpruned(settings: Any) -> None:
    settings.HEISTS = settings.HEISTS | {"RETENTION_READ_DAYS": 0, "RETENTION_UNREAD_DAYS": 0}


@pytest.fixture
def rules() -> RuleSet:
    return rule_set()


@pytest.fixture
def robbed(rules: RuleSet) -> Heist:
    return heist(user("alice"), user("bob"), rules)


def test_only_a_success_is_reversed(rules: RuleSet, robbed: Heist) -> None:
    alice, bob = robbed.attacker, robbed.victim
    reversal(robbed)
    wrong = [reversal(blocked(alice, bob, rules)), reversal(rejected(alice, bob, rules))]

    assert found("reversal_heist") == sorted(
        f"reversal {row.pk}, heist {row.heist_id}: heist status {row.heist.status}, created_at {row.created_at}"
        for row in wrong
    )


def test_a_reversal_is_not_before_its_heist_by_more_than_the_clocks_differ(rules: RuleSet) -> None:
    alice, bob = user("alice"), user("bob")
    reversal(heist(alice, bob, rules), NOW - SECOND)
    assert found("reversal_heist") == []

    reversal(heist(alice, bob, rules), NOW - SECOND - MICRO)

    assert len(found("reversal_heist")) == 1


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
def test_a_reversal_is_in_the_month_of_its_heist(zone: str) -> None:
    rules, alice, bob = rule_set(time_zone=zone), user("alice"), user("bob")
    end = dt.datetime(2026, 6, 1, tzinfo=dt.UTC) - (12 * HOUR if zone == "Pacific/Auckland" else 0 * HOUR)
    reversal(heist(alice, bob, rules, end - MICRO), end + SECOND - MICRO)
    assert found("reversal_month") == []

    row = reversal(heist(alice, bob, rules, end - DAY), end + SECOND)

    assert found("reversal_month") == [
        f"reversal {row.pk}, heist {row.heist_id}: created_at {end + SECOND}, month_ended {end}"
    ]


@pytest.mark.parametrize(("points", "had", "wrong"), [(50, 50, 0), (50, 51, 0), (49, 49, 0), (49, 50, 1), (51, 51, 1)])
def test_all_the_points_go_back_that_the_attacker_has(robbed: Heist, points: int, had: int, wrong: int) -> None:
    row = reversal(robbed, points=points, had=had)

    assert (
        found("reversal_amount")
        == [
            f"reversal {row.pk}, heist {robbed.pk}:"
            f" points_returned {points}, heist points_stolen 50, attacker_points_before {had}"
        ]
        * wrong
    )


def refund(robbed: Heist, **fields: Any) -> None:
    values: dict[str, Any] = {"owner": robbed.attacker, "reason": "REFUND", "source": f"refund:{robbed.pk}"} | fields
    grant(**values)


@pytest.mark.parametrize(
    ("wrong", "refunded"),
    [
        ({"amount": 2}, 2),
        ({"reason": "STAFF"}, 1),
        ({"source": "elsewhere"}, None),
        ({"source": "refund:999"}, None),
        ({"owner": "bob"}, 1),
        (None, 1),
    ],
)
def test_a_token_that_was_returned_is_a_refund_of_the_cost(
    robbed: Heist, wrong: dict[str, Any] | None, refunded: int | None
) -> None:
    reversal(robbed, token_returned=True)
    if wrong is None:
        refund(robbed)
        assert found("reversal_token") == []
        return
    if wrong.get("owner"):
        wrong = {"owner": robbed.victim}

    refund(robbed, **wrong)

    line = f"heist {robbed.pk}, player {robbed.attacker_id}: cost 1, refunded {refunded}"
    assert line in found("reversal_token")


@pytest.mark.parametrize("reversed", [True, False])
def test_a_refund_without_a_reversal_that_returned_the_token_is_named(robbed: Heist, reversed: bool) -> None:
    AttemptLog.objects.create(heist_id=robbed.pk, attacker=robbed.attacker, victim=robbed.victim)
    if reversed:
        reversal(robbed, token_returned=False)

    refund(robbed)

    assert found("reversal_token") == [f"heist {robbed.pk}, player {robbed.attacker_id}: cost None, refunded 1"]


def test_the_refund_of_a_deleted_heist_stays(robbed: Heist) -> None:
    refund(robbed)
    AttemptLog.objects.create(heist_id=robbed.pk, attacker=robbed.attacker, deleted=True)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM heists_heist")

    assert found("reversal_token") == []

    AttemptLog.objects.all().delete()
    assert found("reversal_token") == [f"heist {robbed.pk}, player {robbed.attacker_id}: cost None, refunded 1"]


@pytest.mark.parametrize("source", ["refund:", "refund:x", "refund:1e3", f"refund:{10**30}"])
def test_a_refund_that_names_no_heist_is_named(source: str) -> None:
    alice = user("alice")

    grant(alice, reason="REFUND", source=source)

    assert found("reversal_token") == [f"heist 0, player {alice.pk}: cost None, refunded 1"]


def test_a_correction_takes_from_an_earlier_grant_of_the_same_player() -> None:
    alice, bob = user("alice"), user("bob")
    first, second, third = grant(alice, 3), grant(alice, 3), grant(alice, 3)
    right = grant(alice, -3, reason="CORRECTION", source=f"correction:{first.pk}")
    grant(alice, -1, NOW - SECOND, reason="CORRECTION", source=f"correction:{second.pk}")
    assert found("correction_grant") == []

    wrong = [
        grant(alice, -4, reason="CORRECTION", source=f"correction:{third.pk}"),
        grant(alice, -3, reason="STAFF", source=f"correction:0{third.pk}"),
        grant(alice, -3, NOW - SECOND - MICRO, reason="CORRECTION", source=f"correction:00{third.pk}"),
        grant(bob, -3, reason="CORRECTION", source=f"correction:000{third.pk}"),
        grant(alice, -3, reason="CORRECTION", source=f"correction:{right.pk}"),
        grant(alice, -3, reason="CORRECTION", source="correction:987654"),
        grant(alice, -3, reason="CORRECTION", source="elsewhere"),
    ]

    granted = [3, 3, 3, 3, -3, None, None]
    assert found("correction_grant") == sorted(
        f"grant {row.pk}, player {row.player_id}: amount {row.amount}, granted {amount}"
        for row, amount in zip(wrong, granted, strict=True)
    )


def test_a_correction_does_not_move_last_earned_at() -> None:
    alice, bob = user("alice"), user("bob")
    for owner in (alice, bob):
        first = grant(owner, 3, NOW)
        grant(owner, -3, NOW + DAY, reason="CORRECTION", source=f"correction:{first.pk}")
    tokens(alice, last_earned_at=NOW)
    tokens(bob, last_earned_at=NOW + DAY)

    assert found("token_last_earned") == [
        f"player {bob.pk}: last_earned_at {NOW + DAY}, newest {NOW}",
    ]


def test_a_correction_needs_no_notification(unpruned: None) -> None:
    alice = user("alice")
    first = grant(alice, 3)
    grant(alice, -3, reason="CORRECTION", source=f"correction:{first.pk}")

    assert found("grant_notification_missing") == [
        f"grant {first.pk}, player {alice.pk}: amount 3, reason STAFF, created_at {NOW}"
    ]


@pytest.mark.parametrize(("missing", "other"), [("attacker", "victim"), ("victim", "attacker")])
def test_both_players_of_a_reversal_are_notified(missing: str, other: str, robbed: Heist, unpruned: None) -> None:
    for owner, type in ((robbed.attacker, "HEIST_SUCCESS"), (robbed.victim, "HEIST_VICTIM")):
        notification(owner, type, robbed)
    row = reversal(robbed)
    notification(getattr(robbed, other), "HEIST_REVERSED", robbed)

    assert found("notification_missing") == [
        f"heist {robbed.pk}, player {getattr(robbed, missing).pk}: type HEIST_REVERSED, created_at {row.created_at}"
    ]

    notification(getattr(robbed, missing), "HEIST_REVERSED", robbed)
    assert found("notification_missing") == []


def test_a_notification_of_a_reversal_is_to_one_of_its_players(robbed: Heist) -> None:
    notification(robbed.victim, "HEIST_REVERSED", robbed)
    assert len(found("notification_stray")) == 1

    reversal(robbed)
    assert found("notification_stray") == []

    notification(user("carol"), "HEIST_REVERSED", robbed)
    assert len(found("notification_stray")) == 1


@pytest.mark.parametrize(("points", "wrong"), [(20, 0), (50, 1), (None, 1)])
def test_a_notification_of_a_reversal_has_the_points_that_were_returned(
    robbed: Heist, points: int | None, wrong: int
) -> None:
    reversal(robbed, points=20, had=20)
    row = notification(robbed.victim, "HEIST_REVERSED", robbed, metadata={} if points is None else {"points": points})

    assert (
        found("notification_points")
        == [f"notification {row.pk}, heist {robbed.pk}: points {points or 'none'}, moved 20"] * wrong
    )
