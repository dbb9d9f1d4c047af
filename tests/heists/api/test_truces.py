from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from heists.models import Truce
from tests.conftest import HeistSettings
from tests.factories import player
from tests.heists.api.answers import problem
from tests.heists.queries.test_facts_joins import Clock, clock_at

pytestmark = pytest.mark.django_db

URL = "/api/heists/truce/"
JUNE, JULY = "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"
NONE = {
    "enabled": True,
    "wanted": False,
    "in_force": False,
    "starts_at": None,
    "ends_at": None,
    "takes_effect_at": JUNE,
}


@pytest.fixture
def clock() -> Iterator[Clock]:
    with clock_at(dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)) as clock:
        yield clock


@pytest.fixture
def bob(api: APIClient, clock: Clock) -> Any:
    bob = player("bob", tokens=1)
    api.force_authenticate(bob)
    return bob


def wish(api: APIClient, wanted: Any) -> Any:
    response = api.put(URL, {"wanted": wanted})
    assert response.status_code == 200, response.json()
    return response.json()


def test_a_truce_from_the_wish_to_its_end(api: APIClient, bob: Any, clock: Clock) -> None:
    assert api.get(URL).json() == NONE

    coming = wish(api, True)

    assert coming == NONE | {"wanted": True, "starts_at": JUNE}
    # Wished twice: the same answer.
    assert wish(api, True) == api.get(URL).json() == coming
    clock.now = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    in_force = coming | {"in_force": True, "takes_effect_at": JULY}
    assert api.get(URL).json() == in_force
    assert wish(api, False) == api.get(URL).json() == in_force | {"wanted": False, "ends_at": JULY}
    clock.now = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    assert api.get(URL).json() == wish(api, False) == NONE | {"takes_effect_at": "2026-08-01T00:00:00Z"}


def test_a_truce_that_was_taken_back_is_none(api: APIClient, bob: Any, clock: Clock) -> None:
    wish(api, True)

    assert wish(api, False) == api.get(URL).json() == NONE
    assert wish(api, True) == NONE | {"wanted": True, "starts_at": JUNE}


@pytest.mark.parametrize("body", [{}, [], {"wanted": None}, {"wanted": "true"}, {"wanted": 1}, {"wish": True}, "yes"])
def test_an_invalid_body_is_a_validation_error_and_changes_nothing(api: APIClient, bob: Any, body: Any) -> None:
    problem(api.put(URL, body), 400, "validation_error")

    assert not Truce.objects.exists()


def test_a_truce_is_the_players_own(api: APIClient, bob: Any) -> None:
    wish(api, True)
    api.force_authenticate(player("carol"))

    assert api.get(URL).json() == NONE


def test_an_anonymous_client_and_an_inactive_account_change_nothing(api: APIClient, bob: Any) -> None:
    assert [APIClient().get(URL).status_code, APIClient().put(URL, {"wanted": True}).status_code] == [401, 401]
    api.force_authenticate(player(is_active=False))

    problem(api.get(URL), 403, "inactive_account")
    problem(api.put(URL, {"wanted": True}), 403, "inactive_account")
    assert not Truce.objects.exists()


def test_while_heists_are_off_a_truce_is_readable_and_can_not_be_changed(
    api: APIClient, bob: Any, heist_settings: HeistSettings
) -> None:
    wish(api, True)
    heist_settings(ENABLED=False)

    for wanted in (True, False):
        found = problem(api.put(URL, {"wanted": wanted}), 503, "feature_disabled")
    assert "retry_at" not in found

    assert api.get(URL).json() == NONE | {"wanted": True, "starts_at": JUNE}


def test_while_truces_are_off_a_truce_is_readable_and_not_in_force(
    api: APIClient, bob: Any, clock: Clock, heist_settings: HeistSettings
) -> None:
    wish(api, True)
    clock.now = dt.datetime(2026, 6, 2, tzinfo=dt.UTC)
    heist_settings(TRUCE_ENABLED=False)

    for wanted in (True, False):
        problem(api.put(URL, {"wanted": wanted}), 409, "truce_disabled")

    expected = NONE | {"enabled": False, "wanted": True, "starts_at": JUNE, "takes_effect_at": JULY}
    assert api.get(URL).json() == expected


def test_a_rejection_by_a_truce_says_until_when(api: APIClient, bob: Any, clock: Clock) -> None:
    wish(api, True)
    clock.now = dt.datetime(2026, 6, 30, 23, 59, tzinfo=dt.UTC)
    carol = player("carol", points=1000)
    answers = [api.post("/api/heists/", {"victim": carol.pk})]
    wish(api, False)
    answers.append(api.post("/api/heists/", {"victim": carol.pk}))

    wanted, ending = (problem(answer, 409, "own_truce") for answer in answers)

    assert ("retry_at" in wanted, answers[0].get("Retry-After")) == (False, None)
    assert (ending["retry_at"], answers[1]["Retry-After"], ending["heist_status"]) == (JULY, "60", "FAILED_COOLDOWN")
    row = api.get(f"/api/heists/targets/{carol.pk}/").json()
    assert (row["code"], row["retry_at"], row["potential_points"]) == ("own_truce", JULY, 50)


def test_everybody_reads_that_a_target_has_a_truce_or_is_new(
    api: APIClient, bob: Any, clock: Clock, heist_settings: HeistSettings
) -> None:
    joined, clock.now = clock.now, dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    carol = player("carol", points=1000, date_joined=joined)
    Truce.objects.create(player=carol, starts_at=clock.now)
    heist_settings(NEWCOMER_DAYS=15)

    row = api.get("/api/heists/targets/").json()["results"][0]
    reasons = api.get(f"/api/heists/targets/{carol.pk}/").json()["reasons"]

    assert (row["eligible"], row["code"], row["retry_at"]) == (False, "truce", None)
    assert [(reason["code"], reason["retry_at"]) for reason in reasons] == [
        ("truce", None),
        ("newcomer", "2026-06-04T12:00:00Z"),
    ]


def test_wishes_count_as_attempts_and_reading_does_not(api: APIClient, bob: Any, heist_settings: HeistSettings) -> None:
    heist_settings(RATE_LIMIT_PER_MINUTE=1)

    statuses = [api.put(URL, {"wanted": True}).status_code for _ in range(2)]

    assert statuses == [200, 429]
    assert [api.get(URL).status_code for _ in range(3)] == [200] * 3
    assert api.post("/api/heists/", {"victim": bob.pk}).status_code == 429
