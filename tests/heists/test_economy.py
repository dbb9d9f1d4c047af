"""The defaults of `Economy`: names, addresses and searches, for user models of any kind."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models import CharField, EmailField

from heists import user_model
from heists.economy import Economy
from tests.factories import player

ADDRESS = "victim@example.com"


def user(pk: Any, name: str) -> Any:
    return SimpleNamespace(pk=pk, get_username=lambda: name)


@pytest.mark.parametrize("name", ["", ADDRESS, "victim\uff20example.com", "victim\ufe6bexample.com"])
def test_a_player_without_a_shown_name_is_numbered(name: str) -> None:
    assert Economy().name(user(12, name)) == "Player 12"


@pytest.mark.parametrize("key", [ADDRESS, "+49 171 1234567", uuid.UUID(int=2**127)])
def test_a_key_that_is_no_number_is_never_shown(key: Any) -> None:
    name = Economy().name(user(key, ADDRESS))

    parts = {str(key)[start : start + 4] for start in range(len(str(key)) - 3)}
    assert name.startswith("Player ")
    assert not any(part in name for part in parts)
    assert name == Economy().name(user(key, ""))


def test_uuids_made_at_the_same_time_have_different_names() -> None:
    # Version 7 begins with the time.
    keys = [uuid.UUID(int=(0x0199A1B2C3D4 << 80) + n) for n in range(50)]

    assert len({Economy().name(user(key, "")) for key in keys}) == 50


def test_a_user_model_without_the_methods_of_django() -> None:
    bare = SimpleNamespace(pk=7)

    assert Economy().name(bare) == "Player 7"
    assert Economy().email(bare) == ""
    assert Economy().name(SimpleNamespace(pk=7, USERNAME_FIELD="handle", handle="bo")) == "bo"


@pytest.mark.django_db
def test_names_are_those_of_name() -> None:
    alice, bob = player("alice"), player(ADDRESS)

    assert Economy().names([alice, bob]) == {alice.pk: "alice", bob.pk: f"Player {bob.pk}"}


def found(text: str, **options: Any) -> list[str]:
    rows = Economy().search_players(text, **options)
    assert rows is not None
    return [row.username for row in rows]


@pytest.mark.django_db
def test_a_search_finds_the_names_that_players_see() -> None:
    for name in ("bobby", "bob", "alice", "bob@example.com", "Jos\u00e9"):
        player(name)

    assert found("bob") == ["bob", "bobby"]
    assert found("bob", exact=True) == ["bob"]
    assert found("Jose\u0301") == found("Jose\u0301", exact=True) == ["Jos\u00e9"]
    assert found("bob@") == found("bob@example.com", exact=True) == found("") == found("\x00") == []
    assert found("\x00", exact=True) == []


def test_names_of_a_hosts_own_are_not_searched_by_the_user_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Named(Economy):
        def name(self, player: Any) -> str:
            return "somebody"

    class NamedTogether(Economy):
        def names(self, players: Any) -> Any:
            return {}

    assert Named().search_players("a") is None
    assert NamedTogether().search_players("a") is None
    monkeypatch.setattr(user_model, "username_field", lambda: None)
    assert Economy().search_players("a") is None


@pytest.mark.parametrize("text", ["01", "+1", "1_0", "\u0661", "1 ", "1.0", "", "x", "\x00", str(10**40)])
def test_a_text_that_is_no_key_in_its_usual_form(text: str) -> None:
    assert user_model.key_from_text(text) is None


def test_the_name_that_a_row_keeps_of_staff() -> None:
    assert user_model.staff_name(None) == ""
    assert user_model.staff_name(user(7, "support")) == "support"
    # Of a model without user names, what it says of itself; of a long name, what the column holds.
    assert user_model.staff_name(uuid.UUID(int=7)) == "00000000-0000-0000-0000-000000000007"
    assert user_model.staff_name(user(7, "s" * 300)) == "s" * 255


@pytest.mark.parametrize("address", ["", None])
def test_a_player_without_an_address_has_an_empty_one(address: str | None) -> None:
    assert Economy().email(SimpleNamespace(email=address)) == ""


def test_a_relation_to_the_user_is_no_column() -> None:
    names = ("username", "player_profile", "nothing")

    assert [user_model.concrete_field(name) is None for name in names] == [False, True, True]


@pytest.mark.django_db
def test_names_of_a_column_with_its_own_collation_are_found_exactly_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    player("bob")
    field: Any = CharField(name="username", db_collation="case_insensitive")
    monkeypatch.setattr(user_model, "username_field", lambda: field)

    assert Economy().search_players("bo") is None
    assert found("bob", exact=True) == ["bob"]
    field = EmailField(name="username")
    assert Economy().search_players("bob", exact=True) is None
