"""A key makes one heist: of requests at once, and after an exception."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from gamification.economy import GamificationEconomy
from heists.models import Heist
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
