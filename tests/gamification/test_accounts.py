"""Names that look alike, sign-out, passwords that end tokens, and the limit on the admin's sign-in."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError
from django.test import Client
from rest_framework.test import APIClient

from tests.factories import PASSWORD, player

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "another-long-password"
User = get_user_model()


def sign_up(api: APIClient, username: str) -> Any:
    return api.post("/api/signup/", {"username": username, "password": PASSWORD})


def sign_in(api: APIClient, username: str, password: str = PASSWORD) -> Any:
    return api.post("/api/auth/login/", {"username": username, "password": password})


def as_holder_of(token: str) -> APIClient:
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return api


@pytest.mark.parametrize(
    ("existing", "wanted"),
    [
        ("alice", "Alice"),
        ("ALICE", "alice"),
        # SQLite knows the case of ASCII letters only.
        pytest.param("José", "JOSÉ", marks=pytest.mark.postgresql),
        ("José", "Jose\u0301"),
        ("coco", "\u0441\u043e\u0441\u043e"),
        ("\u0441\u043e\u0441\u043e", "COCO"),
        ("ivo", "\u03b9\u03bd\u03bf"),
        ("alice", "\uff41lice"),
    ],
)
def test_a_name_that_looks_like_another_is_taken(api: APIClient, existing: str, wanted: str) -> None:
    assert sign_up(api, existing).status_code == 201

    answer = sign_up(api, wanted)

    assert (answer.status_code, answer.json()["code"]) == (409, "username_taken")
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", ["p\u0430ul", "\u0391lice", "b\u043eb1"])
def test_a_name_of_two_alphabets_is_rejected(api: APIClient, name: str) -> None:
    answer = sign_up(api, name)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "mixed_alphabets")


@pytest.mark.parametrize("name", ["Zoë", "Мария", "Γιάννης", "山田太郎", "محمد", "anna_2.0"])
def test_names_of_any_one_alphabet_are_accepted(api: APIClient, name: str) -> None:
    assert sign_up(api, name).status_code == 201


def test_the_database_rejects_the_same_name_in_another_case() -> None:
    User.objects.create(username="alice")

    with pytest.raises(IntegrityError):
        User.objects.create(username="Alice")


def test_a_name_typed_decomposed_signs_in(api: APIClient) -> None:
    sign_up(api, "José")

    assert sign_in(api, unicodedata.normalize("NFD", "José")).status_code == 200


def test_signing_out_ends_this_token_and_no_other(api: APIClient) -> None:
    player("alice")
    here, there = (as_holder_of(sign_in(api, "alice").json()["token"]) for _ in range(2))

    assert here.post("/api/auth/logout/").status_code == 204

    assert here.get("/api/heists/token/").status_code == 401
    assert here.post("/api/auth/logout/").status_code == 401
    assert there.get("/api/heists/token/").status_code == 200


def test_signing_out_of_a_session_ends_it(client: Client) -> None:
    client.force_login(player("alice"))

    assert client.post("/api/auth/logout/").status_code == 204

    assert client.get("/api/heists/token/").status_code == 401


@pytest.mark.parametrize("path", ["/api/auth/logout/", "/api/auth/password/"])
def test_an_account_is_needed_to_sign_out_and_to_change_its_password(api: APIClient, path: str) -> None:
    answer = api.post(path, {"password": PASSWORD, "new_password": NEW_PASSWORD})

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_changing_the_password_ends_every_token(api: APIClient) -> None:
    player("alice")
    alice = as_holder_of(sign_in(api, "alice").json()["token"])

    answer = alice.post("/api/auth/password/", {"password": PASSWORD, "new_password": NEW_PASSWORD})

    assert answer.status_code == 204
    assert alice.get("/api/heists/token/").status_code == 401
    assert sign_in(api, "alice").status_code == 401
    assert sign_in(api, "alice", NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"password": "wrong", "new_password": NEW_PASSWORD}, 401),
        ({"password": PASSWORD, "new_password": "123"}, 400),
        ({"new_password": NEW_PASSWORD}, 400),
    ],
)
def test_a_change_that_fails_ends_nothing(api: APIClient, body: dict[str, str], status: int) -> None:
    player("alice")
    alice = as_holder_of(sign_in(api, "alice").json()["token"])

    assert alice.post("/api/auth/password/", body).status_code == status

    assert alice.get("/api/heists/token/").status_code == 200


def test_a_password_set_by_staff_ends_every_token(api: APIClient, client: Client) -> None:
    alice = player("alice")
    token = as_holder_of(sign_in(api, "alice").json()["token"])
    client.force_login(User.objects.create_superuser("boss"))

    client.post(
        f"/admin/auth/user/{alice.pk}/password/",
        {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
    )

    assert sign_in(api, "alice", NEW_PASSWORD).status_code == 200
    assert token.get("/api/heists/token/").status_code == 401


def test_a_better_hash_of_the_same_password_ends_no_token(api: APIClient, settings: Any) -> None:
    player("alice")
    alice = as_holder_of(sign_in(api, "alice").json()["token"])
    before = User.objects.get(username="alice").password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]

    assert sign_in(api, "alice").status_code == 200

    assert User.objects.get(username="alice").password != before
    assert alice.get("/api/heists/token/").status_code == 200


def test_two_sign_ins_may_store_a_better_hash_at_once(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    user = player("alice")
    check = User.check_password

    def checked(self: Any, password: str) -> bool:
        right = check(self, password)
        User.objects.filter(pk=user.pk).update(password=make_password(PASSWORD))
        return right

    monkeypatch.setattr(User, "check_password", checked)

    assert sign_in(api, "alice").status_code == 200


def test_sign_ins_at_the_admin_count_like_those_at_the_api(api: APIClient, client: Client, settings: Any) -> None:
    settings.LOGIN_RATE_LIMIT_PER_MINUTE = 3
    sign_in(api, "nobody")
    tries = [client.post("/admin/login/", {"username": "boss", "password": "guess"}) for _ in range(3)]

    assert [answer.status_code for answer in tries] == [200, 200, 429]
    assert 1 <= int(tries[-1]["Retry-After"]) <= 60
    assert client.get("/admin/login/").status_code == 200
    assert sign_in(api, "nobody").status_code == 429
