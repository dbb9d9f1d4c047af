"""Stateless sign-in: `request.user` is read from a token. The key may be text, and the claims may be out of date."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.test import APIClient

from heists.models import Heist, HeistNotification
from tests.factories import player
from tests.heists.api.answers import URL, problem

pytestmark = pytest.mark.django_db(transaction=True)


def client_of(pk: Any, **claims: Any) -> APIClient:
    """Return a client whose `request.user` is no model instance, like that of `JWTStatelessUserAuthentication`."""
    client = APIClient()
    client.force_authenticate(SimpleNamespace(pk=pk, is_authenticated=True, **claims))  # type: ignore[arg-type]
    return client


def test_a_text_key_reads_the_attackers_own_side() -> None:
    me, victim = player("me", points=7, tokens=2), player("victim", points=1000)
    client = client_of(str(me.pk))

    created = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})
    repeated = client.post(URL, {"victim": victim.pk}, headers={"idempotency-key": "k"})

    assert (created.status_code, repeated.json()) == (201, created.json())
    pages = (client.get(URL), client.get(URL, {"role": "attacker"}))
    for body in (created.json(), client.get(created["Location"]).json(), *(p.json()["results"][0] for p in pages)):
        assert (body["role"], body["my_points_before"], body["my_points_after"]) == ("attacker", 7, 57)
        assert (body["attacker"], body["victim"]) == ({"id": me.pk, "name": "me"}, {"id": victim.pk, "name": "victim"})
    assert client.get(URL, {"role": "victim"}).json()["results"] == []


def test_a_text_key_reads_and_changes_only_its_own_rows() -> None:
    me, other = player("me", points=1000, tokens=1, coins=50), player("other", points=1000, tokens=1, coins=50)
    client = client_of(str(me.pk))

    assert client.get(f"{URL}token/").json()["balance"] == 1
    assert [row["player"]["id"] for row in client.get(f"{URL}targets/").json()["results"]] == [other.pk]
    assert client.get(f"{URL}targets/{me.pk}/").json()["code"] == "self_target"
    assert client.get(f"{URL}notifications/").json()["unread_count"] == 1
    assert client.post(f"{URL}notifications/read-all/").json() == {"marked": 1, "unread_count": 0}
    assert HeistNotification.objects.unread().get().user == other
    assert client.patch(f"{URL}preferences/", {"email": False}).json()["email"] is False
    assert client.post(f"{URL}shields/").status_code == 201
    assert client.put(f"{URL}truce/", {"wanted": True}).json()["wanted"] is True
    assert len(client.get(f"{URL}shields/").json()["results"]) == 1
    problem(client.post(URL, {"victim": me.pk}), 409, "self_target")


def test_names_come_from_the_row_and_not_from_the_token() -> None:
    me, victim = player("renamed", tokens=1), player("victim", points=1000)
    client = client_of(str(me.pk), username="old", get_username=lambda: "old")

    created = client.post(URL, {"victim": victim.pk}).json()

    assert created["attacker"]["name"] == client.get(URL).json()["results"][0]["attacker"]["name"] == "renamed"


@pytest.mark.parametrize("pk", [None, "", "x", "1.5", "\x00", "\ud800", "9" * 30, -(2**63) - 1, [], {}], ids=repr)
def test_a_key_that_the_column_cannot_hold_is_a_401(pk: Any) -> None:
    victim = player(points=1000)

    problem(client_of(pk).get(f"{URL}token/"), 401, "authentication_failed")
    problem(client_of(pk).post(URL, {"victim": victim.pk}), 401, "authentication_failed")


@pytest.mark.parametrize(
    ("claims", "active", "status"),
    [
        ({}, True, 201),
        ({}, False, 403),
        ({"is_active": True}, False, 403),
        ({"is_active": False}, True, 201),
        ({"is_active": False}, False, 403),
    ],
)
def test_the_row_decides_whether_an_attacker_is_active(claims: dict[str, bool], active: bool, status: int) -> None:
    me, victim = player(tokens=1, coins=50, is_active=active), player(points=1000)
    client = client_of(str(me.pk), **claims)

    assert client.post(URL, {"victim": victim.pk}).status_code == status
    assert client.post(f"{URL}shields/").status_code == status
    assert Heist.objects.count() == (1 if active else 0)


def test_a_claim_alone_blocks_no_reading() -> None:
    me, gone = player(), player(is_active=False)

    assert client_of(str(me.pk), is_active=False).get(f"{URL}token/").status_code == 200
    problem(client_of(str(gone.pk), is_active=False).get(f"{URL}token/"), 403, "inactive_account")


def test_a_token_of_a_deleted_account_is_a_401() -> None:
    me, victim = player("me", tokens=1), player("victim", points=1000)
    client = client_of(str(me.pk))
    me.delete()

    for response in (
        client.post(URL, {"victim": victim.pk}),
        client.post(f"{URL}shields/"),
        client.patch(f"{URL}preferences/", {"email": False}),
        client.put(f"{URL}truce/", {"wanted": True}),
        client.get(f"{URL}targets/"),
        client.get(f"{URL}targets/{victim.pk}/"),
    ):
        problem(response, 401, "authentication_failed")
    problem(client_of(str(victim.pk)).post(URL, {"victim": 987654321}), 400, "unknown_player")
