"""Staff take a grant back in the admin (docs/specification.md, "Admin")."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from heists.choices import GrantReason
from heists.models import HeistToken, TokenGrant
from heists.services import execute_heist, grant_tokens, take_back
from tests.factories import player, tokens_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(db: None) -> TokenGrant:
    return grant_tokens(player=player("alice", tokens=1), amount=3, reason=GrantReason.STAFF, source="s")


def page_of(grant: TokenGrant) -> str:
    return reverse("admin:heists_tokengrant_change", args=[grant.pk])


def url_of(grant: TokenGrant) -> str:
    return reverse("admin:heists_tokengrant_take_back", args=[grant.pk])


def send(client: Client, grant: TokenGrant, **fields: Any) -> str:
    data = {"expected": 3, "reason": "the wrong alice", **fields}
    return client.post(url_of(grant), data, follow=True).content.decode()


def test_the_page_shows_the_number_and_changes_nothing(client: Client, boss: Any, grant: TokenGrant) -> None:
    assert f'href="{url_of(grant)}"' in client.get(page_of(grant)).content.decode()

    page = client.get(url_of(grant))

    assert page.context["sentences"][0] == "3 tokens are taken back from alice."
    assert 'value="Yes, take back 3 tokens"' in page.content.decode()
    assert "3 tokens for alice" in page.content.decode()
    assert tokens_of(grant.player).balance == 4


def test_the_grant_is_taken_back_logged_and_shown(client: Client, boss: Any, grant: TokenGrant) -> None:
    text = send(client, grant)

    correction = TokenGrant.objects.get(reason=GrantReason.CORRECTION)
    assert (correction.amount, correction.granted_by, correction.note) == (-3, boss, "the wrong alice")
    assert tokens_of(grant.player).balance == 1
    assert "3 tokens were taken back from alice." in text
    assert "Tokens taken back: 3, at " in text and ", by boss" in text and "Reason: the wrong alice" in text
    assert url_of(grant) not in text
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (boss, str(correction.pk))
    assert entry.change_message == "Grant taken back: 3 of 3 tokens of alice. the wrong alice"


@pytest.mark.parametrize("reason", ["", " ", "x" * 256])
def test_a_reason_is_required(client: Client, boss: Any, grant: TokenGrant, reason: str) -> None:
    page = client.post(url_of(grant), {"expected": 3, "reason": reason})

    assert page.context["form"].errors.keys() == {"reason"}
    assert tokens_of(grant.player).balance == 4


def test_where_the_number_changed_the_page_is_shown_again(client: Client, boss: Any, grant: TokenGrant) -> None:
    take_back(grant=TokenGrant.objects.get(amount=1), by=boss, reason="x")
    execute_heist(attacker_id=grant.player_id, victim_id=player(points=1000).pk)

    page = client.post(url_of(grant), {"expected": 3, "reason": "the wrong alice"})

    text = page.content.decode()
    assert "Meanwhile the number has changed: 3 → 2 tokens. Nothing was taken back yet." in text
    assert "3 were granted, but alice has only 2 left." in text
    assert tokens_of(grant.player).balance == 2
    again = {name: page.context["form"][name].value() for name in ("expected", "reason")}
    assert again == {"expected": 2, "reason": "the wrong alice"}

    client.post(url_of(grant), again)

    assert tokens_of(grant.player).balance == 0


def test_a_form_that_is_sent_twice_takes_once(client: Client, boss: Any, grant: TokenGrant) -> None:
    send(client, grant)

    text = send(client, grant)

    assert "This grant was taken back before: 3, on " in text and ", by boss." in text
    assert (tokens_of(grant.player).balance, LogEntry.objects.count()) == (1, 1)


def test_an_error_is_a_sentence(client: Client, boss: Any, grant: TokenGrant) -> None:
    correction = take_back(grant=grant, by=boss, reason="x")
    assert "A correction can&#x27;t be taken back." in client.get(url_of(correction), follow=True).content.decode()
    assert url_of(correction) not in client.get(page_of(correction)).content.decode()

    first = TokenGrant.objects.get(amount=1)
    execute_heist(attacker_id=grant.player_id, victim_id=player(points=1000).pk)
    text = client.get(url_of(first), follow=True).content.decode()
    assert "1 were granted, but the player has no tokens left to take back." in text


@pytest.mark.parametrize("pk", ["12345", "abc", "-1", "9" * 30])
def test_an_unknown_grant_is_a_sentence(client: Client, boss: Any, pk: str) -> None:
    page = client.get(reverse("admin:heists_tokengrant_take_back", args=[pk]), follow=True)

    assert page.redirect_chain == [(reverse("admin:heists_tokengrant_changelist"), 302)]
    assert "There is no such grant any more." in page.content.decode()


def test_it_needs_the_permission_to_grant(client: Client, auditor: Any, grant: TokenGrant) -> None:
    assert url_of(grant) not in client.get(page_of(grant)).content.decode()
    assert client.get(url_of(grant)).status_code == client.post(url_of(grant)).status_code == 403
    assert tokens_of(grant.player).balance == 4

    auditor.user_permissions.add(Permission.objects.get(codename="grant_tokens"))
    send(client, grant)
    assert tokens_of(grant.player).balance == 1


@pytest.mark.django_db(transaction=True)
def test_it_works_with_atomic_requests(client: Client, boss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = grant_tokens(player=player(), amount=3, reason=GrantReason.STAFF, source="s")
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    send(client, grant)

    assert tokens_of(grant.player).balance == 0


def test_the_name_of_a_deleted_member_of_staff_is_shown(client: Client, boss: Any) -> None:
    susan = player("susan", is_staff=True)
    grant = grant_tokens(player=player(), amount=3, reason=GrantReason.STAFF, source="s", granted_by=susan)
    susan.delete()

    assert "susan" in client.get(page_of(grant)).content.decode()
    assert "susan" in client.get(reverse("admin:heists_tokengrant_changelist")).content.decode()


def test_the_pages_take_a_fixed_number_of_statements(client: Client, boss: Any, grant: TokenGrant) -> None:
    def statements(url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        return len(queries)

    client.get(page_of(grant))
    before, asked = statements(page_of(grant)), statements(url_of(grant))
    take_back(grant=grant, by=boss, reason="x")

    assert statements(page_of(grant)) == before
    assert asked <= 7


def test_only_where_less_is_left_the_page_says_so(client: Client, boss: Any, grant: TokenGrant) -> None:
    assert len(client.get(url_of(grant)).context["sentences"]) == 2
    HeistToken.objects.filter(user=grant.player).update(balance=2, total_spent=2)

    page = client.get(url_of(grant))

    assert page.context["sentences"][0] == "2 tokens are taken back from alice."
    assert page.context["sentences"][1] == "3 were granted, but alice has only 2 left."
    assert page.context["form"]["expected"].value() == 2


def test_who_took_a_grant_back_may_be_unknown(client: Client, boss: Any, grant: TokenGrant) -> None:
    take_back(grant=grant, by=None, reason="x")

    assert ", by -." in send(client, grant)
