"""POST of a heist."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from heists.choices import FailureCode, HeistStatus
from heists.models import Heist, Shield
from tests.factories import player, points_of
from tests.heists.api.answers import URL, problem

pytestmark = pytest.mark.django_db


def test_a_success_is_answered_with_the_attackers_side(signed_in: Any) -> None:
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
        "reversed": None,
        "points_stolen": 50,
        "token_spent": True,
        "my_points_before": 10,
        "my_points_after": 60,
        "tokens_remaining": 1,
        "message": "Success! You pulled a heist on victim and stole 50 points!",
    }
    assert (points_of(robber), points_of(victim)) == (60, 950)


def test_a_shield_is_an_outcome(signed_in: Any) -> None:
    robber, victim = player(tokens=1), player(points=1000)
    Shield.objects.create(player=victim, cost=50, expires_at=timezone.now() + dt.timedelta(days=1))

    response = signed_in(robber).post(URL, {"victim": victim.pk})

    assert response.status_code == 201
    assert response.json()["status"] == "FAILED_SHIELD"
    assert response.json()["failure_code"] == "shield"
    assert response.json()["tokens_remaining"] == 0


def test_the_answer_has_the_tokens_and_the_cooldown_of_the_rules_in_force(signed_in: Any, settings: Settings) -> None:
    settings.HEISTS = {**settings.HEISTS, "TOKEN_COST": 2, "COOLDOWN_HOURS": 0}
    robber, victim = player(tokens=5), player(points=1000)

    body = signed_in(robber).post(URL, {"victim": victim.pk}).json()

    assert (body["tokens_remaining"], body["cooldown_ends_at"]) == (3, None)


def test_the_location_is_the_heists_whole_address(signed_in: Any) -> None:
    robber, victim = player(tokens=1), player(points=1000)
    client = signed_in(robber)

    response = client.post(f"{URL}?page_size=5", {"victim": victim.pk})

    assert response["Location"] == f"http://testserver{URL}{Heist.objects.get().pk}/"
    assert client.get(response["Location"]).json()["id"] == response.json()["id"]


def test_times_are_in_utc_in_another_site_time_zone_too(signed_in: Any, settings: Settings) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    settings.HEISTS = {**settings.HEISTS, "MONTHLY_LOSS_PERCENT": 0}
    robber, victim = player(tokens=1), player(points=1000)
    key = {"idempotency-key": "limit"}

    first, again = (signed_in(robber).post(URL, {"victim": victim.pk}, headers=key) for _ in range(2))

    assert problem(first, 409, "loss_limit")["retry_at"].endswith("Z")
    assert first.json() == again.json()


def test_a_rejection_is_a_409_with_its_code_and_numbers(signed_in: Any) -> None:
    robber, victim = player(), player(points=1000)

    response = signed_in(robber).post(URL, {"victim": victim.pk})

    body = problem(response, 409, "insufficient_tokens")
    heist = Heist.objects.get()
    assert (body["heist"], body["heist_status"]) == (heist.pk, "FAILED_INSUFFICIENT_TOKENS")
    assert (body["required"], body["available"]) == (1, 0)
    assert "Retry-After" not in response


def test_a_rejection_by_time_has_retry_at_and_retry_after(signed_in: Any) -> None:
    robber, victim, other = player(tokens=2), player(points=1000), player(points=1000)
    client = signed_in(robber)
    client.post(URL, {"victim": victim.pk})

    response = client.post(URL, {"victim": other.pk})

    body = problem(response, 409, "cooldown")
    ends = robber.heist_token.last_spent_at + dt.timedelta(hours=24)
    assert dt.datetime.fromisoformat(body["retry_at"]) == ends
    assert body["retry_at"].endswith("Z")
    assert 86_000 < int(response["Retry-After"]) <= 86_400


def test_insufficient_points_have_required_and_available(signed_in: Any) -> None:
    robber, victim = player(tokens=1), player(points=15)

    body = problem(signed_in(robber).post(URL, {"victim": victim.pk}), 409, "insufficient_points")

    assert (body["required"], body["available"]) == (20, 15)


def test_robbing_oneself_or_an_inactive_player_is_rejected(signed_in: Any) -> None:
    robber, gone = player(tokens=1), player(points=1000, is_active=False)
    client = signed_in(robber)

    problem(client.post(URL, {"victim": robber.pk}), 409, "self_target")
    problem(client.post(URL, {"victim": gone.pk}), 409, "inactive_target")


def test_a_sentence_is_in_the_language_of_the_request(signed_in: Any) -> None:
    robber, victim = player(), player(points=1000)

    response = signed_in(robber).post(URL, {"victim": victim.pk}, headers={"accept-language": "de"})

    problem(response, 409, "insufficient_tokens")
    assert response["Content-Language"] == "de"


@pytest.mark.parametrize("reached", [True, False])
def test_the_same_key_again_gives_the_same_answer(signed_in: Any, reached: Any) -> None:
    robber, victim = player(tokens=2), player(points=1000 if reached else 0)
    client = signed_in(robber)
    headers = {"idempotency-key": str(uuid.uuid4())}

    first = client.post(URL, {"victim": victim.pk}, headers=headers)
    again = client.post(URL, {"victim": victim.pk}, headers=headers)

    assert first.status_code == again.status_code == (201 if reached else 409)
    assert first.json() == again.json()
    assert Heist.objects.count() == 1


def test_a_replay_is_answered_while_the_feature_is_off(signed_in: Any, settings: Settings) -> None:
    robber, victim = player(tokens=2), player(points=1000)
    client = signed_in(robber)
    first = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})
    settings.HEISTS = {**settings.HEISTS, "ENABLED": False}

    again = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})

    assert (again.status_code, again.json()) == (201, first.json())
    problem(client.post(URL, {"victim": victim.pk}), 503, "feature_disabled")


def test_a_key_with_another_body_is_a_422(signed_in: Any) -> None:
    robber, victim, other = player(tokens=2), player(points=1000), player(points=1000)
    client = signed_in(robber)
    client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})

    problem(client.post(URL, {"victim": other.pk}, headers={"idempotency-key": "k"}), 422, "idempotency_key_reused")


def test_a_key_belongs_to_its_player(signed_in: Any) -> None:
    one, two, victim = player(tokens=1), player(tokens=1), player(points=1000)
    signed_in(one).post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})

    problem(signed_in(two).post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"}), 409, "protected")


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel", "a\tb", "\x7f"])
def test_a_malformed_key_is_a_400(signed_in: Any, key: Any) -> None:
    victim = player(points=1000)

    response = signed_in(player(tokens=1)).post(URL, {"victim": victim.pk}, headers={"idempotency-key": key})

    problem(response, 400, "invalid_idempotency_key")
    assert not Heist.objects.exists()


@pytest.mark.parametrize(
    "victim",
    [None, True, False, 1.0, 1.5, "1", "", "x", "\x00", "\ud800", [], [1], {}, {"id": 1}, 2**63, -(2**63) - 1, 10**400],
    ids=repr,
)
def test_a_victim_of_the_wrong_type_or_range_is_a_400(signed_in: Any, victim: Any) -> None:
    sent = json.dumps({"victim": victim})
    response = signed_in(player(tokens=1)).generic("POST", URL, sent, content_type="application/json")

    body = problem(response, 400, "validation_error")

    assert [error["field"] for error in body["errors"]] == ["victim"]
    assert not Heist.objects.exists()


@pytest.mark.parametrize("victim", [0, -1, 987654321, 2**31 - 1])
def test_an_unknown_victim_is_a_400(signed_in: Any, victim: Any) -> None:
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
def test_a_malformed_body_is_a_400(signed_in: Any, body: Any) -> None:
    response = signed_in(player(tokens=1)).generic("POST", URL, body, content_type="application/json")

    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"
    assert not Heist.objects.exists()


@pytest.mark.parametrize("body", [[], 1, "x", None])
def test_an_error_of_the_whole_body_has_a_fixed_field_name(signed_in: Any, body: Any) -> None:
    response = signed_in(player(tokens=1)).generic("POST", URL, json.dumps(body), content_type="application/json")

    errors = problem(response, 400, "validation_error")["errors"]

    assert [error["field"] for error in errors] == ["non_field_errors"]


def test_a_body_in_another_charset_is_still_read_as_utf8(signed_in: Any) -> None:
    victim = player(points=1000)

    response = signed_in(player(tokens=1)).generic(
        "POST", URL, b'{"victim": %d}' % victim.pk, content_type="application/json; charset=zlib"
    )

    assert response.status_code == 201


def test_a_long_body_is_a_413(signed_in: Any) -> None:
    response = signed_in(player()).generic("POST", URL, b" " * 70_000, content_type="application/json")

    problem(response, 413, "payload_too_large")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "x"],
)
def test_only_json_is_read(signed_in: Any, kind: Any) -> None:
    problem(signed_in(player()).generic("POST", URL, b"victim=1", content_type=kind), 415, "unsupported_media_type")


def test_every_rejection_of_the_table_has_a_problem() -> None:

    codes = {code for code in FailureCode if code != FailureCode.SHIELD}
    assert set(FailureCode.rejections()) == codes
    assert {code.status for code in codes}.isdisjoint(HeistStatus.outcomes())


@pytest.mark.django_db(transaction=True)
def test_a_heist_succeeds_with_atomic_requests(signed_in: Any, settings: Settings) -> None:
    robber, victim = player(tokens=1), player(points=1000)
    try:
        connection.settings_dict["ATOMIC_REQUESTS"] = True

        response = signed_in(robber).post(URL, {"victim": victim.pk})
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False

    assert response.status_code == 201
    assert get_user_model().objects.count() == 2
