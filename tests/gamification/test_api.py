"""Signing up and in over HTTP, with hostile headers and bodies too (docs/specification.md, "HTTP API")."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from knox.models import get_token_model
from rest_framework.test import APIClient

from gamification.models import PlayerProfile
from heists.api import throttling

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db

PROTECTED = "/api/heists/token/"


def code_of(response: Any) -> str:
    assert response["Content-Type"] == "application/problem+json", response.content
    body = response.json()
    assert body["status"] == response.status_code
    return str(body["code"])


def sign_in(api: APIClient, username: str = "alice") -> str:
    response = api.post("/api/auth/login/", {"username": username, "password": PASSWORD})
    assert response.status_code == 200, response.content
    return str(response.json()["token"])


def test_signing_up_returns_the_account_and_its_code(api: APIClient) -> None:
    response = api.post("/api/signup/", {"username": "alice", "password": PASSWORD})

    profile = PlayerProfile.objects.get(user__username="alice")
    assert response.status_code == 201
    assert response.json() == {"id": profile.user_id, "username": "alice", "referral_code": profile.referral_code}


def test_signing_up_with_a_code_rewards_its_owner(api: APIClient, alice: Any, profile: Any) -> None:
    body = {"username": "bob", "password": PASSWORD, "referral_code": profile(alice).referral_code}

    response = api.post("/api/signup/", body)

    assert response.status_code == 201
    assert response.json()["referral_code"] != body["referral_code"]
    assert profile(alice).points == 150


def test_a_password_may_have_spaces_around_it_and_256_characters(api: APIClient, db: None) -> None:
    passwords = [f" {PASSWORD} ", "long " * 51 + "!", "long " * 51 + "!!"]

    answers = [api.post("/api/signup/", {"username": f"p{len(text)}", "password": text}) for text in passwords]

    assert [answer.status_code for answer in answers] == [201, 201, 400]
    for text, status in ((passwords[0], 200), (PASSWORD, 401), (passwords[2], 400)):
        body = {"username": f"p{len(passwords[0])}", "password": text}
        assert api.post("/api/auth/login/", body).status_code == status


@pytest.mark.parametrize(
    ("body", "status", "code", "detail"),
    [
        ({"referral_code": "NOBODYSCODE0"}, 400, "unknown_referral_code", "This referral code does not exist."),
        ({"username": "alice"}, 409, "username_taken", "A player with this username exists already."),
    ],
)
def test_signup_errors_have_a_code(
    api: APIClient, alice: Any, body: dict[str, str], status: int, code: str, detail: str
) -> None:
    response = api.post("/api/signup/", {"username": "bob", "password": PASSWORD} | body)

    assert (response.status_code, code_of(response)) == (status, code)
    assert response.json()["detail"] == detail


@pytest.mark.parametrize(
    ("language", "detail"),
    [
        ("de", "Einen Spieler mit diesem Benutzernamen gibt es schon."),
        ("es", "Ya existe un jugador con este nombre de usuario."),
    ],
)
def test_an_error_is_in_the_language_of_the_request(api: APIClient, alice: Any, language: str, detail: str) -> None:
    body = {"username": "alice", "password": PASSWORD}

    response = api.post("/api/signup/", body, headers={"accept-language": language})

    assert response.json()["detail"] == detail


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        5,
        "text",
        {"username": "bob"},
        {"username": None, "password": None},
        {"username": ["bob"], "password": {}},
        {"username": 0, "password": PASSWORD},
        {"username": "bob", "password": 1234567890123456},
        {"username": "bob", "password": "short"},
        {"username": "bob", "password": "x" * 5000},
        {"username": "b" * 151, "password": PASSWORD},
        {"username": "bob\x00", "password": PASSWORD},
        {"username": "bob\ud800", "password": PASSWORD},
        {"username": "bob", "password": PASSWORD + "\x00"},
        {"username": "bob", "password": PASSWORD + "\udfff"},
        {"username": "bob", "password": PASSWORD, "referral_code": ""},
        {"username": "bob", "password": PASSWORD, "referral_code": "\x00"},
        {"username": "bob", "password": PASSWORD, "referral_code": "\ud800"},
        {"username": "bob", "password": PASSWORD, "referral_code": 12},
        {"username": "bob", "password": PASSWORD, "referral_code": {}},
    ],
)
def test_a_malformed_signup_is_a_400_problem(api: APIClient, body: Any) -> None:
    response = api.generic("POST", "/api/signup/", json.dumps(body), content_type="application/json")

    assert response.status_code == 400
    assert code_of(response)
    assert not get_user_model().objects.exists()


@pytest.mark.parametrize("path", ["/api/signup/", "/api/auth/login/"])
@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"username": NaN}', "application/json", 400),
        (b'{"username": ' + b"1" * 5000 + b"}", "application/json", 400),
        (b"{}", "application/json; charset=zlib", 400),
        (b"{}", "application/json; charset=rot13", 400),
        (b" " * 3_000_000, "application/json", 413),
        (b"username=bob", "application/x-www-form-urlencoded", 415),
        (b"<a/>", "text/xml", 415),
        (b"{}", "\x00", 415),
    ],
)
def test_a_body_that_is_not_json_is_a_problem(
    api: APIClient, path: str, raw: Any, content_type: str, status: int
) -> None:
    response = api.generic("POST", path, raw, content_type=content_type)

    assert response.status_code == status
    assert code_of(response)


def test_signing_in_returns_a_token_for_the_api(api: APIClient, alice: Any) -> None:
    token = sign_in(api)

    response = api.get(PROTECTED, HTTP_AUTHORIZATION=f"Token {token}")

    assert response.status_code == 200
    alice.refresh_from_db()
    assert alice.last_login is not None


@pytest.mark.parametrize("body", [{"password": "wrong"}, {"username": "nobody"}, {"username": "Alice"}])
def test_wrong_credentials_are_a_401(api: APIClient, alice: Any, body: dict[str, str]) -> None:
    response = api.post("/api/auth/login/", {"username": "alice", "password": PASSWORD} | body)

    assert (response.status_code, code_of(response)) == (401, "invalid_credentials")
    assert response["WWW-Authenticate"] == "Token"


def test_an_inactive_account_is_named_only_with_its_password(api: APIClient, alice: Any) -> None:
    get_user_model().objects.update(is_active=False)

    right = api.post("/api/auth/login/", {"username": "alice", "password": PASSWORD})
    wrong = api.post("/api/auth/login/", {"username": "alice", "password": "wrong"})

    assert (right.status_code, code_of(right)) == (403, "inactive_account")
    assert (wrong.status_code, code_of(wrong)) == (401, "invalid_credentials")


def test_a_token_of_an_inactive_account_is_a_403(api: APIClient, alice: Any) -> None:
    token = sign_in(api)
    get_user_model().objects.update(is_active=False)

    response = api.get(PROTECTED, HTTP_AUTHORIZATION=f"Token {token}")

    assert (response.status_code, code_of(response)) == (403, "inactive_account")


def test_an_expired_token_is_a_401_and_deleted_at_the_next_sign_in(api: APIClient, alice: Any) -> None:
    token = sign_in(api)
    get_token_model().objects.update(expiry=timezone.now() - timedelta(seconds=1))

    response = api.get(PROTECTED, HTTP_AUTHORIZATION=f"Token {token}")
    sign_in(api)

    assert response.status_code == 401
    assert get_token_model().objects.count() == 1


@pytest.mark.parametrize(
    ("left", "status"), [(timedelta(0), 401), (timedelta(microseconds=1), 200), (None, 200)], ids=["no", "some", "ever"]
)
def test_a_token_is_valid_before_the_moment_it_expires_at(
    api: APIClient, alice: Any, monkeypatch: pytest.MonkeyPatch, left: timedelta | None, status: int
) -> None:
    token, now = sign_in(api), timezone.now()
    get_token_model().objects.update(expiry=None if left is None else now + left)
    monkeypatch.setattr(timezone, "now", lambda: now)

    assert api.get(PROTECTED, HTTP_AUTHORIZATION=f"Token {token}").status_code == status


def test_a_client_with_an_old_token_signs_up_and_in(api: APIClient, alice: Any) -> None:
    api.credentials(HTTP_AUTHORIZATION="Token old")

    assert api.post("/api/signup/", {"username": "bob", "password": PASSWORD}).status_code == 201
    assert api.post("/api/auth/login/", {"username": "alice", "password": PASSWORD}).status_code == 200


def test_authentication_is_one_statement(api: APIClient, alice: Any, django_assert_num_queries: Any) -> None:
    from gamification.authentication import TokenAuthentication

    token = sign_in(api)

    with django_assert_num_queries(1):
        user, _token = TokenAuthentication().authenticate_credentials(token.encode())

    assert user == alice


@pytest.mark.parametrize(
    "header",
    [
        "Token",
        "Token ",
        "Token x",
        "Token a b",
        "Token \xff\xfe",
        "Token \x00",
        "Token " + "a" * 15 + "\x00",
        "Token " + "a" * 10_000,
        "Token ²³",
        "Bearer x",
        "Basic YTpi",
        "\x00",
        "\xff",
        "TOKEN ÿ",
    ],
)
def test_hostile_credentials_are_a_401(api: APIClient, db: None, header: str) -> None:
    response = api.get(PROTECTED, HTTP_AUTHORIZATION=header)

    assert response.status_code == 401
    assert code_of(response) in ("authentication_failed", "not_authenticated")
    assert response["WWW-Authenticate"] == "Token"


def test_a_session_authenticates_too(client: Client, alice: Any) -> None:
    client.force_login(alice)

    assert client.get(PROTECTED).status_code == 200


@pytest.fixture
def two_a_minute(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of two, and a clock that stands still."""
    settings.SIGNUP_RATE_LIMIT_PER_MINUTE = settings.LOGIN_RATE_LIMIT_PER_MINUTE = 2
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))


@pytest.mark.parametrize("path", ["/api/auth/login/", "/api/signup/"])
@pytest.mark.usefixtures("two_a_minute")
def test_too_many_requests_of_one_address_are_a_429(api: APIClient, path: str) -> None:
    responses = [api.post(path, {"username": "x", "password": "y"}) for _ in range(3)]

    assert [response.status_code == 429 for response in responses] == [False, False, True]
    assert code_of(responses[-1]) == "throttled"
    assert responses[-1]["Retry-After"] == "60"


@pytest.mark.usefixtures("two_a_minute")
def test_passwords_are_checked_so_often_at_signing_in_and_changing_together(api: APIClient, alice: Any) -> None:
    sign_in(api)
    api.force_authenticate(alice)
    body = {"password": "wrong", "new_password": "another long password"}

    assert [api.post("/api/auth/password/", body).status_code for _ in range(2)] == [401, 429]


@pytest.mark.usefixtures("two_a_minute")
def test_signing_up_has_a_limit_of_its_own(api: APIClient, alice: Any, settings: Any) -> None:
    settings.SIGNUP_RATE_LIMIT_PER_MINUTE = 1
    answers = [api.post("/api/signup/", {"username": "bob", "password": "y"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [400, 429]
    assert sign_in(api)


@pytest.mark.usefixtures("two_a_minute")
def test_a_forged_address_does_not_escape_the_throttle(api: APIClient) -> None:
    responses = [
        api.post("/api/auth/login/", {"username": "x", "password": "y"}, HTTP_X_FORWARDED_FOR=f"6.6.6.{n}")
        for n in range(3)
    ]

    assert responses[-1].status_code == 429
