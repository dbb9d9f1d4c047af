from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from heists.choices import HeistNotificationType
from heists.models import EmailPreference
from tests.factories import player
from tests.heists.api.answers import problem

pytestmark = pytest.mark.django_db

URL = "/api/heists/preferences/"
ALL = dict.fromkeys(HeistNotificationType.values, True)


@pytest.fixture
def bob(api: APIClient) -> Any:
    bob = player("bob")
    api.force_authenticate(bob)
    return bob


def test_a_player_without_a_preference_gets_every_email(api: APIClient, bob: Any) -> None:
    assert api.get(URL).json() == {"email": True, "types": ALL}
    assert not EmailPreference.objects.exists()


def test_emails_are_turned_off_and_on_by_type_and_all_at_once(api: APIClient, bob: Any) -> None:
    api.patch(URL, {"types": {"HEIST_VICTIM": False, "TOKEN_EARNED": False}})
    api.patch(URL, {"email": False, "types": {"TOKEN_EARNED": True}})

    assert api.get(URL).json() == {"email": False, "types": {**ALL, "HEIST_VICTIM": False}}
    assert api.patch(URL, {"email": True}).json() == {"email": True, "types": {**ALL, "HEIST_VICTIM": False}}


@pytest.mark.parametrize(
    "body", [{"types": {"NEWS": False}}, {"types": []}, {"email": "perhaps"}, [], {"types": {"HEIST_VICTIM": None}}]
)
def test_an_invalid_body_is_a_validation_error_and_changes_nothing(api: APIClient, bob: Any, body: Any) -> None:
    response = api.patch(URL, body)

    assert (response.status_code, response.json()["code"]) == (400, "validation_error")
    assert not EmailPreference.objects.exists()


@pytest.mark.parametrize("value", ["true", "false", 0, 1, None], ids=repr)
@pytest.mark.parametrize("place", ["email", "types"])
def test_only_true_and_false_are_preferences(api: APIClient, bob: Any, value: Any, place: str) -> None:
    body: dict[str, Any] = {"email": value} if place == "email" else {"types": {"HEIST_VICTIM": value}}

    errors = problem(api.patch(URL, body), 400, "validation_error")["errors"]

    assert [error["field"] for error in errors] == ["email" if place == "email" else "types.HEIST_VICTIM"]
    assert not EmailPreference.objects.exists()


def test_each_unknown_type_is_an_error_of_its_own(api: APIClient, bob: Any) -> None:
    response = api.patch(URL, {"types": {"NEWS": False, "HEIST_VICTIM": False, "ALL": True}})

    errors = problem(response, 400, "validation_error")["errors"]

    assert [error["field"] for error in errors] == ["types.ALL", "types.NEWS"]
    assert not EmailPreference.objects.exists()


def test_an_empty_body_changes_nothing(api: APIClient, bob: Any) -> None:
    api.patch(URL, {"email": False, "types": {"HEIST_VICTIM": False}})

    bodies: list[dict[str, Any]] = [{}, {"types": {}}]
    for body in bodies:
        assert api.patch(URL, body).json() == {"email": False, "types": {**ALL, "HEIST_VICTIM": False}}


def test_a_preference_is_the_players_own(api: APIClient, bob: Any) -> None:
    api.patch(URL, {"email": False})
    api.force_authenticate(player("carol"))

    assert api.get(URL).json()["email"] is True


def test_an_anonymous_client_gets_401(api: APIClient) -> None:
    assert [api.get(URL).status_code, api.patch(URL, {}).status_code] == [401, 401]
