"""Players are found by the economy's own search, in the order that it gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import F
from django.db.models.functions import Lower

from gamification.economy import GamificationEconomy
from heists.economy import Economy
from heists.queries.search import NAME, players_named
from tests.factories import player

pytestmark = pytest.mark.django_db


def economy(search: Callable[[str], Any]) -> Economy:
    """Return this host's economy with another search."""

    class Searching(GamificationEconomy):
        def search_players(self, text: str, *, exact: bool = False) -> Any:
            assert exact is False
            return search(text)

    return Searching()


def users(text: str) -> Any:
    return get_user_model().objects.filter(username__startswith=text)


def test_the_default_search_finds_user_names_by_their_beginning() -> None:
    for name in ("anna", "anton", "ben", "ban"):
        player(name)

    found = players_named("an", GamificationEconomy())

    assert found is not None
    assert [(user.username, getattr(user, NAME)) for user in found] == [("anna", "anna"), ("anton", "anton")]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("username", ["anB", "ana"]),
        ("-username", ["anB", "ana"]),
        ("first_name", ["x", "y"]),
        (F("username"), ["anB", "ana"]),
        (F("username").desc(), ["anB", "ana"]),
        (Lower("username"), ["ana", "anb"]),
        (Lower("username").asc(), ["ana", "anb"]),
    ],
    ids=str,
)
def test_the_name_is_what_the_search_orders_by(order: Any, names: list[str]) -> None:
    player("ana", first_name="x")
    player("anB", first_name="y")

    found = players_named("an", economy(lambda text: users(text).order_by(order, "pk")))

    assert found is not None
    assert sorted(getattr(user, NAME) for user in found) == names


def test_the_order_may_be_that_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    player("ana")
    monkeypatch.setattr(get_user_model()._meta, "ordering", ["username"])

    found = players_named("an", economy(users))

    assert found is not None
    assert getattr(found.get(), NAME) == "ana"
    with pytest.raises(ImproperlyConfigured):
        players_named("an", economy(lambda text: users(text).order_by()))


def test_a_search_without_an_order_says_what_is_missing() -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        players_named("an", economy(users))

    assert str(raised.value) == "Searching.search_players() has to order the players by name."


def test_no_search_is_no_players() -> None:
    assert players_named("an", economy(lambda text: None)) is None
