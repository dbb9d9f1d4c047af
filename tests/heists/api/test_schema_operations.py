"""The OpenAPI schema of each operation: its answers, problems, parameters and headers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from heists.choices import FailureCode

COMMON = {
    401: {"not_authenticated", "authentication_failed"},
    403: {"inactive_account", "permission_denied"},
    406: {"not_acceptable"},
    429: {"throttled"},
    503: {"database_unavailable"},
}
BODY = {
    400: {"validation_error", "parse_error"},
    411: {"length_required"},
    413: {"payload_too_large"},
    415: {"unsupported_media_type"},
}
BUSY = {503: {"database_unavailable", "busy"}}
OFF = {503: {"database_unavailable", "busy", "feature_disabled"}}
PAGE = {400: {"validation_error"}, 404: {"invalid_cursor"}}
ONE = {404: {"not_found"}}
REJECTIONS = {code.value for code in FailureCode} - {"shield"}
# By operation: the statuses of its answers, and its problems beside the common ones.
OPERATIONS: dict[str, tuple[set[int], dict[int, set[str]]]] = {
    "get ": ({200}, PAGE),
    "post ": (
        {201},
        BODY
        | OFF
        | {
            400: {*BODY[400], "unknown_player", "invalid_idempotency_key"},
            409: REJECTIONS,
            422: {"idempotency_key_reused"},
        },
    ),
    "get {heist_id}/": ({200}, ONE),
    "get stats/": ({200}, {}),
    "get leaderboard/": ({200}, {400: {"validation_error"}}),
    "get me/": ({200, 304}, {}),
    "get token/": ({200, 304}, {}),
    "get targets/": ({200}, PAGE | {400: {"validation_error", "search_unavailable"}}),
    "get targets/{player_id}/": ({200}, ONE),
    "get notifications/": ({200, 304}, PAGE),
    "post notifications/{notification_id}/read/": ({200}, ONE),
    "post notifications/read-all/": ({200}, {}),
    "get preferences/": ({200}, {}),
    "patch preferences/": ({200}, BODY | BUSY),
    "get shields/": ({200}, PAGE),
    "post shields/": (
        {201},
        OFF | {400: {"invalid_idempotency_key"}, 409: {"no_coins", "insufficient_coins", "shield_already_live"}},
    ),
    "get truce/": ({200}, {}),
    "put truce/": ({200}, BODY | OFF | {409: {"truce_disabled"}}),
}
ROW_ID = {"type": "integer", "format": "int64", "minimum": 1}
KEY = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    prefix = "/api/heists/"
    return {
        f"{method} {path.removeprefix(prefix)}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith(prefix)
    }


def test_every_operation_is_here(operations: dict[str, Any]) -> None:
    assert OPERATIONS.keys() == operations.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_answers_and_problems_of_an_operation(operations: dict[str, Any], name: str) -> None:
    answers, problems = OPERATIONS[name]
    found = operations[name]["responses"]

    said = {
        int(status): {
            example["value"]["code"] for example in response["content"]["application/problem+json"]["examples"].values()
        }
        for status, response in found.items()
        if status >= "400"
    }

    assert {int(status) for status in found if status < "400"} == answers
    assert said == COMMON | problems


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_headers_of_an_operation(operations: dict[str, Any], name: str) -> None:
    found = {
        int(status): set(response["headers"])
        for status, response in operations[name]["responses"].items()
        if "headers" in response
    }

    expected = {429: {"Retry-After"}, 503: {"Retry-After"}}
    if 409 in OPERATIONS[name][1]:
        expected[409] = {"Retry-After"}
    if 304 in OPERATIONS[name][0]:
        expected |= {200: {"ETag"}, 304: {"ETag"}}
    if name == "post ":
        expected[201] = {"Location"}
    assert found == expected


@pytest.mark.parametrize(
    ("name", "where", "parameters"),
    [
        ("get {heist_id}/", "path", {"heist_id": ROW_ID}),
        ("post notifications/{notification_id}/read/", "path", {"notification_id": ROW_ID}),
        ("get targets/{player_id}/", "path", {"player_id": {"type": "integer", "format": "int64"}}),
        ("post ", "header", {"Idempotency-Key": KEY}),
        ("post shields/", "header", {"Idempotency-Key": KEY}),
        *((name, "header", {"If-None-Match": {"type": "string"}}) for name in ("get me/", "get token/")),
    ],
)
def test_the_parameters_of_an_operation(operations: dict[str, Any], name: str, where: str, parameters: Any) -> None:
    found = {each["name"]: each["schema"] for each in operations[name]["parameters"] if each["in"] == where}

    assert found == parameters


def test_what_may_be_null_or_missing(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]

    def nullable(name: str) -> set[str]:
        return {member for member, schema in components[name]["properties"].items() if schema.get("nullable")}

    assert nullable("Heist") == {"failure_code", "failure_reason", "reversed"}
    assert nullable("NewHeist") == nullable("Heist") | {"cooldown_ends_at"}
    assert nullable("HeistToken") == {"last_earned_at", "last_spent_at", "cooldown_ends_at"}
    assert nullable("HeistTarget") == {"code", "retry_at"}
    assert nullable("HeistReason") == {"retry_at", "required", "available"}
    assert nullable("HeistMe") == {"coins", "shield_shop"}
    assert nullable("HeistNotification") == {"heist"}
    assert nullable("Shield") == {"used_at", "heist"}
    assert nullable("Truce") == {"starts_at", "ends_at"}
    assert "required" not in components["HeistNotificationMetadata"]
    for name in ("Heist", "NewHeist", "HeistToken", "HeistTarget", "HeistMe", "HeistNotification", "Shield", "Truce"):
        assert set(components[name]["required"]) == set(components[name]["properties"]), name


def test_the_codes_of_a_preview_are_those_of_rejections_and_of_the_switch(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]

    assert set(components["HeistPreviewCode"]["enum"]) == REJECTIONS | {"feature_disabled"}
    assert set(components["HeistFailureCode"]["enum"]) == REJECTIONS | {"shield"}
    assert set(components["HeistRole"]["enum"]) == {"attacker", "victim"}
    assert "#/components/schemas/HeistReversed" in json.dumps(components["Heist"]["properties"]["reversed"])
