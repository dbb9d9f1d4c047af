"""What token rows keep of deleted heists: each way in which it can be wrong, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import models
from django.utils import timezone

from gamification.economy import GamificationEconomy
from gamification.models import PointEvent
from heists.economy import Economy
from heists.models import AttemptLog, HeistNotification, HeistToken
from heists.services import execute_heist, prune
from tests.conftest import HeistSettings
from tests.factories import player, tokens_of, without_triggers

from .rows import DAY, HOUR, MICRO, NOW, SECOND, found, heist, rule_set, tokens

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob() -> Any:
    """A player of 2,000 points who was robbed of 100 by an account that was deleted since."""
    alice, bob = player(tokens=1), player(points=2000)
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    alice.delete()
    return bob


def losses_of(bob: Any) -> list[dict[str, Any]]:
    return list(tokens_of(bob).losses_on_deleted or [])


def tamper(bob: Any, **changes: Any) -> None:
    (loss,) = losses_of(bob)
    HeistToken.objects.filter(user=bob).update(losses_on_deleted=[loss | changes])


def differences() -> str:
    out = StringIO()
    try:
        call_command("audit_heists", stdout=out)
    except SystemExit:
        return out.getvalue()
    return ""


def test_what_the_trigger_keeps_is_no_difference_with_or_without_notifications(bob: Any) -> None:
    assert differences() == ""
    prune(read=dt.timedelta(), unread=dt.timedelta(), address=dt.timedelta())
    assert not HeistNotification.objects.filter(type="HEIST_VICTIM").exists()
    assert found("loss_not_kept") == []


def test_a_kept_loss_is_not_taken_from_the_limit_twice(bob: Any, heist_settings: HeistSettings) -> None:
    heist_settings(TARGET_COOLDOWN_HOURS=0)
    for _ in range(3):
        attacker = player(tokens=1)
        execute_heist(attacker_id=attacker.pk, victim_id=bob.pk)
        assert differences() == ""
        attacker.delete()
        assert differences() == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"points": 99}, "a point event of 100 points"),
        ({"heist": 9999}, "no deleted heist against the player"),
        ({"at": "2026-05-20T12:00:00Z"}, "no notification of the points at the time"),
    ],
)
def test_a_changed_loss_is_named(bob: Any, changes: dict[str, Any], says: str, heist_settings: HeistSettings) -> None:
    heist_settings(RETENTION_READ_DAYS=0, RETENTION_UNREAD_DAYS=0)
    tamper(bob, **changes)

    (kept,) = tokens_of(bob).deleted_losses
    assert found("loss_kept_wrong") == [
        f"player {bob.pk}, heist {kept.heist_id}: points {kept.points}, at {kept.at}, found {says}"
    ]


def test_a_loss_to_another_player_is_named(bob: Any) -> None:
    (loss,) = losses_of(bob)
    carol = player(tokens=1)
    HeistToken.objects.filter(user=carol).update(losses_on_deleted=[loss])

    assert [line.split(",")[0] for line in found("loss_kept_wrong")] == [f"player {carol.pk}"]


def test_a_loss_whose_heist_is_there_is_named(people: Any) -> None:
    row = heist(people.alice, people.bob, rule_set())
    AttemptLog.objects.update_or_create(heist_id=row.pk, defaults={"victim": people.bob})
    tokens(people.bob, losses_on_deleted=[{"heist": row.pk, "points": 50, "at": NOW.isoformat()}])

    (line,) = found("loss_kept_wrong")
    assert line.endswith("found the heist")


def test_without_events_and_notifications_nothing_can_be_known(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GamificationEconomy, "point_events", Economy.point_events)
    HeistNotification.objects.all().delete()
    tamper(bob, points=99, at=(timezone.now() - 365 * DAY).isoformat())

    assert found("loss_kept_wrong") == []


def test_a_host_without_the_event_of_a_kept_loss_is_told(bob: Any) -> None:
    with without_triggers():
        models.QuerySet.delete(PointEvent.objects.filter(type__name="HEIST_LOSS"))

    (line,) = found("loss_kept_wrong")
    assert line.endswith("found a point event of None points")


@pytest.mark.parametrize(
    "value", [[], {}, 5, "text", [1], [{}], [{"heist": 1}], [{"heist": 1, "points": 2, "at": "x"}]]
)
def test_what_no_trigger_writes_is_named_and_stops_no_other_check(bob: Any, value: Any) -> None:
    HeistToken.objects.filter(user=bob).update(losses_on_deleted=value)

    (line,) = found("loss_kept_unreadable")
    assert line.startswith(f"player {bob.pk}: losses_on_deleted ")
    assert "loss_not_kept" in differences()


def test_a_loss_that_is_kept_twice_is_named(bob: Any) -> None:
    losses = losses_of(bob)
    HeistToken.objects.filter(user=bob).update(losses_on_deleted=losses * 2)

    assert len(found("loss_kept_unreadable")) == 1


def test_a_forgotten_loss_is_named(bob: Any) -> None:
    HeistToken.objects.filter(user=bob).update(losses_on_deleted=None)

    (line,) = found("loss_not_kept")
    assert line.startswith(f"player {bob.pk}, notification ") and "points 100" in line


@pytest.mark.parametrize(
    ("before", "named"), [(32 * DAY - SECOND, False), (32 * DAY - SECOND - MICRO, True), (32 * DAY, False)]
)
def test_only_the_losses_of_32_days_have_to_be_kept(bob: Any, before: dt.timedelta, named: bool) -> None:
    note = HeistNotification.objects.get(type="HEIST_VICTIM")
    HeistNotification.objects.create(
        user=bob, type="HEIST_VICTIM", message="-", metadata={"points": 7}, created_at=note.created_at - before
    )

    assert bool(found("loss_not_kept")) is named


def deleted_loss(people: Any, at: dt.datetime, points: int = 50, number: int = 1) -> None:
    tokens(people.bob, losses_on_deleted=[{"heist": number, "points": points, "at": at.isoformat()}])


@pytest.mark.parametrize(
    ("gap", "hours", "number", "named"),
    [
        (48 * HOUR - SECOND - MICRO, 48, 1, True),
        (48 * HOUR - SECOND, 48, 1, False),
        (HOUR, 0, 1, False),
        # Judged before: the heist that was deleted is the later one.
        (HOUR, 48, 99, False),
    ],
)
@pytest.mark.parametrize("status", ["SUCCESS", "FAILED_SHIELD"])
def test_an_outcome_inside_the_protection_of_a_deleted_success(
    people: Any, gap: dt.timedelta, hours: int, number: int, named: bool, status: str
) -> None:
    deleted_loss(people, NOW - gap, number=number)
    code = None if status == "SUCCESS" else "shield"
    rules = rule_set(target_cooldown_hours=hours)
    row = heist(people.alice, people.bob, rules, pk=10, status=status, failure_code=code)
    heist(people.alice, people.carol, rule_set(target_cooldown_hours=hours), pk=11)

    line = f"heist {row.pk}, victim {people.bob.pk}: status {status}, previous_heist 1, previous {NOW - gap}"
    assert found("window_protection") == ([f"{line}, created_at {NOW}"] if named else [])


def test_the_latest_deleted_success_counts(people: Any) -> None:
    losses = [
        {"heist": number, "points": 50, "at": (NOW - gap).isoformat()}
        for number, gap in [(1, 3 * HOUR), (2, HOUR), (3, 60 * HOUR)]
    ]
    tokens(people.bob, losses_on_deleted=losses)
    heist(people.alice, people.bob, rule_set(), pk=10)

    (line,) = found("window_protection")
    assert "previous_heist 2" in line


@pytest.mark.parametrize(
    ("number", "at", "points", "named"),
    [
        (1, NOW - HOUR, 51, "heist_loss_limit"),
        (1, NOW - HOUR, 50, None),
        # Of another month, or judged after the row.
        (1, NOW - 30 * DAY, 51, None),
        (99, NOW - HOUR, 51, None),
    ],
)
def test_a_deleted_loss_counts_for_the_limit_of_the_heists_after_it(
    people: Any, number: int, at: dt.datetime, points: int, named: str | None
) -> None:
    # Of 1,000 points and what was lost, 10 % may go: 50 more after a loss of 50 and a half.
    deleted_loss(people, at, points=1050 * 10 // 100 - 50 + (points - 50) * 2, number=number)
    heist(people.alice, people.bob, rule_set(), pk=10)

    for code in ("heist_loss_limit", "heist_amount_short"):
        assert bool(found(code)) is (code == named), code


def test_of_two_deleted_losses_the_one_before_the_heist_counts(people: Any) -> None:
    # Of 1,000 points and 60 that were lost, 10 % may go, so that 46 are left; of 1,000 alone, the share of 50.
    losses = [{"heist": number, "points": 60, "at": (NOW - HOUR).isoformat()} for number in (1, 99)]
    tokens(people.bob, losses_on_deleted=losses)
    heist(people.alice, people.bob, rule_set(), pk=10, points=46)

    assert found("heist_loss_limit") == found("heist_amount_short") == []


def test_a_smaller_amount_is_explained_by_kept_losses_only_where_all_are_kept(people: Any) -> None:
    deleted_loss(people, NOW - HOUR, points=60)
    row = heist(people.alice, people.bob, rule_set(), pk=10, points=45)
    assert (1000 + 60) * 10 // 100 - 60 == 46
    HeistNotification.objects.create(user=people.bob, type="HEIST_VICTIM", message="-", created_at=NOW - HOUR)

    assert [line.split(",")[0] for line in found("heist_amount_short")] == [f"heist {row.pk}"]

    # A later loss took the place of those of that month: only the notification is left.
    HeistToken.objects.update(losses_on_deleted=[{"heist": 99, "points": 1, "at": (NOW + 30 * DAY).isoformat()}])
    assert found("heist_amount_short") == []
