"""Nobody reads what is not theirs: every endpoint, walked as a third player and as the other side."""

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
def crime(signed_in: Any) -> dict[str, Any]:
    """A robs B twice: one success, one rejection; C has nothing to do with it."""
    a = player("alice", points=7_654_321, tokens=34_567, email="alice@secret.example")
    b = player("bob", points=1_234_567, tokens=45_678, email="bob@secret.example")
    c = player("carol", points=5, tokens=1, email="carol@secret.example")
    won = execute_heist(attacker_id=a.pk, victim_id=b.pk, ip_address="203.0.113.77", idempotency_key="secret-key")
    refused = execute_heist(attacker_id=a.pk, victim_id=b.pk, ip_address="203.0.113.77")
    return {"a": a, "b": b, "c": c, "won": won, "refused": refused}


def addresses(**ids: Any) -> list[str]:
    """Every address of the API, with these ids in their places."""
    ids = {"token": "made-up"} | ids
    routes = [URL + str(pattern.pattern) for pattern in urls.urlpatterns]
    return [re.sub(r"<\w+:(\w+)>", lambda match: str(ids.get(match[1], "x")), route) for route in routes]


def walk(client: Any, paths: list[str]) -> str:
    """Everything that can be read or provoked there, in one text."""
    answers = []
    for path in paths:
        answers.append(client.get(path).content.decode())
        if path != URL:
            answers.append(client.post(path, {}).content.decode())
    return "\n".join(answers)


def test_a_third_player_learns_nothing_of_the_crime(signed_in: Any, crime: dict[str, Any]) -> None:
    notification = HeistNotification.objects.filter(user=crime["b"]).latest("pk")
    paths = addresses(heist_id=crime["won"].pk, player_id=crime["b"].pk, notification_id=notification.pk)
    client = signed_in(crime["c"])

    text = walk(client, paths)

    # Monthly points are the leaderboard, which is public; tokens, addresses, keys and what others were told are not.
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
    assert client.get(f"{URL}{crime['won'].pk}/").status_code == 404
    assert client.get(f"{URL}{crime['refused'].pk}/").status_code == 404
    assert client.get(URL).json()["results"] == []
    assert client.post(f"{URL}notifications/{notification.pk}/read/").status_code == 404
    notification.refresh_from_db()
    assert not notification.read


def test_the_victim_sees_outcomes_only_and_not_the_attackers_side(signed_in: Any, crime: dict[str, Any]) -> None:
    paths = addresses(heist_id=crime["won"].pk, player_id=crime["c"].pk, notification_id=1)
    client = signed_in(crime["b"])

    history = client.get(URL).json()["results"]
    text = walk(client, [path for path in paths if "targets" not in path])

    assert [heist["id"] for heist in history] == [crime["won"].pk]
    assert client.get(f"{URL}{crime['refused'].pk}/").status_code == 404
    for secret in ("secret.example", "203.0.113", "secret-key", "7654321", "7654421", "34566"):
        assert secret not in text


def test_the_attacker_does_not_see_the_victims_side_of_a_heist(signed_in: Any, crime: dict[str, Any]) -> None:
    body = signed_in(crime["a"]).get(f"{URL}{crime['won'].pk}/").content.decode()

    for secret in ("1234567", "1234467", "secret.example", "203.0.113", "secret-key"):
        assert secret not in body


def test_a_name_is_never_an_address(signed_in: Any) -> None:
    me, mailed = player(tokens=1), player("dave@secret.example", points=1000)
    client = signed_in(me)

    created = client.post(URL, {"victim": mailed.pk})

    assert created.json()["victim"]["name"] == f"Player {mailed.pk}"
    text = walk(client, addresses(heist_id=Heist.objects.get().pk, player_id=mailed.pk, notification_id=1))
    assert "secret.example" not in text
