"""A key makes one heist, and a repeated request gets the first answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile
from heists.choices import GrantReason
from heists.models import Heist
from heists.services import execute_heist, grant_tokens
from tests.factories import player, points_of

URL = "/api/heists/"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("points", [1000, 0])
def test_the_same_request_on_many_connections_at_once_is_one_heist(points: int) -> None:
    robber, victim = player(tokens=5), player(points=points)
    together = threading.Barrier(6)

    def send(_: int) -> tuple[int, Any]:
        client = APIClient()
        client.force_authenticate(robber)
        together.wait()
        try:
            response = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "once"})
            return response.status_code, response.json().get("id", response.json().get("heist"))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(send, range(6)))

    assert answers == {(201 if points else 409, Heist.objects.get().pk)}


@pytest.mark.django_db(transaction=True)
def test_an_exception_in_the_transaction_rolls_back_and_the_key_can_be_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    robber, victim = player(points=1, tokens=1), player(points=1000)
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(robber)
    transfer = GamificationEconomy.transfer

    def crash(self: Any, heist: Heist) -> None:
        transfer(self, heist)
        raise RuntimeError("no transfer")

    with monkeypatch.context() as broken:
        broken.setattr(GamificationEconomy, "transfer", crash)
        response = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "once"})
    assert response.status_code == 500
    assert not Heist.objects.exists()
    assert (points_of(robber), points_of(victim)) == (1, 1000)

    again = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "once"})

    assert (again.status_code, again.json()["tokens_remaining"]) == (201, 0)
    assert (points_of(robber), points_of(victim)) == (51, 950)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("tokens", "points", "status"),
    [(0, 1000, 409), (1, 15, 409), (2, 1000, 201)],
    ids=["insufficient_tokens", "insufficient_points", "success"],
)
def test_a_repeated_request_gets_the_first_answer_whatever_happened_since(
    signed_in: Any, settings: Any, tokens: int, points: int, status: int
) -> None:
    me, victim = player(points=5, tokens=tokens), player(points=points)
    client, key = signed_in(me), {"idempotency-key": "once"}
    first = client.post(URL, {"victim": victim.pk}, headers=key)

    grant_tokens(player=me, amount=3, reason=GrantReason.PROMOTION, source="later")
    PlayerProfile.objects.filter(user=victim).update(monthly_points=1500)
    settings.HEISTS = {**settings.HEISTS, "TOKEN_COST": 2, "MIN_TARGET_POINTS": 700, "COOLDOWN_HOURS": 1}
    execute_heist(attacker_id=me.pk, victim_id=player(points=1000).pk)
    again = client.post(URL, {"victim": victim.pk}, headers=key)

    assert (first.status_code, again.status_code) == (status, status)
    assert again.json() == first.json()


@pytest.mark.django_db
def test_a_repeated_purchase_gets_the_first_answer_after_the_shield_was_used(signed_in: Any) -> None:
    me, robber = player(points=1000, coins=50), player(tokens=1)
    client, key = signed_in(me), {"idempotency-key": "once"}
    first = client.post(f"{URL}shields/", headers=key)

    execute_heist(attacker_id=robber.pk, victim_id=me.pk)
    again = client.post(f"{URL}shields/", headers=key)

    assert (again.status_code, again.json()) == (201, first.json())
    assert client.get(f"{URL}shields/").json()["results"][0]["state"] == "used"
