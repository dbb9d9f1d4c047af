"""The leaderboard of points, of this month and of earlier ones, over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from gamification import standings
from gamification.models import MonthlyStanding, PlayerProfile
from gamification.months import close_month
from tests.conftest import HeistSettings
from tests.factories import player
from tests.plans import prepared_plans

from .test_months import OCTOBER, SECOND, TURN, Clock, award, clock, lock, points, stored  # noqa: F401

pytestmark = pytest.mark.django_db
URL = "/api/leaderboard/"


@pytest.fixture
def client(clock: Clock, heist_settings: HeistSettings) -> APIClient:  # noqa: F811
    """A client that is signed in as a player without points."""
    heist_settings(READ_RATE_LIMIT_PER_MINUTE=10_000)
    client = APIClient()
    client.force_authenticate(player("me"))
    return client


def page(client: APIClient, url: str = URL, **params: Any) -> dict[str, Any]:
    answer = client.get(url, params)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def everything(client: APIClient, **params: Any) -> list[tuple[int, int]]:
    """Return (player, points) of all pages, and check that they lead back to the first one."""
    body, found, pages = page(client, **params), [], []
    while True:
        pages.append(rows(body))
        found += rows(body)
        if body["next"] is None:
            break
        body = page(client, body["next"])
    for earlier in reversed(pages[:-1]):
        body = page(client, body["previous"])
        assert rows(body) == earlier
    return found


def rows(body: dict[str, Any]) -> list[tuple[int, int]]:
    return [(row["player"]["id"], row["monthly_points"]) for row in body["results"]]


def problem(client: APIClient, month: str) -> str:
    answer = client.get(URL, {"month": month})
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    [error] = answer.json()["errors"]
    assert error["field"] == "month"
    return str(error["code"])


def test_this_month(client: APIClient) -> None:
    alice, bob, carol = player("alice", points=5), player(points=9), player(points=9)
    player(points=0)

    body = page(client)

    assert (body["month"], body["final"], body["next"], body["previous"]) == ("2026-10", False, None, None)
    assert rows(body) == [(bob.pk, 9), (carol.pk, 9), (alice.pk, 5)]
    assert body["results"][2]["player"] == {"id": alice.pk, "name": "alice"}
    assert page(client, month="2026-10") == body


def test_a_month_that_is_over_is_merged_from_standings_and_stale_profiles(client: APIClient, clock: Clock) -> None:  # noqa: F811
    users = [player(points=n // 3) for n in range(20)]
    expected = sorted(((u.pk, n // 3) for n, u in enumerate(users) if n > 2), key=lambda row: (-row[1], row[0]))
    clock(TURN)
    lock(*users[::2])
    award(users[0], 1000)

    assert page(client, month="2026-10")["final"] is False
    for size in (1, 2, 3, 7, 100):
        assert everything(client, month="2026-10", page_size=size) == expected
    assert rows(page(client)) == [(users[0].pk, 1000)]

    close_month(using="default")
    clock(TURN + 2 * SECOND)
    assert page(client, month="2026-10")["final"] is True
    assert everything(client, month="2026-10", page_size=3) == expected


def test_a_month_is_not_final_while_a_host_may_still_be_in_it(client: APIClient, clock: Clock) -> None:  # noqa: F811
    clock(TURN)

    assert not standings.is_final(OCTOBER, TURN + SECOND - dt.timedelta(microseconds=1))
    assert standings.is_final(OCTOBER, TURN + SECOND)


def test_a_profile_without_points_keeps_no_month_open(client: APIClient, clock: Clock) -> None:  # noqa: F811
    poor = player(points=0)
    clock(TURN + 2 * SECOND)

    body = page(client, month="2026-10")

    assert (body["final"], body["results"]) == (True, [])
    assert stored(poor)[0] == OCTOBER


def test_a_profile_that_is_closed_between_the_two_reads_is_there_once(
    client: APIClient,
    clock: Clock,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice, bob = player(points=5), player(points=9)
    clock(TURN)
    original = standings.boards

    def closing(closed: Any) -> Any:
        class Closing:
            @staticmethod
            def order_by(*fields: Any) -> Any:
                lock(alice)
                return closed.order_by(*fields)

        return Closing

    def boards(*args: Any) -> list[Any]:
        stale, closed = original(*args)
        return [stale, closing(closed)]

    monkeypatch.setattr(standings, "boards", boards)

    assert rows(page(client, month="2026-10")) == [(bob.pk, 9), (alice.pk, 5)]
    assert MonthlyStanding.objects.count() == 1


@pytest.mark.parametrize(
    ("month", "code"),
    [
        ("", "invalid_month"),
        ("2026", "invalid_month"),
        ("2026-13", "invalid_month"),
        ("2026-00", "invalid_month"),
        ("2026-1", "invalid_month"),
        ("2026-10-01", "invalid_month"),
        ("0000-10", "invalid_month"),
        ("٢٠٢٦-10", "invalid_month"),
        ("2026-10\n", "invalid_month"),
        ("2026-11", "future_month"),
        ("9999-12", "future_month"),
        ("2026-09", "month_too_early"),
        ("0001-01", "month_too_early"),
    ],
)
def test_a_month_that_can_not_be_read_is_a_problem(client: APIClient, month: str, code: str) -> None:
    assert problem(client, month) == code


def test_the_first_month_is_that_of_the_oldest_points(client: APIClient, clock: Clock) -> None:  # noqa: F811
    alice = player(points=5)
    clock(TURN)
    close_month(using="default")
    clock(TURN + dt.timedelta(days=40))

    assert rows(page(client, month="2026-10")) == [(alice.pk, 5)]
    assert rows(page(client, month="2026-11")) == rows(page(client, month="2026-12")) == []
    assert problem(client, "2026-09") == "month_too_early"


class ReadOnly:
    """Names the database of profiles for their reads, and one that does not exist for everything else."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "default" if model is PlayerProfile and not hints else "nowhere"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "nowhere"


def test_every_statement_goes_to_the_database_that_profiles_are_read_from(clock: Clock, settings: Any) -> None:  # noqa: F811
    alice, bob = player(points=5), player(points=9)
    clock(TURN)
    lock(bob)
    award(alice, 3)
    carol = player(points=7)
    PlayerProfile.objects.filter(user=carol).update(month=OCTOBER)
    settings.DATABASE_ROUTERS = [ReadOnly()]

    def boards(month: dt.date) -> list[list[tuple[Any, int]]]:
        return [[(user.pk, user.monthly_points) for user in board] for board in standings.boards(month, TURN)]

    assert boards(TURN.date()) == [[(alice.pk, 3)]]
    assert [sorted(board) for board in boards(OCTOBER)] == [[(carol.pk, 7)], [(alice.pk, 5), (bob.pk, 9)]]
    assert standings.is_final(OCTOBER, TURN + SECOND) is False
    assert standings.first_month(TURN) == OCTOBER


def test_a_page_takes_as_many_statements_for_any_number_of_players(client: APIClient, clock: Clock) -> None:  # noqa: F811
    users = [player(points=n + 1) for n in range(12)]
    clock(TURN)
    lock(*users[::2])
    counts = []
    for size in (1, 10):
        for month in ("2026-10", "2026-11"):
            with CaptureQueriesContext(connection) as statements:
                page(client, month=month, page_size=size)
            counts.append(len(statements))

    assert counts == [4, 1] * 2


def test_one_has_to_be_signed_in() -> None:
    assert APIClient().get(URL).status_code == 401


def test_a_reading_changes_nothing(client: APIClient, clock: Clock) -> None:  # noqa: F811
    alice = player(points=5)
    clock(TURN)

    page(client, month="2026-10")
    page(client)

    assert (stored(alice), points(alice), MonthlyStanding.objects.count()) == ((OCTOBER, 5), [0], 0)


@pytest.mark.postgresql
def test_an_earlier_month_is_walked_by_its_indexes(clock: Clock, django_user_model: Any) -> None:  # noqa: F811
    users = django_user_model.objects.bulk_create(
        django_user_model(username=f"player{n}", password="!") for n in range(3000)
    )
    PlayerProfile.objects.bulk_create(
        PlayerProfile(user=user, monthly_points=n + 1, referral_code=f"{n:012}") for n, user in enumerate(users)
    )
    MonthlyStanding.objects.bulk_create(
        MonthlyStanding(player=user, month=dt.date(2026, 9, 1), points=n + 1) for n, user in enumerate(users)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE gamification_playerprofile, gamification_monthlystanding, auth_user")
    clock(TURN)

    stale, _closed = standings.boards(OCTOBER, TURN)
    _stale, closed = standings.boards(dt.date(2026, 9, 1), TURN)
    for board, index in ((stale, "profile_leaderboard"), (closed, "standing_leaderboard")):
        plan = board.order_by("-monthly_points", "pk")[:21].explain(analyze=True, timing=False, costs=False)
        assert index in plan and "Seq Scan" not in plan and "Sort" not in plan


@pytest.mark.postgresql
def test_whether_a_month_is_final_is_read_from_an_index_also_by_a_prepared_plan(
    clock: Clock,  # noqa: F811
    django_user_model: Any,
) -> None:
    clock(TURN)
    users = django_user_model.objects.bulk_create(
        django_user_model(username=f"player{n}", password="!") for n in range(3000)
    )
    PlayerProfile.objects.bulk_create(
        PlayerProfile(user=user, monthly_points=n + 1, referral_code=f"{n:012}") for n, user in enumerate(users)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE gamification_playerprofile")

    with prepared_plans() as plans:
        assert standings.is_final(OCTOBER, TURN + 2 * SECOND) is True

    [plan] = plans
    assert "profile_leaderboard" in plan and "Seq Scan" not in plan


def test_a_month_is_not_final_while_any_profile_has_points_of_it(client: APIClient) -> None:
    player(points=0), player(points=5), player(points=0)

    assert standings.is_final(OCTOBER, TURN + SECOND) is False
