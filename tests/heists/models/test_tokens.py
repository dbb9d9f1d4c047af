"""What a victim's token row keeps of a heist that is deleted with the attacker's account, and the rules count it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from gamification.services import award_points
from heists.choices import HeistStatus
from heists.conf import rules
from heists.models import Heist, HeistToken
from heists.services import execute_heist
from tests import oracle
from tests.conftest import HeistSettings
from tests.factories import bought_shield, player, points_of, rewrite, tokens_of

pytestmark = pytest.mark.django_db

DAY, MICRO = dt.timedelta(days=1), dt.timedelta(microseconds=1)


def rob(attacker: Any, victim: Any) -> Heist:
    return execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)


def robbed(victim: Any, at: dt.datetime | None = None) -> Heist:
    """Let a new account rob the victim, and move the heist to this time."""
    heist = rob(player(tokens=1), victim)
    assert heist.status == HeistStatus.SUCCESS
    if at:
        rewrite(heist, created_at=at)
        heist.refresh_from_db()
    return heist


def deleted(heist: Heist) -> None:
    get_user_model().objects.get(pk=heist.attacker_id).delete()
    assert not Heist.objects.filter(pk=heist.pk).exists()


def deleted_by_sql(heist: Heist) -> None:
    """Delete the attacker as a script would; SQLite has no cascade, so that the heist alone is deleted there."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DELETE FROM auth_user WHERE id = %s", [heist.attacker_id])
            connection.check_constraints()
        else:
            cursor.execute("DELETE FROM heists_heistnotification WHERE heist_id = %s", [heist.pk])
            cursor.execute("DELETE FROM heists_heist WHERE id = %s", [heist.pk])


def kept(victim: Any) -> list[tuple[int, int, dt.datetime]]:
    return [(loss.heist_id, loss.points, loss.at) for loss in tokens_of(victim).deleted_losses]


def asked_of(client_user: Any, victim: Any) -> tuple[list[str], str | None]:
    """Return the codes of the preview, and the code in the target list."""
    client = APIClient()
    client.force_authenticate(client_user)
    preview = client.get(f"/api/heists/targets/{victim.pk}/").json()
    listed = client.get("/api/heists/targets/").json()["results"]
    (code,) = [row["code"] for row in listed if row["player"]["id"] == victim.pk]
    return [reason["code"] for reason in preview["reasons"]], code


@pytest.mark.parametrize("delete", [deleted, deleted_by_sql])
def test_the_loss_is_kept_to_the_microsecond(delete: Any) -> None:
    victim = player(points=2000)
    heist = robbed(victim)

    delete(heist)

    assert kept(victim) == [(heist.pk, 100, heist.created_at)]


@pytest.mark.parametrize("time", ["2026-05-20 12:00:00+00:00", "2026-05-20 12:00:00.000001+00:00"])
def test_a_whole_second_is_kept_too(time: str) -> None:
    victim = player(points=2000)
    heist = robbed(victim, dt.datetime.fromisoformat(time))

    deleted(heist)

    assert kept(victim) == [(heist.pk, 100, dt.datetime.fromisoformat(time))]


@pytest.mark.parametrize("delete", [deleted, deleted_by_sql])
def test_accounts_that_rob_and_are_deleted_open_their_victim_to_nobody(delete: Any) -> None:
    victim = player(points=2000)
    heist = robbed(victim)
    ends = heist.created_at + rules().protection
    delete(heist)
    next_one = player(tokens=1)

    expected = oracle.questions(next_one.pk, victim.pk, timezone.now())
    assert [(no.code, no.retry_at) for no in expected] == [("protected", ends)]
    assert asked_of(next_one, victim) == (["protected"], "protected")
    again = rob(next_one, victim)

    assert (again.failure_code, again.retry_at) == ("protected", ends)
    assert (points_of(victim), tokens_of(next_one).balance) == (1900, 1)


def test_the_protection_ends_when_it_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    victim, next_one = player(points=2000), player(tokens=1)
    heist = robbed(victim)
    deleted(heist)

    monkeypatch.setattr(timezone, "now", lambda: heist.created_at + rules().protection - MICRO)
    assert rob(next_one, victim).failure_code == "protected"
    monkeypatch.setattr(timezone, "now", lambda: heist.created_at + rules().protection)
    assert rob(next_one, victim).status == HeistStatus.SUCCESS


def test_the_months_losses_to_deleted_accounts_count_for_the_limit(
    heist_settings: HeistSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heist_settings(TARGET_COOLDOWN_HOURS=0)
    now = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    victim = player(points=1000)
    # 50 of 1,000, 47 of 950, and the 3 that are left of the 100.
    for points in (50, 47, 3):
        assert oracle.amount(victim.pk, now) == points
        heist = robbed(victim)
        assert heist.points_stolen == points
        deleted(heist)
        now += dt.timedelta(minutes=5)

    next_one = player(tokens=1)
    assert asked_of(next_one, victim) == (["loss_limit"], "loss_limit")
    rejected = rob(next_one, victim)
    assert (rejected.failure_code, points_of(victim)) == ("loss_limit", 900)
    # With the month, the limit begins again.
    now = dt.datetime(2026, 5, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
    assert rob(next_one, victim).failure_code == "loss_limit"
    now = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    award_points(player=victim, type_name="CHECKIN", points=900)
    assert asked_of(next_one, victim) == ([], None)


def test_an_attempt_that_took_nothing_leaves_nothing() -> None:
    victim = player(points=2000)
    bought_shield(victim, timezone.now())
    blocked, rejected = rob(player(tokens=1), victim), rob(player(), victim)
    assert (blocked.failure_code, rejected.failure_code) == ("shield", "insufficient_tokens")
    HeistToken.objects.get_or_create(user=victim)

    for heist in (blocked, rejected):
        deleted(heist)

    assert tokens_of(victim).losses_on_deleted is None


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_newest_loss_is_kept_and_those_of_the_32_days_before_it(
    heist_settings: HeistSettings, order: tuple[int, ...]
) -> None:
    heist_settings(TARGET_COOLDOWN_HOURS=0, MONTHLY_LOSS_PERCENT=100)
    victim, newest = player(points=2000), timezone.now()
    times = [newest - 40 * DAY, newest - 32 * DAY, newest - 31 * DAY, newest]
    heists = [robbed(victim, at.replace(microsecond=0)) for at in times]

    for number in order:
        deleted(heists[number])

    assert kept(victim) == [(heist.pk, heist.points_stolen, heist.created_at) for heist in heists[2:]]


def test_the_newest_loss_of_each_victim_is_kept(heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0)
    attacker, victims, now = player(tokens=2), [player(points=2000) for _ in range(2)], timezone.now()
    heists = [rob(attacker, victim) for victim in victims]
    rewrite(heists[0], created_at=(old := now.replace(microsecond=0) - 40 * DAY))

    attacker.delete()

    assert kept(victims[0]) == [(heists[0].pk, 100, old)]
    assert kept(victims[1]) == [(heists[1].pk, 100, heists[1].created_at)]


def test_what_outcomes_cost_is_kept_and_rejections_cost_nothing(heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, PAIR_COOLDOWN_HOURS=0, TOKEN_COST=2)
    attacker, other, victim = player(tokens=8), player(tokens=3), player(points=2000)
    statuses = [rob(attacker, victim).status for _ in range(4)]
    assert statuses.count(HeistStatus.SUCCESS) == 3 and len(set(statuses)) == 2
    assert rob(other, victim).failure_code == "loss_limit"
    kept_one = rob(attacker, player(points=2000))

    victim.delete()

    assert Heist.objects.get() == kept_one
    assert [tokens_of(user).spent_on_deleted for user in (attacker, other)] == [6, 0]
    # Deleted later, it is added.
    kept_one.victim.delete()
    assert tokens_of(attacker).spent_on_deleted == 8


def test_a_victim_who_is_deleted_leaves_no_row() -> None:
    victim, heist = (person := player(points=2000)).pk, robbed(person)

    get_user_model().objects.filter(pk__in=[victim, heist.attacker_id]).delete()

    connection.check_constraints()
    assert not HeistToken.objects.exists()


@pytest.mark.parametrize("first", ["attacker", "victim"])
def test_one_after_the_other_is_deleted_in_one_transaction(first: str) -> None:
    victim = player(points=2000)
    heist = robbed(victim)
    people = [get_user_model().objects.get(pk=heist.attacker_id), victim]

    with transaction.atomic():
        for person in people if first == "attacker" else reversed(people):
            person.delete()

    connection.check_constraints()
    assert not HeistToken.objects.exists() and not Heist.objects.exists()


def test_the_victims_row_is_made_by_the_first_success_and_no_rejection() -> None:
    poor, rich = player(points=5), player(points=2000)
    attacker = player(tokens=1)

    assert rob(attacker, poor).status == HeistStatus.FAILED_INSUFFICIENT_POINTS
    rob(attacker, rich)

    assert list(HeistToken.objects.order_by("pk").values_list("user", "balance")) == [(attacker.pk, 0), (rich.pk, 0)]


def test_a_time_without_a_zone_is_in_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "timezone", dt.timezone(dt.timedelta(hours=2)))
    row = HeistToken(losses_on_deleted=[{"heist": 1, "points": 5, "at": "2026-05-20 12:00:00"}])

    assert row.deleted_losses[0].at == dt.datetime(2026, 5, 20, 10, tzinfo=dt.UTC)


def test_losses_are_read_oldest_first() -> None:
    times = ["2026-05-20T12:00:00.5Z", "2026-05-20T11:00:00Z", "2026-05-21T00:00:00Z"]
    row = HeistToken(losses_on_deleted=[{"heist": i, "points": 5, "at": at} for i, at in enumerate(times)])

    assert [loss.heist_id for loss in row.deleted_losses] == [1, 0, 2]
    assert HeistToken().deleted_losses == []
