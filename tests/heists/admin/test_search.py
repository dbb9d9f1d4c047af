"""Finding players, whatever the host's user model and database."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import NotSupportedError, connection, transaction
from django.test import Client
from django.urls import reverse

from gamification.economy import GamificationEconomy
from heists.admin import search
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db

LIST = "admin:heists_heist_changelist"


@pytest.fixture
def nondeterministic() -> Iterator[None]:
    """Give the username's column a collation for which PostgreSQL before 18 rejects LIKE."""
    with connection.cursor() as cursor:
        try:
            with transaction.atomic():
                cursor.execute(
                    "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
                )
        except NotSupportedError:
            pytest.skip("this PostgreSQL was built without ICU, which has the nondeterministic collations")
        # The index for LIKE can't have such a collation.
        cursor.execute(
            "DO $$ DECLARE name text; BEGIN FOR name IN SELECT indexname FROM pg_indexes WHERE tablename = 'auth_user'"
            " AND indexname LIKE '%_like' LOOP EXECUTE format('DROP INDEX %I', name); END LOOP; END $$"
        )
        cursor.execute("ALTER TABLE auth_user ALTER COLUMN username TYPE varchar(150) COLLATE ci")
    yield


@pytest.mark.postgresql
def test_names_are_found_under_a_nondeterministic_collation(client: Client, boss: Any, nondeterministic: None) -> None:
    alice = player("Alice")
    execute_heist(attacker_id=alice.pk, victim_id=alice.pk)

    assert search.player_ids("alice") == [alice.pk]
    assert search.player_ids("Ali") == [alice.pk]
    assert search.player_ids("zoe") == []
    assert client.get(reverse(LIST), {"q": "Ali"}).context["cl"].result_count == 1


@pytest.mark.parametrize("missing", ["method", "field"])
def test_a_user_model_without_email_is_searched_by_name(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    User, alice = get_user_model(), player("alice", email="a@example.org")
    if missing == "method":
        monkeypatch.delattr("django.contrib.auth.base_user.AbstractBaseUser.get_email_field_name")
    else:
        monkeypatch.setattr(User, "get_email_field_name", lambda: "mailbox")

    assert search.player_ids("alice") == [alice.pk]
    assert search.player_ids("a@example.org") == ([alice.pk] if missing == "method" else [])


def test_a_name_is_found_however_it_is_composed() -> None:
    jose = player(unicodedata.normalize("NFKC", "José"))

    assert search.player_ids(unicodedata.normalize("NFD", "José")) == [jose.pk]
    assert search.player_ids(unicodedata.normalize("NFD", "José")[:-1]) == []


def test_a_list_says_that_there_is_no_such_player(client: Client, auditor: Any) -> None:
    player("idle")

    for table in ("heist", "heisttoken", "shield", "outboxemail"):
        address = reverse(f"admin:heists_{table}_changelist")
        assert "No player has this name" in client.get(address, {"q": "nosuch"}).content.decode()
        assert "No player has this name" not in client.get(address, {"q": "idle"}).content.decode()
    assert "No player has this name" not in client.get(reverse(LIST), {"q": "192.0.2.9"}).content.decode()


def test_players_are_found_by_the_name_that_players_see(monkeypatch: pytest.MonkeyPatch) -> None:
    def search_players(self: Any, text: str, *, exact: bool = False) -> Any:
        lookup = "first_name" if exact else "first_name__startswith"
        return get_user_model().objects.filter(**{lookup: text})

    monkeypatch.setattr(GamificationEconomy, "name", lambda self, player: player.first_name)
    monkeypatch.setattr(GamificationEconomy, "search_players", search_players)
    ann, anna, annex = player("u1", first_name="Ann"), player("u2", first_name="Anna"), player("Annex")

    assert search.player_ids("Ann") == [ann.pk]
    assert search.player_ids("An") == [ann.pk, anna.pk, annex.pk]
    assert search.player_ids("u2") == [anna.pk]
    assert search.player_ids("nobody") == []


@pytest.mark.django_db
def test_a_search_finds_twenty_players_at_most_in_the_order_of_their_keys() -> None:
    players = [player(f"anna{number:02}") for number in range(25)]

    assert search.player_ids("anna") == [user.pk for user in players[:20]]
    assert [found.pk for found in search.players_by_id(str(user.pk) for user in reversed(players))] == [
        user.pk for user in players
    ]


@pytest.mark.django_db
def test_a_text_that_is_a_name_and_another_players_key_finds_both() -> None:
    other = player("other")
    named = player(str(other.pk))

    assert search.player_ids(str(other.pk)) == [other.pk, named.pk]


@pytest.mark.django_db
def test_an_email_address_is_compared_exactly() -> None:
    alice = player("alice", email="Alice@example.org")
    player("bob", email="nobody")

    assert search.player_ids("Alice@example.org") == [alice.pk]
    assert search.player_ids("alice@example.org") == search.player_ids("nobody") == []
