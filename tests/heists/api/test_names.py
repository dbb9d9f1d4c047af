"""Names on a page are read together: one call of the economy's `names` a page, however long."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from heists.economy import get_economy
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("", lambda row: [row["attacker"], row["victim"]]),
        ("targets/", lambda row: [row["player"]]),
        ("leaderboard/", lambda row: [row["player"]]),
    ],
)
def test_a_page_reads_its_names_once(api: APIClient, named: list[set[Any]], path: str, shown: Any) -> None:
    thieves = [player(tokens=1) for _ in range(3)]
    victims = [player(points=1000) for _ in range(3)]
    for thief, victim in zip(thieves, victims, strict=True):
        execute_heist(attacker_id=thief.pk, victim_id=victim.pk)
    api.force_authenticate(thieves[0])

    rows = api.get(f"/api/heists/{path}").json()["results"]

    players = [entry for row in rows for entry in shown(row)]
    assert len(players) >= 2
    assert all(entry["name"] == f"Number {entry['id']}" for entry in players)
    assert named == [{entry["id"] for entry in players}]


def test_one_heist_reads_both_names_at_once(api: APIClient, named: list[set[Any]]) -> None:
    thief, victim = player(tokens=1), player(points=1000)
    api.force_authenticate(thief)

    heist = api.post("/api/heists/", {"victim": victim.pk}).json()

    assert heist["victim"]["name"] == f"Number {victim.pk}"
    assert f"Number {victim.pk}" in heist["message"]
    assert named == [{thief.pk, victim.pk}]


def test_a_player_whom_names_leaves_out_has_a_name(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    thief, victim = player("thief", tokens=1), player("victim", points=1000)
    monkeypatch.setattr(type(get_economy()), "names", lambda self, players: {thief.pk: "The thief"}, raising=False)
    api.force_authenticate(thief)

    api.post("/api/heists/", {"victim": victim.pk})
    [heist] = api.get("/api/heists/").json()["results"]

    assert (heist["attacker"]["name"], heist["victim"]["name"]) == ("The thief", "victim")
