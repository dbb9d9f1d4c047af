"""Reading the history, pages, tokens, totals and the leaderboard, with their statement counts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from heists.api.fields import utc_isoformat
from heists.api.pagination import KeysetPagination
from heists.models import Heist, HeistToken
from heists.services import execute_heist, reverse_heist
from tests.conftest import HeistSettings
from tests.factories import player, rewrite
from tests.heists.api.answers import URL, problem

pytestmark = pytest.mark.django_db


def test_history_is_newest_first_and_hides_rejections_from_the_victim(signed_in: Any) -> None:
    me, other = player(points=1000, tokens=5), player(points=1000, tokens=5)
    execute_heist(attacker_id=me.pk, victim_id=other.pk)  # success
    execute_heist(attacker_id=other.pk, victim_id=me.pk)  # success
    execute_heist(attacker_id=other.pk, victim_id=me.pk)  # rejected
    execute_heist(attacker_id=me.pk, victim_id=other.pk)  # rejected
    client = signed_in(me)

    def seen(**query: Any) -> list[tuple[str, str]]:
        response = client.get(URL, query)
        assert response.status_code == 200
        return [(heist["role"], heist["status"]) for heist in response.json()["results"]]

    won, lost, rejected = ("attacker", "SUCCESS"), ("victim", "SUCCESS"), ("attacker", "FAILED_COOLDOWN")
    assert seen() == [rejected, lost, won]
    assert seen(role="attacker") == [rejected, won]
    assert seen(role="victim") == [lost]
    assert seen(status="SUCCESS") == [lost, won]
    assert seen(role="attacker", status="FAILED_COOLDOWN") == [rejected]
    second = Heist.objects.order_by("pk")[1].created_at.isoformat()
    assert seen(created_after=second) == [rejected, lost]
    assert seen(created_before=second) == [won]


def test_the_time_and_not_the_id_orders_both_sides_of_the_history(signed_in: Any) -> None:
    me, other = player(points=1000, tokens=1), player(points=1000, tokens=1)
    now = timezone.now()
    lost = execute_heist(attacker_id=other.pk, victim_id=me.pk)
    won = execute_heist(attacker_id=me.pk, victim_id=other.pk)
    rewrite(lost, created_at=now)
    rewrite(won, created_at=now - dt.timedelta(hours=1))
    client = signed_in(me)

    first = client.get(URL, {"page_size": 1}).json()
    second = client.get(first["next"]).json()

    assert [row["id"] for row in client.get(URL).json()["results"]] == [lost.pk, won.pk]
    assert [row["id"] for page in (first, second) for row in page["results"]] == [lost.pk, won.pk]
    assert client.get(second["previous"]).json()["results"] == first["results"]


def test_the_id_orders_both_sides_of_the_history_at_equal_times(signed_in: Any, heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0)
    me, other = player(points=1000, tokens=2), player(points=1000, tokens=2)
    expected: list[int] = []
    for attacker, victim in ((me, other), (other, me), (me, other), (other, me)):
        expected.insert(0, execute_heist(attacker_id=attacker.pk, victim_id=victim.pk).pk)
    rewrite(Heist.objects.all(), created_at=timezone.now())
    client = signed_in(me)

    first = client.get(URL, {"page_size": 2}).json()
    second = client.get(first["next"]).json()

    assert [row["id"] for row in client.get(URL).json()["results"]] == expected
    assert [row["id"] for page in (first, second) for row in page["results"]] == expected
    assert client.get(second["previous"]).json()["results"] == first["results"]


def test_a_rejection_has_its_code_and_its_reason_in_the_history(signed_in: Any) -> None:
    me, victim = player(), player(points=1000)
    rejected = signed_in(me).post(URL, {"victim": victim.pk}).json()

    [row] = signed_in(me).get(URL).json()["results"]

    assert (row["failure_code"], row["failure_reason"]) == ("insufficient_tokens", rejected["detail"])
    assert (row["status"], row["token_spent"], row["points_stolen"]) == (rejected["heist_status"], False, 0)


def test_each_side_reads_its_own_points(signed_in: Any) -> None:
    robber, victim = player(points=7, tokens=1), player(points=1000)
    heist = execute_heist(attacker_id=robber.pk, victim_id=victim.pk)

    mine = signed_in(robber).get(f"{URL}{heist.pk}/").json()
    theirs = signed_in(victim).get(f"{URL}{heist.pk}/").json()

    assert (mine["role"], mine["my_points_before"], mine["my_points_after"]) == ("attacker", 7, 57)
    assert (theirs["role"], theirs["my_points_before"], theirs["my_points_after"]) == ("victim", 1000, 950)


def test_a_reversed_heist_says_so_to_both_sides(signed_in: Any) -> None:
    robber, victim = player(points=7, tokens=1), player(points=1000)
    heist = execute_heist(attacker_id=robber.pk, victim_id=victim.pk)
    before = signed_in(robber).get(URL).json()["results"]
    reversal = reverse_heist(heist_id=heist.pk, reversed_by=None, reason="a secret", note="Sorry.")

    at = utc_isoformat(reversal.created_at)
    for user in (robber, victim):
        client = signed_in(user)
        [listed] = client.get(URL).json()["results"]
        assert listed["reversed"] == {"points": 50, "at": at}
        assert client.get(f"{URL}{heist.pk}/").json() == listed
        assert "a secret" not in str(listed)
    assert before[0]["reversed"] is None
    assert (listed["points_stolen"], listed["my_points_after"]) == (50, 950)


def test_a_repeated_request_gets_the_first_answer_also_after_a_reversal(signed_in: Any) -> None:
    robber, victim = player(tokens=1), player(points=1000)
    client = signed_in(robber)

    def post() -> Any:
        response = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})
        assert response.status_code == 201
        return response.json()

    first = post()
    reverse_heist(heist_id=first["id"], reversed_by=None, reason="a bug")

    assert post() == first
    assert first["reversed"] is None


def test_returned_points_do_not_count(signed_in: Any, heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0)
    me, other = player(tokens=2), player("other", points=1000)
    first = execute_heist(attacker_id=me.pk, victim_id=other.pk)
    second = execute_heist(attacker_id=me.pk, victim_id=other.pk)
    assert (first.points_stolen, second.points_stolen) == (50, 47)
    reverse_heist(heist_id=first.pk, reversed_by=None, reason="a bug")

    mine, theirs = (signed_in(user).get(f"{URL}stats/").json() for user in (me, other))
    [leader] = signed_in(me).get(f"{URL}leaderboard/").json()["results"]

    assert (mine["as_attacker"]["points_gained"], mine["as_attacker"]["successful"], mine["net_points"]) == (47, 2, 47)
    assert (theirs["as_victim"]["points_lost"], theirs["as_victim"]["times_robbed"], theirs["net_points"]) == (
        47,
        2,
        -47,
    )
    assert (leader["points_stolen"], leader["heists"]) == (47, 2)


@pytest.mark.parametrize(
    "query",
    [
        {"role": "thief"},
        {"role": ""},
        {"status": "success"},
        {"status": "\x00"},
        {"created_after": "yesterday"},
        {"created_before": "2026-13-01"},
        {"created_after": "0001-01-01T00:00:00+14:00"},
        {"created_after": "9999-12-31T23:59:59-14:00"},
        {"page_size": "0"},
        {"page_size": "-1"},
        {"page_size": "many"},
        {"page_size": ""},
        {"page_size": "1.5"},
        {"page_size": "-" + "9" * 5000},
    ],
    ids=lambda query: str(query)[:40],
)
def test_an_invalid_query_is_a_400(signed_in: Any, query: Any) -> None:
    problem(signed_in(player()).get(URL, query), 400, "validation_error")


def test_paging_forwards_and_backwards_shows_each_heist_once(signed_in: Any) -> None:
    me, others = player(points=1000, tokens=1), [player(points=1000, tokens=1) for _ in range(3)]
    for other in others:
        execute_heist(attacker_id=other.pk, victim_id=me.pk)
        execute_heist(attacker_id=me.pk, victim_id=other.pk)
        execute_heist(attacker_id=me.pk, victim_id=me.pk)
    # Equal times, so that only the primary key orders them.
    rewrite(Heist.objects.all(), created_at=timezone.now())
    client = signed_in(me)
    expected = [heist.pk for heist in Heist.objects.visible_to(me.pk).newest_first()]

    forwards: list[int] = []
    url, last = f"{URL}?page_size=2", {}
    while url:
        page = client.get(url).json()
        forwards += [heist["id"] for heist in page["results"]]
        last, url = page, page["next"]
    backwards, page = [heist["id"] for heist in last["results"]], last
    while page["previous"]:
        page = client.get(page["previous"]).json()
        backwards = [heist["id"] for heist in page["results"]] + backwards

    assert forwards == expected == backwards
    assert page["previous"] is None


@pytest.mark.parametrize("path", ["", "targets/", "notifications/", "shields/"])
@pytest.mark.parametrize(
    ("page_size", "rows"),
    [("1", 1), ("9", 9), ("99", 99), ("100", 100), ("101", 100), ("200", 100), ("1000", 100), ("9" * 5000, 100)],
    ids=lambda value: str(value)[:8],
)
def test_a_page_has_at_most_100_rows(
    signed_in: Any, monkeypatch: pytest.MonkeyPatch, path: str, page_size: str, rows: int
) -> None:
    sizes: list[int] = []
    read = KeysetPagination.page_size

    def page_size_of(self: KeysetPagination) -> int:
        sizes.append(read(self))
        return sizes[-1]

    monkeypatch.setattr(KeysetPagination, "page_size", page_size_of)

    assert signed_in(player()).get(URL + path, {"page_size": page_size}).status_code == 200
    assert sizes == [rows]


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "!",
        "W10",
        "WzEsMiwzXQ",
        "eyJhIjoxfQ",
        "WzAsIngiLDFd",
        "WzAsIjIwMjYtMDEtMDFUMDA6MDA6MDBaIiwiXHUwMDAwIl0",
        "A" * 2000,
    ],
)
def test_a_forged_cursor_is_a_404(signed_in: Any, cursor: Any) -> None:
    problem(signed_in(player()).get(URL, {"cursor": cursor}), 404, "invalid_cursor")


@pytest.mark.parametrize("pk", ["0", "-1", "01", "x", "1.0", str(2**63), "9" * 100, "%00", "%F0%9F%92%B0", "٣", "None"])
def test_a_path_without_a_heists_id_is_a_404(signed_in: Any, pk: Any) -> None:
    problem(signed_in(player()).get(f"{URL}{pk}/"), 404, "not_found")


def test_the_token_of_a_new_player_is_zero(signed_in: Any) -> None:
    response = signed_in(player()).get(f"{URL}token/")

    assert response.json() == {
        "balance": 0,
        "total_earned": 0,
        "total_spent": 0,
        "last_earned_at": None,
        "last_spent_at": None,
        "cooldown_ends_at": None,
    }


def test_the_token_has_the_end_of_the_cooldown(signed_in: Any, settings: Settings) -> None:
    robber, victim = player(tokens=3), player(points=1000)
    execute_heist(attacker_id=robber.pk, victim_id=victim.pk)
    client = signed_in(robber)

    body = client.get(f"{URL}token/").json()

    token = HeistToken.objects.get(user=robber)
    assert (body["balance"], body["total_earned"], body["total_spent"]) == (2, 3, 1)
    assert dt.datetime.fromisoformat(body["last_spent_at"]) == token.last_spent_at
    assert dt.datetime.fromisoformat(body["cooldown_ends_at"]) == token.last_spent_at + dt.timedelta(hours=24)
    settings.HEISTS = {**settings.HEISTS, "COOLDOWN_HOURS": 0}
    assert client.get(f"{URL}token/").json()["cooldown_ends_at"] is None


def test_stats_add_up(signed_in: Any) -> None:
    me, other = player(points=1000, tokens=5), player(points=500, tokens=5)
    execute_heist(attacker_id=me.pk, victim_id=other.pk)  # +25
    execute_heist(attacker_id=me.pk, victim_id=other.pk)  # rejected
    execute_heist(attacker_id=other.pk, victim_id=me.pk)  # -51
    execute_heist(attacker_id=other.pk, victim_id=me.pk)  # rejected, and hidden from the victim

    body = signed_in(me).get(f"{URL}stats/").json()

    assert body == {
        "as_attacker": {"attempts": 2, "rejected": 1, "successful": 1, "blocked": 0, "points_gained": 25},
        "as_victim": {"times_robbed": 1, "attacks_blocked": 0, "points_lost": 51},
        "net_points": -26,
    }


def test_stats_of_a_new_player_are_zero(signed_in: Any) -> None:
    body = signed_in(player()).get(f"{URL}stats/").json()

    assert body["net_points"] == 0
    assert set(body["as_attacker"].values()) == set(body["as_victim"].values()) == {0}


def test_the_leaderboard_counts_this_months_successes(signed_in: Any, settings: Settings) -> None:
    best, second, victims = player("best", tokens=1), player("second", tokens=1), [player(points=p) for p in (900, 800)]
    execute_heist(attacker_id=second.pk, victim_id=victims[1].pk)
    execute_heist(attacker_id=best.pk, victim_id=victims[0].pk)
    old = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=2000).pk)
    rewrite(old, created_at=timezone.now() - dt.timedelta(days=32))

    body = signed_in(second).get(f"{URL}leaderboard/").json()

    assert [(r["rank"], r["player"]["name"], r["heists"], r["points_stolen"]) for r in body["results"]] == [
        (1, "best", 1, 45),
        (2, "second", 1, 40),
    ]
    assert [
        r["player"]["name"] for r in signed_in(second).get(f"{URL}leaderboard/", {"limit": 1}).json()["results"]
    ] == ["best"]
    for limit, status in ((0, 400), (-1, 400), ("x", 400), ("", 400), (1, 200), (100, 200), (101, 400)):
        assert signed_in(second).get(f"{URL}leaderboard/", {"limit": limit}).status_code == status


def test_the_leaderboard_has_ten_places_by_default(signed_in: Any) -> None:
    for _ in range(11):
        execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    client = signed_in(player())

    assert len(client.get(f"{URL}leaderboard/").json()["results"]) == 10
    assert len(client.get(f"{URL}leaderboard/", {"limit": 100}).json()["results"]) == 11


def test_the_leaderboard_of_an_earlier_month(signed_in: Any, settings: Settings, monkeypatch: Any) -> None:
    best = player("best", tokens=1)
    heist = execute_heist(attacker_id=best.pk, victim_id=player(points=900).pk)
    rewrite(heist, created_at=dt.datetime(2026, 3, 31, 21, tzinfo=dt.UTC))
    settings.TIME_ZONE = "Europe/Berlin"
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(2026, 5, 5, tzinfo=dt.UTC))
    client = signed_in(best)

    march = client.get(f"{URL}leaderboard/", {"month": "2026-03"}).json()

    assert [(row["player"]["name"], row["points_stolen"]) for row in march["results"]] == [("best", 45)]
    assert (march["month"], march["since"], march["until"]) == (
        "2026-03",
        "2026-02-28T23:00:00Z",
        "2026-03-31T22:00:00Z",
    )
    for month in ("2026-04", "2026-05"):
        assert client.get(f"{URL}leaderboard/", {"month": month}).json()["results"] == []
    for month, code in (
        ("2026-02", "month_too_early"),
        ("0001-01", "month_too_early"),
        ("2026-06", "future_month"),
        ("9999-12", "future_month"),
        ("2026-3", "invalid_month"),
        ("march", "invalid_month"),
        ("", "invalid_month"),
    ):
        answer = client.get(f"{URL}leaderboard/", {"month": month})
        problem(answer, 400, "validation_error")
        assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("month", code)]


@pytest.mark.django_db(transaction=True)
def test_statement_counts(signed_in: Any) -> None:
    robber, victim = player(points=10, tokens=2), player(points=1000)
    client, counted = signed_in(robber), {}
    execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)  # creates the rule set

    def count(name: str, send: Any, expected: int) -> None:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert send().status_code == expected
        counted[name] = len(queries)

    count("success", lambda: client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"}), 201)
    count("rejection", lambda: client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "l"}), 409)
    count("token", lambda: client.get(f"{URL}token/"), 200)
    count("detail", lambda: client.get(f"{URL}{Heist.objects.latest('pk').pk}/"), 200)
    count("stats", lambda: client.get(f"{URL}stats/"), 200)
    count("leaderboard", lambda: client.get(f"{URL}leaderboard/"), 200)
    count("history", lambda: client.get(URL), 200)
    count("half the history", lambda: client.get(URL, {"role": "victim"}), 200)

    assert counted["success"] <= 12
    assert counted["rejection"] <= 4
    assert counted["token"] == 1
    assert counted["detail"] == 2  # one is the look-up of the id above
    assert counted["stats"] == 2
    # The newest closed heist, what was returned, the closed days' sums, the sums of today's players, the names.
    assert counted["leaderboard"] == 5
    assert counted["history"] == 2
    assert counted["half the history"] == 1
