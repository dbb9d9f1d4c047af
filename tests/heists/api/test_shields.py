from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from heists.economy import get_economy
from heists.models import Shield
from heists.rules import Failure
from heists.services import buy_shield, execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db

URL = "/api/heists/shields/"


def test_buying_answers_with_the_shield(api: APIClient) -> None:
    api.force_authenticate(player("alice", coins=50))

    response = api.post(URL)

    body = response.json()
    assert response.status_code == 201
    assert (body["state"], body["cost"], body["used_at"], body["heist"]) == ("live", 50, None, None)
    assert set(body) == {"id", "state", "cost", "bought_at", "expires_at", "used_at", "heist"}
    assert body["expires_at"].endswith("Z")


def test_the_same_key_answers_with_the_same_status_and_shield(api: APIClient) -> None:
    api.force_authenticate(player("alice", coins=100))

    first, second = (api.post(URL, headers={"Idempotency-Key": "a"}) for _ in range(2))

    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert first.status_code == 201


@pytest.mark.parametrize(("coins", "code"), [(49, "insufficient_coins"), (100, "shield_already_live")])
def test_an_impossible_purchase_is_a_409_with_its_code_and_numbers(api: APIClient, coins: Any, code: Any) -> None:
    alice = player("alice", coins=coins)
    if coins == 100:
        buy_shield(player_id=alice.pk)
    api.force_authenticate(alice)

    response = api.post(URL)

    assert (response.status_code, response.headers["Content-Type"]) == (409, "application/problem+json")
    assert response.json()["code"] == code
    assert response.json().keys() & {"required", "available", "expires_at"}


def test_a_site_without_coins_and_a_closed_shop_have_codes(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    api.force_authenticate(player("alice", coins=100))

    with monkeypatch.context() as poor:
        poor.setattr(type(get_economy()), "has_coins", False)
        no_coins = api.post(URL)
    settings.HEISTS = {**settings.HEISTS, "ENABLED": False}
    closed = api.post(URL)

    assert (no_coins.status_code, no_coins.json()["code"]) == (409, "no_coins")
    assert (closed.status_code, closed.json()["code"]) == (503, "feature_disabled")
    assert api.get(URL).status_code == 200


def test_the_list_has_my_shields_newest_first_with_their_state(api: APIClient) -> None:
    alice, bob = player("alice", points=1000, coins=200), player("bob", tokens=1)
    buy_shield(player_id=player("dave", coins=50).pk)
    used = buy_shield(player_id=alice.pk)
    heist = execute_heist(attacker_id=bob.pk, victim_id=alice.pk)
    expired = buy_shield(player_id=alice.pk)
    now = timezone.now()
    Shield.objects.filter(pk=expired.pk).update(expires_at=now, bought_at=now - dt.timedelta(hours=1))
    Shield.objects.filter(pk=used.pk).update(bought_at=now - dt.timedelta(hours=2))
    live = buy_shield(player_id=alice.pk)
    api.force_authenticate(alice)

    found = api.get(URL).json()["results"]

    assert [(row["id"], row["state"], row["heist"]) for row in found] == [
        (live.pk, "live", None),
        (expired.pk, "expired", None),
        (used.pk, "used", heist.pk),
    ]


def test_buying_and_reading_without_sign_in_is_a_401(api: APIClient) -> None:
    assert (api.get(URL).status_code, api.post(URL).status_code) == (401, 401)


def test_an_inactive_account_is_a_403(api: APIClient) -> None:
    api.force_authenticate(player("alice", coins=50, is_active=False))

    assert api.post(URL).status_code == 403


def test_a_shield_does_not_change_the_preview() -> None:
    alice, bob = player("alice", tokens=1, points=10), player("bob", points=1000, coins=50)
    from heists import conf
    from heists.queries import facts

    def preview() -> tuple[list[Failure], int]:
        seen = facts.read(
            alice.pk, [bob.pk], economy=get_economy(), rules=conf.rules(), now=timezone.now(), using="default"
        )
        victim = seen.victim(bob.pk)
        return list(seen.failures(victim)), seen.amount(victim)

    before = preview()
    buy_shield(player_id=bob.pk)

    assert preview() == before
