"""Every time in an answer is ISO 8601 in UTC, and every time in a query is read as ISO 8601."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from heists.models import Heist, HeistNotification
from heists.services import execute_heist
from tests.factories import player
from tests.heists.api.answers import URL

pytestmark = pytest.mark.django_db

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3,6})?Z")
NAMES = re.compile(r"\w+_at|\w+_until|since")


def times(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the members of a JSON value that are times by their name, and are not null."""
    if isinstance(value, list):
        for item in value:
            yield from times(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if NAMES.fullmatch(name) and item is not None:
                yield name, item
            yield from times(item)


def test_every_time_is_iso_8601_in_utc(signed_in: Any, settings: Any) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    me, victim = player("me", points=1000, tokens=5, coins=100), player("victim", points=1000, tokens=1)
    execute_heist(attacker_id=victim.pk, victim_id=me.pk)
    client = signed_in(me)
    answers = {
        "success": client.post(URL, {"victim": victim.pk}),
        "rejection": client.post(URL, {"victim": victim.pk}),
        "purchase": client.post(f"{URL}shields/"),
        "second purchase": client.post(f"{URL}shields/"),
        "read": client.post(f"{URL}notifications/{HeistNotification.objects.filter(user=me).latest('pk').pk}/read/"),
    }
    detail = f"{Heist.objects.latest('pk').pk}/"
    for path in (
        "",
        detail,
        "token/",
        "leaderboard/",
        "targets/",
        f"targets/{victim.pk}/",
        "notifications/",
        "shields/",
    ):
        answers[path] = client.get(URL + path)

    for name, answer in answers.items():
        found = list(times(answer.json()))
        assert found, name
        assert [time for time in found if not UTC.fullmatch(str(time[1]))] == [], name
    assert {name for answer in answers.values() for name, _ in times(answer.json())} >= {
        *("created_at", "retry_at", "cooldown_ends_at", "expires_at", "bought_at", "last_spent_at", "last_earned_at"),
        *("protection_until", "since"),
    }


@pytest.mark.parametrize("time", ["2000-01-01T00:00:00Z", "2000-01-01T00:00:00+14:00", "2000-01-01T00:00:00.5"])
def test_a_query_takes_iso_8601(signed_in: Any, time: str) -> None:
    me, victim = player("me", tokens=1), player("victim", points=1000)
    execute_heist(attacker_id=me.pk, victim_id=victim.pk)
    client = signed_in(me)

    assert len(client.get(URL, {"created_after": time}).json()["results"]) == 1
    assert client.get(URL, {"created_before": time}).json()["results"] == []
    assert client.get(URL, {"created_after": "01.01.2000"}).status_code == 400
