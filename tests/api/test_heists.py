"""Robbing by HTTP, and reading what came of it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists.choices import FailureCode, HeistStatus
from heists.models import Heist, HeistToken, Shield
from heists.services import execute_heist
from tests.factories import player, points_of

pytestmark = pytest.mark.django_db
URL = "/api/heists/"


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"urn:heists:problems:{code}"
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    return body


def test_a_success_tells_the_attacker_everything_of_their_side(signed_in):
    robber, victim = player("robber", points=10, tokens=2), player("victim", points=1000)

    response = signed_in(robber).post(URL, {"victim": victim.pk})

    assert response.status_code == 201
    body = response.json()
    heist = Heist.objects.get()
    assert response["Location"].endswith(f"{URL}{heist.pk}/")
    assert dt.datetime.fromisoformat(body.pop("created_at")) == heist.created_at
    assert dt.datetime.fromisoformat(body.pop("cooldown_ends_at")) == heist.created_at + dt.timedelta(hours=24)
    assert body == {
        "id": heist.pk,
        "role": "attacker",
        "attacker": {"id": robber.pk, "name": "robber"},
        "victim": {"id": victim.pk, "name": "victim"},
        "status": "SUCCESS",
        "failure_code": None,
        "failure_reason": None,
        "points_stolen": 50,
        "token_spent": True,
        "my_points_before": 10,
        "my_points_after": 60,
        "tokens_remaining": 1,
        "message": "Success! You pulled a heist on victim and stole 50 points!",
    }
    assert (points_of(robber), points_of(victim)) == (60, 950)


def test_a_shield_is_an_outcome(signed_in):
    robber, victim = player(tokens=1), player(points=1000)
    Shield.objects.create(player=victim, cost=50, expires_at=timezone.now() + dt.timedelta(days=1))

    response = signed_in(robber).post(URL, {"victim": victim.pk})

    assert response.status_code == 201
    assert response.json()["status"] == "FAILED_SHIELD"
    assert response.json()["failure_code"] == "shield"
    assert response.json()["tokens_remaining"] == 0


def test_a_rejection_is_a_409_with_its_code_and_numbers(signed_in):
    robber, victim = player(), player(points=1000)

    response = signed_in(robber).post(URL, {"victim": victim.pk})

    body = problem(response, 409, "insufficient_tokens")
    heist = Heist.objects.get()
    assert (body["heist"], body["heist_status"]) == (heist.pk, "FAILED_INSUFFICIENT_TOKENS")
    assert (body["required"], body["available"]) == (1, 0)
    assert "Retry-After" not in response


def test_a_rejection_by_time_says_when_to_come_back(signed_in):
    robber, victim, other = player(tokens=2), player(points=1000), player(points=1000)
    client = signed_in(robber)
    client.post(URL, {"victim": victim.pk})

    response = client.post(URL, {"victim": other.pk})

    body = problem(response, 409, "cooldown")
    ends = robber.heist_token.last_spent_at + dt.timedelta(hours=24)
    assert dt.datetime.fromisoformat(body["retry_at"]) == ends
    assert body["retry_at"].endswith("Z")
    assert 86_000 < int(response["Retry-After"]) <= 86_400


def test_a_victim_without_enough_points_is_told_with_numbers(signed_in):
    robber, victim = player(tokens=1), player(points=15)

    body = problem(signed_in(robber).post(URL, {"victim": victim.pk}), 409, "insufficient_points")

    assert (body["required"], body["available"]) == (20, 15)


def test_robbing_oneself_and_the_inactive_is_rejected(signed_in):
    robber, gone = player(tokens=1), player(points=1000, is_active=False)
    client = signed_in(robber)

    problem(client.post(URL, {"victim": robber.pk}), 409, "self_target")
    problem(client.post(URL, {"victim": gone.pk}), 409, "inactive_target")


def test_a_sentence_is_in_the_language_of_the_request(signed_in):
    robber, victim = player(), player(points=1000)

    response = signed_in(robber).post(URL, {"victim": victim.pk}, headers={"accept-language": "de"})

    problem(response, 409, "insufficient_tokens")
    assert response["Content-Language"] == "de"


@pytest.mark.parametrize("reached", [True, False])
def test_the_same_key_again_gives_the_same_answer(signed_in, reached):
    robber, victim = player(tokens=2), player(points=1000 if reached else 0)
    client = signed_in(robber)
    headers = {"idempotency-key": str(uuid.uuid4())}

    first = client.post(URL, {"victim": victim.pk}, headers=headers)
    again = client.post(URL, {"victim": victim.pk}, headers=headers)

    assert first.status_code == again.status_code == (201 if reached else 409)
    assert first.json() == again.json()
    assert Heist.objects.count() == 1


def test_a_replay_is_answered_while_the_feature_is_off(signed_in, settings):
    robber, victim = player(tokens=2), player(points=1000)
    client = signed_in(robber)
    first = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})
    settings.HEISTS = {**settings.HEISTS, "ENABLED": False}

    again = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})

    assert (again.status_code, again.json()) == (201, first.json())
    problem(client.post(URL, {"victim": victim.pk}), 503, "feature_disabled")


def test_a_key_with_another_body_is_a_422(signed_in):
    robber, victim, other = player(tokens=2), player(points=1000), player(points=1000)
    client = signed_in(robber)
    client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})

    problem(client.post(URL, {"victim": other.pk}, headers={"idempotency-key": "k"}), 422, "idempotency_key_reused")


def test_a_key_belongs_to_its_player(signed_in):
    one, two, victim = player(tokens=1), player(tokens=1), player(points=1000)
    signed_in(one).post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})

    problem(signed_in(two).post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"}), 409, "protected")


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb", "\x7f"])
def test_a_malformed_key_is_a_400(signed_in, key):
    victim = player(points=1000)

    response = signed_in(player(tokens=1)).post(URL, {"victim": victim.pk}, headers={"idempotency-key": key})

    problem(response, 400, "invalid_idempotency_key")
    assert not Heist.objects.exists()


@pytest.mark.parametrize(
    "victim",
    [None, True, False, 1.0, 1.5, "1", "", "x", "\x00", "\ud800", [], [1], {}, {"id": 1}, 2**63, -(2**63) - 1, 10**400],
    ids=repr,
)
def test_a_victim_of_the_wrong_type_or_range_is_a_400(signed_in, victim):
    sent = json.dumps({"victim": victim})
    response = signed_in(player(tokens=1)).generic("POST", URL, sent, content_type="application/json")

    body = problem(response, 400, "validation_error")

    assert [error["field"] for error in body["errors"]] == ["victim"]
    assert not Heist.objects.exists()


@pytest.mark.parametrize("victim", [0, -1, 987654321, 2**31 - 1])
def test_a_victim_who_is_nobody_is_a_400(signed_in, victim):
    problem(signed_in(player(tokens=1)).post(URL, {"victim": victim}), 400, "unknown_player")
    assert not Heist.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'"x"',
        b"{}",
        b'{"victim": NaN}',
        b'{"victim": 1, "victim": 2}',
        b'{"victim": ' + b"9" * 5000 + b"}",
        b"[" * 30_000,
        b'{"victim": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"victim": "\xff\xfe"}',
        b'\xef\xbb\xbf{"victim": 1}',
        '{"victim": 1}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_malformed_body_is_a_400(signed_in, body):
    response = signed_in(player(tokens=1)).generic("POST", URL, body, content_type="application/json")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert not Heist.objects.exists()


def test_a_body_in_another_charset_is_still_read_as_utf8(signed_in):
    victim = player(points=1000)

    response = signed_in(player(tokens=1)).generic(
        "POST", URL, b'{"victim": %d}' % victim.pk, content_type="application/json; charset=zlib"
    )

    assert response.status_code == 201


def test_an_endless_body_is_a_413(signed_in):
    response = signed_in(player()).generic("POST", URL, b" " * 70_000, content_type="application/json")

    problem(response, 413, "payload_too_large")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "x"],
)
def test_only_json_is_read(signed_in, kind):
    problem(signed_in(player()).generic("POST", URL, b"victim=1", content_type=kind), 415, "unsupported_media_type")


def test_history_is_newest_first_and_hides_rejections_from_the_victim(signed_in):
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

    won, lost, refused = ("attacker", "SUCCESS"), ("victim", "SUCCESS"), ("attacker", "FAILED_COOLDOWN")
    assert seen() == [refused, lost, won]
    assert seen(role="attacker") == [refused, won]
    assert seen(role="victim") == [lost]
    assert seen(status="SUCCESS") == [lost, won]
    assert seen(role="attacker", status="FAILED_COOLDOWN") == [refused]
    moment = Heist.objects.order_by("pk")[1].created_at.isoformat()
    assert seen(created_after=moment) == [refused, lost]
    assert seen(created_before=moment) == [won]


def test_each_side_reads_its_own_points(signed_in):
    robber, victim = player(points=7, tokens=1), player(points=1000)
    heist = execute_heist(attacker_id=robber.pk, victim_id=victim.pk)

    mine = signed_in(robber).get(f"{URL}{heist.pk}/").json()
    theirs = signed_in(victim).get(f"{URL}{heist.pk}/").json()

    assert (mine["role"], mine["my_points_before"], mine["my_points_after"]) == ("attacker", 7, 57)
    assert (theirs["role"], theirs["my_points_before"], theirs["my_points_after"]) == ("victim", 1000, 950)


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
        {"page_size": "9" * 5000},
    ],
    ids=lambda query: str(query)[:40],
)
def test_a_query_that_makes_no_sense_is_a_400(signed_in, query):
    problem(signed_in(player()).get(URL, query), 400, "validation_error")


def test_every_page_is_reached_forwards_and_backwards_once(signed_in):
    me, others = player(points=1000, tokens=1), [player(points=1000, tokens=1) for _ in range(3)]
    for other in others:
        execute_heist(attacker_id=other.pk, victim_id=me.pk)
        execute_heist(attacker_id=me.pk, victim_id=other.pk)
        execute_heist(attacker_id=me.pk, victim_id=me.pk)
    # The same moment for all of them, so that only the primary key tells them apart.
    Heist.objects.update(created_at=timezone.now())
    client = signed_in(me)
    expected = [heist.pk for heist in Heist.objects.visible_to(me.pk).newest_first()]

    forwards, url, last = [], f"{URL}?page_size=2", ""
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
def test_a_crafted_cursor_is_a_404(signed_in, cursor):
    problem(signed_in(player()).get(URL, {"cursor": cursor}), 404, "invalid_cursor")


@pytest.mark.parametrize("pk", ["0", "-1", "01", "x", "1.0", str(2**63), "9" * 100, "%00", "%F0%9F%92%B0", "٣", "None"])
def test_an_address_that_is_no_heist_is_a_404(signed_in, pk):
    problem(signed_in(player()).get(f"{URL}{pk}/"), 404, "not_found")


def test_the_token_of_somebody_new_is_all_zeros(signed_in):
    response = signed_in(player()).get(f"{URL}token/")

    assert response.json() == {
        "balance": 0,
        "total_earned": 0,
        "total_spent": 0,
        "last_earned_at": None,
        "last_spent_at": None,
        "cooldown_ends_at": None,
    }


def test_the_token_tells_how_long_the_cooldown_lasts(signed_in, settings):
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


def test_stats_add_up(signed_in):
    me, other = player(points=1000, tokens=5), player(points=500, tokens=5)
    execute_heist(attacker_id=me.pk, victim_id=other.pk)  # +25
    execute_heist(attacker_id=me.pk, victim_id=other.pk)  # rejected
    execute_heist(attacker_id=other.pk, victim_id=me.pk)  # -51
    execute_heist(attacker_id=other.pk, victim_id=me.pk)  # rejected, and not mine to know

    body = signed_in(me).get(f"{URL}stats/").json()

    assert body == {
        "as_attacker": {"attempts": 2, "rejected": 1, "successful": 1, "blocked": 0, "points_gained": 25},
        "as_victim": {"times_robbed": 1, "attacks_blocked": 0, "points_lost": 51},
        "net_points": -26,
    }


def test_stats_of_somebody_new_are_all_zeros(signed_in):
    body = signed_in(player()).get(f"{URL}stats/").json()

    assert body["net_points"] == 0
    assert set(body["as_attacker"].values()) == set(body["as_victim"].values()) == {0}


def test_the_leaderboard_counts_this_months_successes(signed_in, settings):
    best, second, victims = player("best", tokens=1), player("second", tokens=1), [player(points=p) for p in (900, 800)]
    execute_heist(attacker_id=second.pk, victim_id=victims[1].pk)
    execute_heist(attacker_id=best.pk, victim_id=victims[0].pk)
    old = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=2000).pk)
    Heist.objects.filter(pk=old.pk).update(created_at=timezone.now() - dt.timedelta(days=32))

    body = signed_in(second).get(f"{URL}leaderboard/").json()

    assert [(r["rank"], r["player"]["name"], r["heists"], r["points_stolen"]) for r in body["results"]] == [
        (1, "best", 1, 45),
        (2, "second", 1, 40),
    ]
    assert [
        r["player"]["name"] for r in signed_in(second).get(f"{URL}leaderboard/", {"limit": 1}).json()["results"]
    ] == ["best"]
    problem(signed_in(second).get(f"{URL}leaderboard/", {"limit": 101}), 400, "validation_error")


@pytest.mark.django_db(transaction=True)
def test_statement_counts(signed_in):
    robber, victim = player(points=10, tokens=2), player(points=1000)
    client, counted = signed_in(robber), {}
    execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)  # the rules have their row

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
    assert counted["detail"] == 2  # the test's own look-up of the id included
    assert counted["stats"] == 2
    assert counted["leaderboard"] == 2
    assert counted["history"] == 2
    assert counted["half the history"] == 1


def test_every_rejection_of_the_table_has_a_problem():
    from heists.api import schema

    codes = {code for code in FailureCode if code != FailureCode.SHIELD}
    assert set(schema.REJECTIONS) == codes
    assert {code.status for code in codes}.isdisjoint(HeistStatus.outcomes())


@pytest.mark.django_db(transaction=True)
def test_a_host_with_atomic_requests_robs_as_well(signed_in, settings):
    robber, victim = player(tokens=1), player(points=1000)
    try:
        connection.settings_dict["ATOMIC_REQUESTS"] = True

        response = signed_in(robber).post(URL, {"victim": victim.pk})
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False

    assert response.status_code == 201
    assert get_user_model().objects.count() == 2
