"""The API works under any prefix and namespace that a host includes it with."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client

from heists.choices import HeistNotificationType
from heists.emails import unsubscribe
from heists.models import EmailPreference, Heist, HeistNotification
from tests.factories import player

PREFIXES = [
    "/plain/",
    "/named/v1/heists/",
    "/unnamed/v2/heists/",
    "/converted/blue/7/",
    "/nested/blue/game/",
    "/clash/0/0/0/x/xml/",
]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True, params=[False, True], ids=["", "atomic"])
def mounted(request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ROOT_URLCONF = "tests.heists.api.mounted_urls"
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", request.param)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_operation_works_under_a_prefix(signed_in: Any, prefix: str) -> None:
    me, victim = player("me", points=50, tokens=2, coins=50), player("victim", points=1000)
    client = signed_in(me)

    created = client.post(prefix, {"victim": victim.pk})
    assert created.status_code == 201
    heist, notification = Heist.objects.get(), HeistNotification.objects.filter(user=me).latest("pk")
    for path in (
        "",
        "stats/",
        "leaderboard/",
        "token/",
        "targets/",
        "notifications/",
        "shields/",
        "preferences/",
        "me/",
        "truce/",
    ):
        assert client.get(prefix + path).status_code == 200, path
    assert client.get(f"{prefix}{heist.pk}/").json()["id"] == heist.pk
    assert client.get(f"{prefix}targets/{victim.pk}/").json()["player"]["id"] == victim.pk
    assert client.post(f"{prefix}notifications/{notification.pk}/read/").json()["id"] == notification.pk
    assert client.post(f"{prefix}notifications/read-all/").status_code == 200
    assert client.patch(f"{prefix}preferences/", {"email": False}).json()["email"] is False
    assert client.post(f"{prefix}shields/").status_code == 201
    assert client.put(f"{prefix}truce/", {"wanted": True}).json()["wanted"] is True


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_urls_in_answers_stay_under_the_prefix(signed_in: Any, prefix: str) -> None:
    me, victim = player("me", points=50, tokens=2), player("victim", points=1000)
    client = signed_in(me)

    location = urlsplit(client.post(prefix, {"victim": victim.pk})["Location"]).path
    client.post(prefix, {"victim": victim.pk})
    first = client.get(prefix, {"page_size": 1}).json()
    second = client.get(first["next"]).json()

    assert location == f"{prefix}{Heist.objects.outcomes().get().pk}/"
    assert client.get(location).status_code == 200
    assert urlsplit(first["next"]).path == urlsplit(second["previous"]).path == prefix
    assert client.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_unsubscribe_page_works_under_a_prefix(prefix: str) -> None:
    me = player("me")
    url = f"{prefix}unsubscribe/{unsubscribe.token(me, HeistNotificationType.HEIST_VICTIM)}/"

    assert Client().get(url).status_code == 200
    assert Client().post(url, {"emails": "type"}).status_code == 200
    assert EmailPreference.objects.get(player=me).muted_types == ["HEIST_VICTIM"]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_an_asynchronous_server_works_under_a_prefix(prefix: str) -> None:
    me, victim = player("me", tokens=1), player("victim", points=1000)
    client = AsyncClient()
    client.force_login(me)

    async def attempt() -> list[Any]:
        return [
            await client.post(prefix, {"victim": victim.pk}, content_type="application/json"),
            await client.get(f"{prefix}token/"),
            await client.get(f"{prefix}unsubscribe/x/"),
        ]

    assert [response.status_code for response in async_to_sync(attempt)()] == [201, 200, 404]
