"""The monthly loss limit, as the audit computes it again: each clause, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from heists.models import RuleSet

from .rows import DAY, HOUR, MICRO, NOW, SECOND, blocked, found, heist, notification, rejected, rule_set, tokens

# 5 % of the points, and 10 % of them a month: of 1,000 points 50, then 47 of 950, then 3 of 903, and no more.
COURSE = [(1000, 50), (950, 47), (903, 3)]
MAY = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


def play(people: SimpleNamespace, rules: RuleSet, *last: tuple[int, int], at: dt.datetime = NOW) -> Any:
    """Write the course of `COURSE` against bob, then `last`, one an hour; return the last row."""
    row: Any = None
    for number, (had, points) in enumerate((*COURSE, *last)):
        row = heist(people.alice, people.bob, rules, at + number * HOUR, points=points, victim_points_before=had)
    return row


def test_a_month_of_losses_up_to_the_limit_is_honest(people: SimpleNamespace) -> None:
    play(people, rule_set())

    assert found("heist_loss_limit") == found("heist_amount_short") == []


def test_one_point_more_than_the_limit_leaves_is_reported(people: SimpleNamespace) -> None:
    rules = rule_set()
    heist(people.alice, people.bob, rules, points=50)
    heist(people.alice, people.bob, rules, points=47, victim_points_before=950)
    wrong = heist(people.alice, people.bob, rules, NOW + HOUR, points=4, victim_points_before=903)

    assert found("heist_loss_limit") == [
        f"heist {wrong.pk}, victim {people.bob.pk}: points_stolen 4, left 3, created_at {NOW + HOUR}"
    ]
    assert found("heist_amount_short") == []


def test_one_point_less_than_the_limit_leaves_is_reported(people: SimpleNamespace) -> None:
    rules = rule_set()
    heist(people.alice, people.bob, rules, points=50)
    heist(people.alice, people.bob, rules, points=47, victim_points_before=950)
    wrong = heist(people.alice, people.bob, rules, points=2, victim_points_before=903)

    assert found("heist_amount_short") == [
        f"heist {wrong.pk}, victim {people.bob.pk}: points_stolen 2, share 45, left 3"
    ]
    assert found("heist_loss_limit") == []


def test_one_point_less_than_the_share_is_reported(people: SimpleNamespace) -> None:
    wrong = heist(people.alice, people.bob, rule_set(), points=49)

    assert found("heist_amount_short") == [
        f"heist {wrong.pk}, victim {people.bob.pk}: points_stolen 49, share 50, left 100"
    ]


def test_each_wrong_amount_is_reported_by_its_own_check(people: SimpleNamespace) -> None:
    rules = rule_set()
    large, small = (
        heist(people.alice, victim, rules, points=n) for victim, n in ((people.bob, 101), (people.carol, 1))
    )
    larger = heist(people.alice, people.dora, rules, points=102)

    assert [row.split(",")[0] for row in found("heist_loss_limit")] == [f"heist {large.pk}", f"heist {larger.pk}"]
    assert [row.split(",")[0] for row in found("heist_amount_short")] == [f"heist {small.pk}"]


def test_only_successes_against_the_same_victim_count(people: SimpleNamespace) -> None:
    rules = rule_set()
    play(people, rules)
    blocked(people.alice, people.bob, rules), rejected(people.alice, people.bob, rules)
    heist(people.alice, people.carol, rules)
    heist(people.bob, people.alice, rules)

    assert found("heist_loss_limit") == found("heist_amount_short") == []


ZONES = ["UTC", "Asia/Tokyo", "America/Havana"]


@pytest.mark.parametrize("zone", ZONES)
def test_losses_count_from_the_first_instant_of_the_sites_month(people: SimpleNamespace, zone: str) -> None:
    rules = rule_set(time_zone=zone, monthly_loss_percent=5)
    first = dt.datetime(2026, 5, 1, tzinfo=ZoneInfo(zone)).astimezone(dt.UTC)
    heist(people.alice, people.bob, rules, first - MICRO)
    heist(people.alice, people.bob, rules, first)
    heist(people.carol, people.dora, rules, first)
    second = heist(people.carol, people.dora, rules, first + MICRO)

    left = {row.split(": ")[0]: row for row in found("heist_loss_limit")}
    assert left.keys() == {f"heist {second.pk}, victim {people.dora.pk}"}
    assert "left 2," in left[f"heist {second.pk}, victim {people.dora.pk}"]


def test_each_rule_set_has_the_months_of_its_zone_and_counts_the_losses_under_others(people: SimpleNamespace) -> None:
    utc = rule_set(monthly_loss_percent=5)
    tokyo = rule_set(monthly_loss_percent=5, time_zone="Asia/Tokyo")
    # April in UTC, May in Tokyo.
    heist(people.alice, people.bob, utc, MAY - HOUR)
    wrong = heist(people.alice, people.bob, tokyo, MAY - HOUR / 2)
    heist(people.alice, people.bob, utc, MAY)

    assert [row.split(",")[0] for row in found("heist_loss_limit")] == [f"heist {wrong.pk}"]


def test_a_loss_that_a_faster_clock_put_into_the_next_month_counts(people: SimpleNamespace) -> None:
    rules = rule_set(monthly_loss_percent=5)
    heist(people.alice, people.bob, rules, MAY)
    wrong = heist(people.alice, people.bob, rules, MAY - MICRO)

    assert [row.split(",")[0] for row in found("heist_loss_limit")] == [f"heist {wrong.pk}"]


def test_years_of_losses_are_judged_month_by_month(people: SimpleNamespace) -> None:
    rules = rule_set(monthly_loss_percent=5)
    for month in range(24):
        at = dt.datetime(2024 + month // 12, month % 12 + 1, 15, tzinfo=dt.UTC)
        heist(people.alice, people.bob, rules, at)
    wrong = heist(people.alice, people.bob, rules, at + HOUR, points=3)

    assert [row.split(",")[0] for row in found("heist_loss_limit")] == [f"heist {wrong.pk}"]


def short(people: SimpleNamespace) -> Any:
    """Write a success, on 20 May, that took a point less than it could."""
    return heist(people.alice, people.bob, rule_set(), points=49)


def gone(owner: User, at: dt.datetime, type: str = "HEIST_VICTIM", **fields: Any) -> None:
    """Write the notification that is left of a heist, deleted with its attacker's account."""
    notification(owner, type, created_at=at, **fields)


@pytest.mark.parametrize(
    ("at", "explained"),
    [(MAY - MICRO, False), (MAY, True), (NOW, True), (NOW + SECOND, True), (NOW + SECOND + MICRO, False)],
)
def test_a_loss_to_a_deleted_account_earlier_in_the_month_explains_a_smaller_amount(
    people: SimpleNamespace, at: dt.datetime, explained: bool
) -> None:
    short(people)
    gone(people.bob, at)

    assert bool(found("heist_amount_short")) is not explained
    assert found("heist_loss_limit") == []


def test_other_notifications_explain_nothing(people: SimpleNamespace) -> None:
    row = short(people)
    gone(people.carol, NOW)
    gone(people.bob, NOW, "SHIELD_EXPIRED")
    notification(people.bob, "HEIST_VICTIM", row)

    assert len(found("heist_amount_short")) == 1


@pytest.mark.parametrize("days", [10, 30])
@pytest.mark.parametrize("past", [-MICRO, dt.timedelta(), MICRO])
def test_where_the_months_notifications_may_have_been_pruned_a_smaller_amount_is_no_difference(
    people: SimpleNamespace, settings: Any, monkeypatch: pytest.MonkeyPatch, days: int, past: dt.timedelta
) -> None:
    settings.HEISTS = settings.HEISTS | {"RETENTION_READ_DAYS": days, "RETENTION_UNREAD_DAYS": 90}
    # A host whose clock is a second ahead prunes a second early.
    now = MAY + days * DAY - SECOND + past
    monkeypatch.setattr(timezone, "now", lambda: now)
    heist(people.alice, people.bob, rule_set(), MAY, points=49)

    assert bool(found("heist_amount_short")) is (past <= dt.timedelta())


def test_where_nothing_is_pruned_a_smaller_amount_is_reported_however_old_it_is(
    people: SimpleNamespace, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HEISTS = settings.HEISTS | {"RETENTION_READ_DAYS": 0, "RETENTION_UNREAD_DAYS": 0}
    monkeypatch.setattr(timezone, "now", lambda: NOW + 9999 * DAY)
    short(people)

    assert len(found("heist_amount_short")) == 1


@pytest.mark.parametrize(("newest", "reported"), [(-MICRO, True), (0 * DAY, False), (MICRO, False)])
def test_a_token_row_keeps_all_losses_since_32_days_before_the_newest(
    people: SimpleNamespace, newest: dt.timedelta, reported: bool
) -> None:
    short(people)
    gone(people.bob, NOW)
    # Of the month, whose losses have to be kept, nothing is known where the newest came 32 days after its first moment.
    times = (MAY - 99 * DAY, MAY + 32 * DAY + newest)
    kept = [{"heist": number, "points": 1, "at": at.isoformat()} for number, at in enumerate(times, 900_000)]
    tokens(people.bob, losses_on_deleted=kept)

    assert bool(found("heist_amount_short")) is reported
