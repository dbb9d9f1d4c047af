"""Every path shows a player only their own data: tested as a third player and as the other side of a heist."""

from __future__ import annotations

import re
from typing import Any

import pytest

from heists import urls
from heists.models import Heist, HeistNotification
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db
URL = "/api/heists/"


@pytest.fixture
def scene(signed_in: Any) -> dict[str, Any]:
    """A robs B twice, with a success and a rejection; C is a third player."""
    a = player("alice", points=7_654_321, tokens=34_567, email="alice@secret.example")
    b = player("bob", points=1_234_567, tokens=45_678, email="bob@secret.example")
    c = player("carol", points=5, tokens=1, email="carol@secret.example")
    won = execute_heist(attacker_id=a.pk, victim_id=b.pk, ip_address="203.0.113.77", idempotency_key="secret-key")
    rejected = execute_heist(attacker_id=a.pk, victim_id=b.pk, ip_address="203.0.113.77")
    return {"a": a, "b": b, "c": c, "won": won, "rejected": rejected}


def paths_with(**ids: Any) -> list[str]:
    """Return every path of the API with these ids."""
    ids = {"token": "invalid"} | ids
    routes = [URL + str(pattern.pattern) for pattern in urls.urlpatterns]
    return [re.sub(r"<\w+:(\w+)>", lambda match: str(ids.get(match[1], "x")), route) for route in routes]


def all_answers(client: Any, paths: list[str]) -> str:
    """Return the answers to GET and POST of these paths as one text."""
    answers = []
    for path in paths:
        answers.append(client.get(path).content.decode())
        if path != URL:
            answers.append(client.post(path, {}).content.decode())
    return "\n".join(answers)


def test_a_third_player_sees_nothing_of_a_heist(signed_in: Any, scene: dict[str, Any]) -> None:
    notification = HeistNotification.objects.filter(user=scene["b"]).latest("pk")
    paths = paths_with(heist_id=scene["won"].pk, player_id=scene["b"].pk, notification_id=notification.pk)
    client = signed_in(scene["c"])

    text = all_answers(client, paths)

    # Monthly points are public, as on the leaderboard; tokens, addresses, keys and notifications are not.
    for secret in (
        "secret.example",
        "203.0.113",
        "secret-key",
        "34567",
        "34566",
        "45678",
        "Oh no",
        "7654321",
        "1234567",
    ):
        assert secret not in text
    assert client.get(f"{URL}{scene['won'].pk}/").status_code == 404
    assert client.get(f"{URL}{scene['rejected'].pk}/").status_code == 404
    assert client.get(URL).json()["results"] == []
    assert client.post(f"{URL}notifications/{notification.pk}/read/").status_code == 404
    notification.refresh_from_db()
    assert not notification.read


def test_the_victim_sees_outcomes_only_and_not_the_attackers_side(signed_in: Any, scene: dict[str, Any]) -> None:
    paths = paths_with(heist_id=scene["won"].pk, player_id=scene["c"].pk, notification_id=1)
    client = signed_in(scene["b"])

    history = client.get(URL).json()["results"]
    text = all_answers(client, [path for path in paths if "targets" not in path])

    assert [heist["id"] for heist in history] == [scene["won"].pk]
    assert client.get(f"{URL}{scene['rejected'].pk}/").status_code == 404
    for secret in ("secret.example", "203.0.113", "secret-key", "7654321", "7654421", "34566"):
        assert secret not in text


def test_the_attacker_does_not_see_the_victims_side_of_a_heist(signed_in: Any, scene: dict[str, Any]) -> None:
    body = signed_in(scene["a"]).get(f"{URL}{scene['won'].pk}/").content.decode()

    for secret in ("1234567", "1234467", "secret.example", "203.0.113", "secret-key"):
        assert secret not in body


def test_a_name_is_never_an_address(signed_in: Any) -> None:
    me, mailed = player(tokens=1), player("dave@secret.example", points=1000)
    client = signed_in(me)

    created = client.post(URL, {"victim": mailed.pk})

    assert created.json()["victim"]["name"] == f"Player {mailed.pk}"
    text = all_answers(client, paths_with(heist_id=Heist.objects.get().pk, player_id=mailed.pk, notification_id=1))
    assert "secret.example" not in text
