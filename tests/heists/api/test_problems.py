"""Every error is a problem document, the framework's own errors too."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import psycopg
import psycopg_pool
import pytest
from django.core.exceptions import SuspiciousOperation
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.test import Client
from django.utils import translation
from rest_framework import exceptions
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.test import APIClient

from gamification.economy import GamificationEconomy
from heists import errors
from heists.api import problems
from heists.api.base import PlayerView
from heists.api.schema import PROBLEMS
from heists.choices import HeistNotificationType
from heists.emails import unsubscribe
from heists.models import Heist
from tests.factories import player

pytestmark = pytest.mark.django_db
URL = "/api/heists/"
READABLE = ("", "stats/", "token/", "leaderboard/", "targets/", "notifications/", "shields/", "preferences/", "truce/")


def status_and_code(response: Any) -> tuple[int, str]:
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert body["type"] == f"urn:heists:problems:{body['code']}"
    return response.status_code, body["code"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("post", ""),
        ("get", "1/"),
        ("get", "stats/"),
        ("get", "token/"),
        ("get", "leaderboard/"),
        ("get", "targets/"),
        ("get", "targets/1/"),
        ("get", "notifications/"),
        ("post", "notifications/1/read/"),
        ("post", "notifications/read-all/"),
        ("get", "shields/"),
        ("post", "shields/"),
        ("get", "preferences/"),
        ("patch", "preferences/"),
        ("get", "truce/"),
        ("put", "truce/"),
    ],
)
def test_every_operation_without_sign_in_is_a_401(method: str, path: str) -> None:
    response = getattr(APIClient(), method)(URL + path)

    assert status_and_code(response) == (401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize("token", ["x", "", "a b", "\x00", "ä"])
def test_wrong_credentials_are_a_401(token: str) -> None:
    response = APIClient().get(URL, headers={"authorization": f"Token {token}"})

    assert status_and_code(response) == (401, "authentication_failed")
    assert response["WWW-Authenticate"] == "Token"


def test_an_authenticator_without_a_challenge_still_makes_a_401(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlayerView, "authentication_classes", [])

    response = APIClient().get(URL)

    assert status_and_code(response) == (401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Session"


def test_an_inactive_account_is_a_403(signed_in: Any) -> None:
    assert status_and_code(signed_in(player(is_active=False)).get(URL)) == (403, "inactive_account")


def test_a_session_without_a_csrf_token_is_a_403() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(player())

    response = client.post(URL, {"victim": 1}, content_type="application/json")

    assert status_and_code(response) == (403, "permission_denied")


def test_errors_of_the_framework_are_problems(signed_in: Any) -> None:
    client = signed_in(player())

    assert status_and_code(client.get(f"{URL}nothing/")) == (404, "not_found")
    assert status_and_code(client.delete(URL)) == (405, "method_not_allowed")
    assert status_and_code(client.get(URL, headers={"accept": "application/xml"})) == (406, "not_acceptable")
    assert status_and_code(client.get(URL, {"format": "xml"})) == (404, "not_found")


def test_a_throttled_request_has_retry_after(signed_in: Any, settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "READ_RATE_LIMIT_PER_MINUTE": 2}
    client = signed_in(player())
    # More than the limit twice, because a new minute may begin between two requests.
    responses = [client.get(f"{URL}token/") for _ in range(5)]

    throttled = next(response for response in responses if response.status_code != 200)

    assert status_and_code(throttled) == (429, "throttled")
    assert 1 <= int(throttled["Retry-After"]) <= 60


def database_error(kind: type[Exception], cause: Exception, **attributes: Any) -> Exception:
    """Return an error as Django raises it for an exception of the driver."""
    for name, value in attributes.items():
        setattr(cause, name, value)
    error = kind(str(cause))
    error.__cause__ = cause
    return error


TEMPORARY = {
    "connection lost": database_error(OperationalError, psycopg.OperationalError("gone")),
    "connection closed": database_error(InterfaceError, psycopg.InterfaceError("gone")),
    "shutdown": database_error(OperationalError, psycopg.errors.AdminShutdown("gone")),
    "too many connections": database_error(OperationalError, psycopg.errors.TooManyConnections("gone")),
    "no free connection": database_error(OperationalError, psycopg_pool.PoolTimeout("gone")),
    "statement timeout": database_error(OperationalError, psycopg.errors.QueryCanceled("gone")),
    "read-only after a fail-over": database_error(InternalError, psycopg.errors.ReadOnlySqlTransaction("gone")),
    "SQLite is locked": database_error(OperationalError, sqlite3.OperationalError("gone"), sqlite_errorcode=5),
}
DEFECTS = {
    "no such column, SQLite": database_error(OperationalError, sqlite3.OperationalError("no"), sqlite_errorcode=1),
    "no such column, PostgreSQL": database_error(ProgrammingError, psycopg.errors.UndefinedColumn("no")),
    "no permission": database_error(ProgrammingError, psycopg.errors.InsufficientPrivilege("no")),
    "a cursor used after its end": database_error(ProgrammingError, sqlite3.ProgrammingError("no")),
}


@pytest.mark.parametrize("error", TEMPORARY.values(), ids=TEMPORARY)
def test_an_unavailable_database_is_a_503_during_sign_in_too(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr("gamification.authentication.TokenAuthentication.authenticate", fail)

    response = APIClient().get(URL, headers={"authorization": "Token abc"})

    assert status_and_code(response) == (503, "database_unavailable")
    assert response["Retry-After"] == "1"
    assert "gone" not in response.content.decode()


@pytest.mark.parametrize("error", DEFECTS.values(), ids=DEFECTS)
def test_a_defect_is_a_500_with_a_traceback(
    monkeypatch: pytest.MonkeyPatch, signed_in: Any, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr("heists.api.heists.leaderboard.totals", fail)
    client = signed_in(player())
    client.raise_request_exception = False

    response = client.get(f"{URL}stats/")

    assert response.status_code == 500
    [logged] = [record for record in caplog.records if record.exc_info]
    assert logged.exc_info and logged.exc_info[1] is error


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["players", "lock"])
def test_a_defect_in_the_economy_is_a_500_and_not_busy(
    monkeypatch: pytest.MonkeyPatch, signed_in: Any, method: str
) -> None:
    me, victim = player(tokens=1), player(points=1000)

    def fail(*args: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM heists_heist")

    monkeypatch.setattr(GamificationEconomy, method, fail)
    client = signed_in(me)
    client.raise_request_exception = False

    assert client.post(URL, {"victim": victim.pk}).status_code == 500
    assert not Heist.objects.exists()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.FeatureDisabled(), (503, "feature_disabled")),
        (errors.UnknownPlayer(), (400, "unknown_player")),
        (errors.InactiveAccount(), (403, "inactive_account")),
        (errors.IdempotencyKeyReused(), (422, "idempotency_key_reused")),
        (errors.InvalidGrant(), (400, "invalid_grant")),
        (errors.NoCoins(), (409, "no_coins")),
        (errors.InsufficientCoins(required=50, available=3), (409, "insufficient_coins")),
        (errors.ShieldAlreadyLive(), (409, "shield_already_live")),
        (errors.Busy(), (503, "busy")),
        (IntegrityError("CHECK constraint failed: x"), (409, "conflict")),
        (IntegrityError("UNIQUE constraint failed: index 'heists_shield_one_live'"), (409, "shield_already_live")),
        (DataError("out of range"), (400, "invalid_value")),
        (SuspiciousOperation("no"), (400, "parse_error")),
        (exceptions.AuthenticationFailed({"detail": "no", "code": "x"}), (401, "authentication_failed")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_exception_has_its_status_and_code(
    signed_in: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: tuple[int, str]
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr("heists.api.heists.leaderboard.totals", fail)

    response = signed_in(player()).get(f"{URL}stats/")

    assert status_and_code(response) == expected
    details = getattr(error, "details", {})
    assert details.items() <= response.json().items()
    assert ("Retry-After" in response) == (expected[1] == "busy")


def test_other_exceptions_are_not_handled() -> None:
    assert problems.handler(ZeroDivisionError(), {}) is None


def test_every_error_of_the_services_is_documented_with_its_status() -> None:
    for kind in problems.STATUSES.keys() - {errors.HeistError, errors.InvalidGrant}:
        assert PROBLEMS[kind.code][0] == problems.STATUSES[kind]


def test_the_browsable_api_shows_lists_and_problems(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlayerView, "renderer_classes", [JSONRenderer, BrowsableAPIRenderer])
    me = player(points=100, tokens=1)
    client = signed_in(me)

    for path in (*READABLE, f"targets/{me.pk}/"):
        response = client.get(URL + path, headers={"accept": "text/html"})
        assert (response.status_code, response["Content-Type"]) == (200, "text/html; charset=utf-8"), path
    response = client.get(f"{URL}nothing/", headers={"accept": "text/html"})
    assert (response.status_code, response["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_a_problem_does_not_roll_back_an_outer_transaction(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    client = signed_in(player())

    assert client.get(f"{URL}nothing/").status_code == 404

    # The test's transaction is the outer one; it is still usable.
    assert client.get(URL).status_code == 200


def test_every_path_answers_options(signed_in: Any) -> None:
    client = signed_in(player())

    for path in (*READABLE, "1/", "targets/1/"):
        assert client.options(URL + path).status_code == 200, path


def test_details_are_in_the_language_of_the_request(signed_in: Any) -> None:
    with translation.override("en"):
        response = signed_in(player()).delete(URL, headers={"accept-language": "es"})

    assert response["Content-Language"] == "es"
    assert response.json()["detail"] == 'Método "DELETE" no permitido.'


def test_the_unsubscribe_page_of_a_busy_site_has_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(**kwargs: Any) -> None:
        raise errors.Busy

    monkeypatch.setattr("heists.api.unsubscribe.set_email_preference", busy)
    token = unsubscribe.token(player(), HeistNotificationType.HEIST_VICTIM)

    response = Client().post(f"{URL}unsubscribe/{token}/")

    assert (response.status_code, response["Retry-After"]) == (503, "1")


def test_the_forms_of_the_browsable_api_begin_empty(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """DRF would fill them with the answer, which is no valid request."""
    monkeypatch.setattr(PlayerView, "renderer_classes", [JSONRenderer, BrowsableAPIRenderer])
    client = signed_in(player(coins=500))

    for path in (URL, f"{URL}preferences/", f"{URL}shields/", f"{URL}truce/"):
        page = client.get(path, headers={"accept": "text/html"}).content.decode()
        assert re.findall(r"<textarea[^>]*>\s*(.*?)</textarea>", page, re.S) == [""], path


@pytest.mark.parametrize(
    ("language", "title"), [("en", "Unauthorized"), ("de", "Nicht angemeldet"), ("es", "No autenticado")]
)
def test_a_title_is_in_the_language_of_the_request(language: str, title: str) -> None:
    assert APIClient().get(URL, headers={"accept-language": language}).json()["title"] == title


def test_every_documented_status_has_a_title_of_its_own() -> None:
    """Python's own phrase of a status is English, and differs between its versions."""
    assert {status for status, _description in PROBLEMS.values()} <= problems.TITLES.keys()
