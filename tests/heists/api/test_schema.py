"""The OpenAPI schema is complete, and right for any user key of a host."""

from __future__ import annotations

import inspect
import os
from dataclasses import fields
from typing import Any

import pytest
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator

from heists import urls
from heists.api.base import PlayerView
from heists.choices import FailureCode
from heists.rules import Rules


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/heists/")
    }


def test_the_schema_is_valid_without_warnings() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", os.devnull)


def test_every_path_is_in_the_schema(document: dict[str, Any]) -> None:
    paths = {path for path in document["paths"] if path.startswith("/api/heists/")}

    of_players = [pattern for pattern in urls.urlpatterns if issubclass(pattern.callback.view_class, PlayerView)]
    assert len(paths) == len(of_players)


def test_every_operation_documents_the_common_problems_with_examples(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        assert {"401", "403", "406", "429", "503"} <= operation["responses"].keys(), name
        assert operation["summary"], name
        for status, response in operation["responses"].items():
            if status >= "400":
                content = response["content"]["application/problem+json"]
                assert content["schema"]["$ref"] == "#/components/schemas/HeistProblem"
                for example in content["examples"].values():
                    assert example["value"]["status"] == int(status)
                    assert f"`{example['value']['code']}`" in response["description"]


def test_no_operation_publishes_a_docstring(document: dict[str, Any]) -> None:
    """Without a description of its own, an operation would publish the docstring of its view or of a base class."""
    docstrings = {inspect.getdoc(pattern.callback.view_class) for pattern in urls.urlpatterns}

    for name, operation in operations(document).items():
        assert operation["description"], name
        assert operation["description"] not in docstrings, name


def test_every_list_documents_its_paging_parameters(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        content = operation["responses"].get("200", {}).get("content", {})
        if "/Paginated" in content.get("application/json", {}).get("schema", {}).get("$ref", ""):
            assert {"cursor", "page_size"} <= {parameter["name"] for parameter in operation["parameters"]}, name


def test_every_rejection_has_an_example(document: dict[str, Any]) -> None:
    rejected = operations(document)["post /api/heists/"]["responses"]["409"]["content"]["application/problem+json"]

    codes = {example["value"]["code"] for example in rejected["examples"].values()}

    assert codes == {code.value for code in FailureCode if code != FailureCode.SHIELD}


def test_the_component_names_do_not_change(document: dict[str, Any]) -> None:
    assert {
        "Heist",
        "HeistFailureCode",
        "HeistFieldError",
        "HeistLeader",
        "HeistLeaderboard",
        "HeistMe",
        "HeistMeAttacker",
        "HeistMeShield",
        "HeistMeVictim",
        "HeistNotification",
        "HeistNotificationType",
        "HeistNotificationsMarked",
        "HeistPlayer",
        "HeistPreview",
        "HeistPreviewCode",
        "HeistProblem",
        "HeistReason",
        "HeistAttemptRequest",
        "HeistRole",
        "HeistRules",
        "HeistShieldShop",
        "HeistStats",
        "HeistStatus",
        "HeistTarget",
        "HeistToken",
        "NewHeist",
        "PaginatedHeistList",
        "PaginatedHeistNotificationList",
        "PaginatedHeistTargetList",
    } <= document["components"]["schemas"].keys()


def untyped(schema: dict[str, Any], path: str) -> list[str]:
    """Return the members whose type a schema leaves open."""
    if "$ref" in schema:
        return []
    if parts := [part for kind in ("allOf", "anyOf", "oneOf") for part in schema.get(kind, ())]:
        return [found for part in parts for found in untyped(part, path)]
    if schema.get("type") == "array":
        return untyped(schema["items"], f"{path}[]")
    if schema.get("type") == "object":
        members = schema.get("properties", {})
        open_ended = [path] if not members or "additionalProperties" in schema else []
        return open_ended + [found for name in members for found in untyped(members[name], f"{path}.{name}")]
    return [] if "type" in schema or "enum" in schema else [path]


def test_every_member_of_every_answer_has_a_type(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    answers = [
        (f"{name} {status}", content["schema"])
        for name, operation in operations(document).items()
        for status, response in operation["responses"].items()
        for content in response.get("content", {}).values()
    ]

    assert len(answers) > 50
    assert [found for name, schema in [*answers, *components.items()] for found in untyped(schema, name)] == []


def test_the_rules_of_an_answer_are_those_of_the_settings(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["HeistRules"]

    types = {int: "integer", bool: "boolean", str: "string"}
    assert {name: member["type"] for name, member in described["properties"].items()} == {
        rule.name: types[type(rule.default)] for rule in fields(Rules)
    }
    assert set(described["required"]) == {rule.name for rule in fields(Rules)}
    assert all(member["description"] for member in described["properties"].values())
    assert "time zone" in described["properties"]["time_zone"]["description"]
    assert described["properties"]["cooldown_hours"]["description"].startswith("How long an attacker waits")
