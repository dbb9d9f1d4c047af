"""The body, the headers and the side effects of a problem, one by one."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sqlite3
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone, translation
from rest_framework import exceptions

from gamification import errors as host_errors
from heists import errors
from heists.api import problems
from heists.models import Heist, RuleSet

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
SECOND, MICRO = dt.timedelta(seconds=1), dt.timedelta(microseconds=1)


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def answered(exc: Exception, **context: Any) -> Any:
    """Return the response of the API to an exception."""
    response = problems.from_exception(exc, context)
    assert response is not None
    return response


def test_a_body_has_five_members_and_those_that_are_given() -> None:
    plain = problems.problem_body(404, "not_found", "Nothing.")
    further = problems.problem_body(
        409, "x", "-", title="A title", none=None, zero=0, empty="", no=False, listed=[], required=5
    )

    assert plain == {
        "type": "urn:heists:problems:not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "Nothing.",
        "code": "not_found",
    }
    assert further == {
        "type": "urn:heists:problems:x",
        "title": "A title",
        "status": 409,
        "detail": "-",
        "code": "x",
        "zero": 0,
        "empty": "",
        "no": False,
        "listed": [],
        "required": 5,
    }


def test_the_title_of_each_status_is_translated() -> None:
    def titles() -> list[str]:
        statuses = (400, 401, 403, 404, 405, 406, 409, 411, 413, 415, 422, 429, 500, 503)
        return [problems.problem_body(status, "x", "-")["title"] for status in statuses]

    english = titles()
    with translation.override("de"):
        german = titles()

    assert len({*english, *german}) == 2 * len(english)


def test_a_status_is_a_number_and_an_empty_title_is_the_phrase_of_the_status() -> None:
    body = problems.problem_body(HTTPStatus.CONFLICT, "x", "-", title="")

    assert (type(body["status"]), body["title"]) == (int, "Conflict")


def test_times_are_in_utc_with_a_z_whatever_their_zone() -> None:
    tokyo = NOW.astimezone(ZoneInfo("Asia/Tokyo"))

    body = problems.problem_body(409, "x", "-", retry_at=tokyo, expires_at=NOW + MICRO)

    assert (body["retry_at"], body["expires_at"]) == ("2026-05-20T12:00:00Z", "2026-05-20T12:00:00.000001Z")


@pytest.mark.parametrize(
    ("wait", "header"),
    [
        (-dt.timedelta(days=400), None),
        (-SECOND, None),
        (-MICRO, None),
        (dt.timedelta(), None),
        (MICRO, "1"),
        (SECOND - MICRO, "1"),
        (SECOND, "1"),
        (SECOND + MICRO, "2"),
        (59 * SECOND + SECOND / 2, "60"),
        (dt.timedelta(hours=24), "86400"),
    ],
)
def test_retry_after_is_in_whole_seconds_rounded_up_and_never_past(
    at_noon: None, wait: dt.timedelta, header: str | None
) -> None:
    assert problems.retry_after(NOW + wait) == ({} if header is None else {"Retry-After": header})


def test_without_a_time_there_is_no_retry_after() -> None:
    assert problems.retry_after(None) == {}


@pytest.mark.parametrize(
    ("wait", "header"), [(0, "1"), (0.2, "1"), (1, "1"), (1.2, "2"), (59.5, "60"), (60, "60"), (None, None)]
)
def test_a_throttled_request_waits_a_second_at_least(wait: float | None, header: str | None) -> None:
    response = answered(exceptions.Throttled(wait))

    assert (response.status_code, response.headers.get("Retry-After")) == (429, header)


REJECTED = {
    # the code: its status, the member "required", "available"
    "insufficient_tokens": ("FAILED_INSUFFICIENT_TOKENS", 3, 2),
    "insufficient_points": ("FAILED_INSUFFICIENT_POINTS", 20, 7),
    "cooldown": ("FAILED_COOLDOWN", None, None),
    "self_target": ("FAILED_INVALID_TARGET", None, None),
}


@pytest.mark.parametrize("code", REJECTED)
@pytest.mark.parametrize("retry_at", [None, NOW + SECOND * 1.5])
def test_a_rejection_has_its_heist_and_its_numbers(at_noon: None, code: str, retry_at: dt.datetime | None) -> None:
    status, required, available = REJECTED[code]
    rules = RuleSet(token_cost=3, steal_percentage=5, min_target_points=20)
    for name in (
        *("tokens_per_referral", "max_steal_points", "cooldown_hours", "target_cooldown_hours", "max_heists_per_day"),
        *("pair_cooldown_hours", "monthly_loss_percent", "shield_cost", "shield_days"),
    ):
        setattr(rules, name, 1)
    rules.time_zone = "UTC"
    heist = Heist(
        pk=12,
        status=status,
        failure_code=code,
        rule_set=rules,
        attacker_tokens=2,
        victim_points_before=7,
        retry_at=retry_at,
    )

    response = problems.rejection(heist)

    body: Any = response.data
    assert (response.status_code, body["status"], body["code"], body["heist"]) == (409, 409, code, 12)
    assert (body["heist_status"], body.get("required"), body.get("available")) == (status, required, available)
    assert body.get("retry_at") == (None if retry_at is None else "2026-05-20T12:00:01.500000Z")
    assert response.headers.get("Retry-After") == (None if retry_at is None else "2")
    assert None not in body.values()
    assert body["title"] not in ("Conflict", code)


def test_tokens_that_were_not_known_are_left_out() -> None:
    rules = RuleSet(token_cost=3)
    heist = Heist(pk=1, status="FAILED_INSUFFICIENT_TOKENS", failure_code="insufficient_tokens", rule_set=rules)

    body: Any = problems.rejection(heist).data

    assert (body["required"], "available" in body) == (3, False)


SURROGATE = "\ud800 is no choice"


@pytest.mark.parametrize(
    "detail",
    [
        {"name": SURROGATE},
        {"\ud800": "no"},
        {"outer": {"\ud800": "no"}},
        {"outer": {"inner": [SURROGATE]}},
        SURROGATE,
    ],
    ids=["a message", "a field", "a nested field", "a nested message", "the only message"],
)
def test_a_half_surrogate_is_sent_as_bytes_of_utf_8(detail: Any) -> None:
    for error in (exceptions.ValidationError(detail), exceptions.AuthenticationFailed(detail)):
        sent = json.dumps(answered(error).data, ensure_ascii=False).encode()

        assert b"?" in sent


def entries(detail: Any) -> list[tuple[str, str, str]]:
    errors = answered(exceptions.ValidationError(detail)).data["errors"]
    return [(entry["field"], entry["code"], entry["detail"]) for entry in errors]


def test_every_invalid_field_has_an_entry_with_its_dotted_path(settings: Any) -> None:
    ErrorDetail = exceptions.ErrorDetail
    assert entries({"a": ["one", "two"], "b": {"c": ["three"], "d": {"e": ["four"]}}}) == [
        ("a", "invalid", "one"),
        ("a", "invalid", "two"),
        ("b.c", "invalid", "three"),
        ("b.d.e", "invalid", "four"),
    ]
    assert entries({"message": ["one"], "code": ["two"]}) == [
        ("message", "invalid", "one"),
        ("code", "invalid", "two"),
    ]
    assert entries(["whole"]) == [("", "invalid", "whole")]
    assert entries({"non_field_errors": [ErrorDetail("whole", code="max")]}) == [("non_field_errors", "max", "whole")]
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NON_FIELD_ERRORS_KEY": "whole"}
    assert entries({"whole": ["x"], "a": {"whole": ["y"]}}) == [
        ("non_field_errors", "invalid", "x"),
        ("a.non_field_errors", "invalid", "y"),
    ]


KINDS: list[tuple[Exception, int, str]] = [
    (Http404("gone"), 404, "not_found"),
    (PermissionDenied("no"), 403, "permission_denied"),
    (RequestDataTooBig("big"), 413, "payload_too_large"),
    (SuspiciousOperation("no"), 400, "parse_error"),
    (BadRequest("no"), 400, "parse_error"),
    (MultiPartParserError("no"), 400, "parse_error"),
    (errors.HeistError("no"), 400, "heist_error"),
    (errors.UnknownPlayer(), 400, "unknown_player"),
    (errors.InvalidGrant(), 400, "invalid_grant"),
    (errors.OutcomeUnknown(), 503, "outcome_unknown"),
    (exceptions.PermissionDenied("no", code="own"), 403, "own"),
    (exceptions.NotAuthenticated(), 401, "not_authenticated"),
    (problems.InvalidIdempotencyKey(), 400, "invalid_idempotency_key"),
]


def test_an_exception_without_a_code_has_that_of_its_kind() -> None:
    error = exceptions.NotFound()
    error.detail = exceptions.ErrorDetail("gone")

    assert answered(error).data["code"] == "not_found"


@pytest.mark.parametrize(("error", "status", "code"), KINDS, ids=[type(error).__name__ for error, *_ in KINDS])
def test_each_kind_of_exception(error: Exception, status: int, code: str) -> None:
    response = answered(error)

    assert (response.status_code, response.data["status"], response.data["code"]) == (status, status, code)
    assert response.exception is True
    assert response.data["detail"]


def test_only_an_error_that_changed_nothing_may_be_repeated() -> None:
    assert answered(errors.Busy()).headers["Retry-After"] == "1"
    assert "Retry-After" not in answered(errors.OutcomeUnknown()).headers
    assert "Retry-After" not in answered(errors.FeatureDisabled()).headers


def test_the_numbers_of_an_error_are_members() -> None:
    body = answered(errors.ShieldAlreadyLive(expires_at=NOW)).data

    assert body["expires_at"] == "2026-05-20T12:00:00Z"
    assert answered(errors.InsufficientCoins(required=50, available=0)).data["available"] == 0


def challenge(*challenges: str | None) -> str:
    """Return the `WWW-Authenticate` of a view whose authenticators answer with these challenges."""
    request = object()

    def authenticator(header: str | None) -> Any:
        return SimpleNamespace(authenticate_header=lambda given: header if given is request else "another request")

    view = SimpleNamespace(get_authenticators=lambda: [authenticator(header) for header in challenges])
    return str(answered(exceptions.NotAuthenticated(), view=view, request=request).headers["WWW-Authenticate"])


def test_a_401_has_the_first_challenge_of_the_view() -> None:
    assert challenge("Token", "Basic") == "Token"
    assert challenge(None, "", "Basic", "Token") == "Basic"
    assert challenge(None) == challenge() == "Session"
    assert answered(exceptions.NotAuthenticated()).headers["WWW-Authenticate"] == "Session"

    own = exceptions.AuthenticationFailed()
    own.auth_header = "Own"  # type: ignore[attr-defined]
    assert answered(own).headers["WWW-Authenticate"] == "Own"
    assert "WWW-Authenticate" not in answered(exceptions.PermissionDenied()).headers


def violated(name: str, *, sqlite: bool) -> IntegrityError:
    """Return the error of a violated constraint, as Django raises it for SQLite or for PostgreSQL."""
    if sqlite:
        return IntegrityError(f"UNIQUE constraint failed: index '{name}'")
    error = IntegrityError(f'duplicate key value violates unique constraint "{name}"')
    error.__cause__ = Exception()
    error.__cause__.diag = SimpleNamespace(constraint_name=name)  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("sqlite", [True, False])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("heists_shield_one_live", "shield_already_live"),
        ("heists_heist_idempotency_key", "idempotency_key_reused"),
        ("heists_shield_idempotency_key", "idempotency_key_reused"),
        ("another", "conflict"),
    ],
)
def test_a_violated_constraint_has_its_code(name: str, code: str, sqlite: bool) -> None:
    response = answered(violated(name, sqlite=sqlite))

    assert (response.status_code, response.data["code"]) == (409, code)


def test_a_constraint_without_a_name_is_a_conflict() -> None:
    error = violated("x", sqlite=False)
    error.__cause__.diag.constraint_name = None  # type: ignore[union-attr]

    assert problems.constraint_name(error) == ""
    assert answered(error).data["code"] == "conflict"


def test_a_value_that_does_not_fit_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="heists"):
        assert answered(DataError("value too long")).data["code"] == "invalid_value"

    assert [record.getMessage() for record in caplog.records] == [
        "a value of the request did not fit the database: value too long"
    ]


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_an_unavailable_database_is_logged_and_its_connection_closed(
    kind: type[Exception], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Exception] = []
    monkeypatch.setattr(problems, "close_if_unusable", closed.append)
    error = kind("gone")
    error.__cause__ = psycopg.OperationalError("gone")

    response = answered(error)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert closed == [error]
    assert [record.getMessage() for record in caplog.records] == ["the database is not available: gone"]


def test_a_defect_is_not_handled() -> None:
    defect = OperationalError("no such column")
    defect.__cause__ = sqlite3.OperationalError("no such column")

    assert problems.from_exception(defect, {}) is None
    assert problems.from_exception(host_errors.AppendOnly(), {}) is None


def test_the_handler_of_a_host_rolls_back_and_the_views_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rolled_back: list[bool] = []
    monkeypatch.setattr(problems, "set_rollback", lambda: rolled_back.append(True))

    answered(Http404())
    problems.handler(ZeroDivisionError(), {})
    assert rolled_back == []
    response = problems.handler(Http404(), {})

    assert (response and response.status_code, rolled_back) == (404, [True])


@pytest.mark.parametrize(("renderer", "type"), [("json", "application/problem+json"), ("api", None)])
def test_only_json_has_the_media_type_of_problems(renderer: str, type: str | None) -> None:
    response = problems.problem(404, "x", "-")
    response.accepted_renderer = SimpleNamespace(  # type: ignore[assignment]
        format=renderer, media_type="text/html", charset="utf-8", render=lambda *args: b"body"
    )
    response.accepted_media_type, response.renderer_context = "text/html", {}  # type: ignore[attr-defined]

    assert response.rendered_content == b"body"
    assert response.content_type == type
