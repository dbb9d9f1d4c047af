"""Granting tokens: with a reason, once for each page (docs/specification.md, "Admin")."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse

from heists.choices import GrantReason
from heists.errors import Busy
from heists.models import HeistToken, TokenGrant
from heists.services import grant_tokens
from tests.factories import player, tokens_of

pytestmark = pytest.mark.django_db


def grant_url(*players: Any) -> str:
    query = "&".join(f"player={user.pk}" for user in players)
    return f"{reverse('admin:heists_heisttoken_grant')}?{query}"


def form(**fields: Any) -> dict[str, Any]:
    return {"nonce": str(uuid.uuid4()), "amount": 2, "note": "lost in an outage", **fields}


def test_the_action_opens_a_page_that_names_the_players(client: Client, boss: Any) -> None:
    alice = player("alice", tokens=1)
    player("bob", tokens=1)
    token = HeistToken.objects.get(user=alice)

    page = client.post(
        reverse("admin:heists_heisttoken_changelist"),
        {"action": "grant_tokens", "_selected_action": [token.pk], "index": "0"},
        follow=True,
    )

    assert page.redirect_chain == [(grant_url(alice), 302)]
    assert page.context["items"] == ["alice"]
    assert TokenGrant.objects.filter(reason=GrantReason.STAFF).count() == 0


def test_it_works_with_atomic_requests(client: Client, boss: Any, monkeypatch: Any) -> None:
    alice = player("alice")
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    client.post(grant_url(alice), form())

    assert tokens_of(alice).balance == 2


def test_a_grant_names_the_member_of_staff_and_is_logged(client: Client, boss: Any) -> None:
    alice, bob = player("alice", tokens=1), player("bob")

    client.post(grant_url(alice, bob), form())

    assert (tokens_of(alice).balance, tokens_of(bob).balance) == (3, 2)
    grants = TokenGrant.objects.filter(reason=GrantReason.STAFF)
    assert {(grant.granted_by, grant.note, grant.amount) for grant in grants} == {(boss, "lost in an outage", 2)}
    logged = set(LogEntry.objects.filter(user=boss).values_list("content_type__model", "object_id"))
    assert logged == {("tokengrant", str(grant.pk)) for grant in grants} | {
        ("heisttoken", str(tokens_of(user).pk)) for user in (alice, bob)
    }
    assert all("lost in an outage" in entry.change_message for entry in LogEntry.objects.all())


def test_a_double_click_grants_once_and_says_so(client: Client, boss: Any) -> None:
    alice = player("alice")
    data = form()

    client.post(grant_url(alice), data)
    again = client.post(grant_url(alice), {**data, "amount": 5}, follow=True)

    assert tokens_of(alice).balance == 2
    assert "this page was sent before (tokens: 2)" in again.content.decode()
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": "x"},
        {"amount": 10**9},
        {"amount": ""},
        {"note": ""},
        {"note": "x" * 256},
        {"note": "a\x00b"},
        {"nonce": "x"},
        {"nonce": ""},
    ],
)
def test_a_wrong_form_grants_nothing(client: Client, boss: Any, wrong: dict[str, Any]) -> None:
    alice = player("alice")

    page = client.post(grant_url(alice), form(**wrong))

    assert page.status_code == 200 and page.context["form"].errors
    assert not TokenGrant.objects.exists()


def test_a_failure_for_one_player_is_reported_and_can_be_sent_again(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heists.admin import tokens

    alice, bob = player("alice"), player("bob")
    real, data = grant_tokens, form()

    def busy_for_bob(**fields: Any) -> TokenGrant:
        if fields["player"] == bob:
            raise Busy
        return real(**fields)

    monkeypatch.setattr(tokens, "grant_tokens", busy_for_bob)
    page = client.post(grant_url(alice, bob), data, follow=True)
    assert "No tokens for bob" in page.content.decode()
    assert page.context["form"]["nonce"].value() == data["nonce"]

    monkeypatch.setattr(tokens, "grant_tokens", real)
    client.post(grant_url(alice, bob), data)

    assert (tokens_of(alice).balance, tokens_of(bob).balance) == (2, 2)
    assert TokenGrant.objects.count() == 2


def test_granting_needs_its_own_permission(client: Client, auditor: Any) -> None:
    alice = player("alice")
    assert client.post(grant_url(alice), form()).status_code == 403

    auditor.user_permissions.add(Permission.objects.get(codename="grant_tokens", content_type__app_label="heists"))
    assert client.post(grant_url(alice), form()).status_code == 302

    assert tokens_of(alice).balance == 2


def test_too_many_players_are_rejected(client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from heists.admin import tokens

    monkeypatch.setattr(tokens, "MAX_PLAYERS", 1)
    player(tokens=1)
    player(tokens=1)
    keys = list(HeistToken.objects.values_list("pk", flat=True))

    page = client.post(
        reverse("admin:heists_heisttoken_changelist"),
        {"action": "grant_tokens", "_selected_action": keys, "index": "0"},
        follow=True,
    )

    assert "at most 1 players" in page.content.decode()


def test_as_many_players_as_the_limit_get_tokens_and_no_more(
    client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from heists.admin import tokens

    monkeypatch.setattr(tokens, "MAX_PLAYERS", 2)
    players = [player(tokens=1) for _number in range(3)]
    keys = [tokens_of(user).pk for user in players[:2]]
    selected = {"action": "grant_tokens", "_selected_action": keys, "index": "0"}

    page = client.post(reverse("admin:heists_heisttoken_changelist"), selected)
    assert page.headers["Location"] == grant_url(*players[:2])
    done = client.post(grant_url(*players), form())

    assert [tokens_of(user).balance for user in players] == [3, 3, 1]
    assert done.headers["Location"] == reverse("admin:heists_heisttoken_changelist")
    alone = client.post(grant_url(players[2]), form())
    assert alone.headers["Location"].endswith(f"?player={players[2].pk}")
