"""Every answer of the API is private: no shared cache stores it, and none confuses two players or two languages."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from heists.models import Heist
from tests.factories import player
from tests.heists.api.answers import URL

pytestmark = pytest.mark.django_db


def check(response: Any, cache_control: str = "private, no-store") -> None:
    assert response["Cache-Control"] == cache_control
    assert {"authorization", "cookie", "accept-language"} <= {
        name.strip().lower() for name in response["Vary"].split(",")
    }


def test_every_answer_is_private_and_only_polled_ones_are_stored(signed_in: Any) -> None:
    me, victim = player("me", points=50, tokens=2, coins=50), player("victim", points=1000)
    client = signed_in(me)

    for status, response in (
        (201, client.post(URL, {"victim": victim.pk})),
        (409, client.post(URL, {"victim": victim.pk})),
        (400, client.post(URL, {"victim": "x"})),
        (404, client.get(f"{URL}987654321/")),
        (405, client.delete(URL)),
        (406, client.get(URL, headers={"accept": "image/png"})),
        (401, APIClient().get(URL)),
        (403, signed_in(player(is_active=False)).get(URL)),
        (200, client.options(URL)),
        (200, client.get(f"{URL}{Heist.objects.outcomes().get().pk}/")),
        (200, client.get(f"{URL}targets/{victim.pk}/")),
        (200, client.post(f"{URL}notifications/read-all/")),
        (200, client.patch(f"{URL}preferences/", {"email": False})),
        (201, client.post(f"{URL}shields/")),
        (200, client.put(f"{URL}truce/", {"wanted": True})),
    ):
        assert response.status_code == status
        check(response)
    for path in ("", "stats/", "leaderboard/", "targets/", "shields/", "preferences/", "truce/"):
        check(client.get(URL + path))
    for path in ("token/", "notifications/", "me/"):
        check(client.get(URL + path), "private, no-cache")


def test_a_throttled_answer_is_private_and_not_stored(signed_in: Any, settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "READ_RATE_LIMIT_PER_MINUTE": 1}
    client = signed_in(player())

    throttled = [response for response in (client.get(URL) for _ in range(4)) if response.status_code == 429]

    assert throttled
    check(throttled[0])


def test_the_unsubscribe_page_is_not_stored() -> None:
    assert {"private", "no-store"} <= set(Client().get(f"{URL}unsubscribe/x/")["Cache-Control"].split(", "))
