"""The numbers of the dashboard at their boundaries."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from heists.choices import EmailState, HeistStatus
from heists.models import Heist, HeistToken, OutboxEmail, Reversal, Shield
from heists.queries import dashboard, leaderboard, rollups, warnings
from heists.rules import DAY
from heists.services import execute_heist
from tests.factories import player, rewrite

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
HOUR, INSTANT = dt.timedelta(hours=1), dt.timedelta(microseconds=1)


def heist(at: dt.datetime, *, attacker: Any = None, points: int = 0) -> Heist:
    """Return a rejection, or a success with these points."""
    found = execute_heist(attacker_id=(attacker or player()).pk, victim_id=player().pk)
    success: dict[str, Any] = {
        "status": HeistStatus.SUCCESS,
        "failure_code": None,
        "token_spent": True,
        "points_stolen": points,
        "victim_points_before": points,
        "attacker_points_after": points,
    }
    rewrite(found, created_at=at, **(success if points else {}))
    return found


def email(state: EmailState, **fields: Any) -> None:
    user = player(tokens=1, email="somebody@example.org")
    OutboxEmail.objects.filter(notification__user=user).update(state=state, **fields)


def test_a_period_begins_with_the_first_moment_of_its_first_day() -> None:
    midnight = NOON.replace(hour=0)
    heist(midnight - 6 * DAY - INSTANT)
    heist(midnight - 6 * DAY)
    # Where closed days end.
    heist(midnight - INSTANT)
    heist(midnight)

    period = dashboard.period(7, NOON)

    assert [day.date.day for day in period.days] == [14, 15, 16, 17, 18, 19, 20]
    assert [day.attempts for day in period.days] == [1, 0, 0, 0, 0, 1, 1]


def test_days_are_the_sites_whatever_the_readers_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    heist(dt.datetime(2026, 5, 19, 13, tzinfo=dt.UTC))

    with timezone.override("America/New_York"):
        period = dashboard.period(7, dt.datetime(2026, 5, 19, 13, 30, tzinfo=dt.UTC))

    assert [(day.date.isoformat(), day.attempts) for day in period.days if day.attempts] == [("2026-05-20", 1)]
    assert period.days[-1].date.isoformat() == "2026-05-20"


# In Havana the first hour of a day came twice; in St. John's the day before ended again a minute after midnight.
SET_BACK = pytest.mark.parametrize(
    ("zone", "first", "later"),
    [
        ("America/Havana", dt.datetime(2026, 11, 1, 4, 30, tzinfo=dt.UTC), HOUR),
        ("America/St_Johns", dt.datetime(2010, 11, 7, 2, 30, tzinfo=dt.UTC), HOUR / 2),
    ],
)


@SET_BACK
def test_attempts_of_a_repeated_hour_add_up(settings: Any, zone: str, first: dt.datetime, later: dt.timedelta) -> None:
    settings.TIME_ZONE = zone
    for at in (first, first + later):
        heist(at)

    for days in (1, 2, 7):
        assert dashboard.period(days, first + 12 * HOUR).attempts == 2, days


@SET_BACK
def test_returned_points_of_a_repeated_hour_are_subtracted(
    settings: Any, zone: str, first: dt.datetime, later: dt.timedelta
) -> None:
    settings.TIME_ZONE = zone
    for at in (first, first + later):
        Reversal.objects.create(
            heist=heist(at, points=30),
            points_returned=20,
            attacker_points_before=30,
            attacker_points_after=10,
            victim_points_before=0,
            victim_points_after=20,
            reason="a bug",
            created_at=at,
        )

    assert dashboard.period(1, first + 12 * HOUR).points == 20


def test_a_list_has_ten_players() -> None:
    for points in range(1, 13):
        heist(NOON - HOUR, points=points)

    period = dashboard.period(7, NOON)

    assert [rank.points for rank in period.attackers] == [*range(12, 2, -1)]
    assert [rank.points for rank in period.victims] == [*range(12, 2, -1)]


def test_without_attempts_there_is_no_rate() -> None:
    assert dashboard.period(7, NOON).success_rate is None
    heist(NOON)
    assert dashboard.period(7, NOON).success_rate == 0


def test_the_oldest_email_is_the_first_that_was_due_of_those_that_wait() -> None:
    assert dashboard.outbox(NOON) == dashboard.Outbox(0, None, 0)
    email(EmailState.WAITING, due_at=NOON - HOUR, created_at=NOON - HOUR)
    email(EmailState.WAITING, due_at=NOON + HOUR, created_at=NOON - 9 * HOUR)
    email(EmailState.SENT, due_at=NOON - 5 * HOUR)
    email(EmailState.FAILED, due_at=NOON - 7 * HOUR, created_at=NOON)

    assert dashboard.outbox(NOON) == dashboard.Outbox(2, NOON - HOUR, 1)


def test_emails_that_were_given_up_count_for_thirty_days() -> None:
    for age in (30 * DAY, 30 * DAY + INSTANT):
        email(EmailState.FAILED, created_at=NOON - age)

    assert dashboard.outbox(NOON).failed == 1


def test_only_shields_that_are_live_count() -> None:
    for used in (None, NOON - HOUR):
        Shield.objects.create(player=player(), cost=1, bought_at=NOON - DAY, expires_at=NOON + DAY, used_at=used)
    Shield.objects.create(player=player(), cost=1, bought_at=NOON - 8 * DAY, expires_at=NOON - INSTANT)

    assert dashboard.live_shields(NOON) == 1


def test_the_distribution_is_in_order_and_five_minutes_old_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dt.timedelta]] = []

    def cached(name: str, compute: Any, timeout: dt.timedelta) -> Any:
        asked.append((name, timeout))
        return compute()

    monkeypatch.setattr(dashboard, "cached", cached)
    for tokens in (7, 2, 7, 11):
        player(tokens=tokens)
    HeistToken.objects.create(user=player())

    assert dashboard.token_distribution() == [(0, 1), (2, 1), (7, 2), (11, 1)]
    assert asked == [("tokens", dt.timedelta(minutes=5))]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
@pytest.mark.parametrize("hours", [1, 12.5, 22.9])
def test_after_summarize_no_page_adds_up_closed_days(
    settings: Any, monkeypatch: pytest.MonkeyPatch, zone: str, hours: float
) -> None:
    settings.TIME_ZONE = zone
    monkeypatch.setattr("heists.queries.cached.SLOW_SECONDS", -1)
    winner, computed = player(), []
    heist(NOON - 3 * DAY, attacker=winner, points=30)
    night = dt.datetime(2026, 5, 20, 1, 30, tzinfo=timezone.get_default_timezone())
    dashboard.summarize(night)
    kept: Any = vars(rollups)["cached"]

    def noted(name: str, compute: Any, timeout: dt.timedelta) -> Any:
        def noting() -> Any:
            computed.append(name)
            return compute()

        return kept(name, noting, timeout)

    monkeypatch.setattr(rollups, "cached", noted)
    page_at = night + dt.timedelta(hours=hours)

    assert [leader.player for leader in leaderboard.leaders(now=page_at, limit=5)] == [winner]
    for days in dashboard.PERIODS_DAYS:
        assert dashboard.period(days, page_at).attempts == 1
    warnings.find(page_at)
    assert computed and [name for name in computed if not name.startswith("open-")] == []


@pytest.mark.parametrize(("minutes", "closed"), [(59, 19), (60, 20), (90, 20)])
def test_summarize_closes_no_day_in_the_hour_after_its_end(
    monkeypatch: pytest.MonkeyPatch, minutes: int, closed: int
) -> None:
    before: set[int] = set()
    since = rollups.Rollup.since

    def noted(first: dt.date, time_zone: str, *, closed_before: dt.date) -> rollups.Rollup:
        before.add(closed_before.day)
        return since(first, time_zone, closed_before=closed_before)

    monkeypatch.setattr(rollups.Rollup, "since", noted)
    dashboard.summarize(NOON.replace(hour=0) + dt.timedelta(minutes=minutes))

    assert before == {closed}
