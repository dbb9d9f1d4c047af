"""What tells one database from another, each part by itself; without PostgreSQL."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from heists.db import cache_keys

FULL = {"ENGINE": "e", "HOST": "h", "PORT": 1, "NAME": "n", "USER": "u", "OPTIONS": {"options": "-c search_path=a"}}


def connected(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> Any:
    """Put a connection in the place of Django's, and return it."""
    cursor = mock.MagicMock()
    cursor.__enter__.return_value.fetchone.return_value = ("asked",)
    fields = {"settings_dict": FULL, "vendor": "postgresql", "execute_wrappers": [], **fields}
    connection = SimpleNamespace(cursor=lambda: cursor, asked=cursor.__enter__.return_value.execute, **fields)
    monkeypatch.setattr(cache_keys, "connections", {"here": connection})
    return connection


def test_a_server_is_all_that_the_settings_say_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch)

    assert cache_keys.server_key("here") == ("e", "h", "1", "n", "u", "-c search_path=a")


def test_what_the_settings_do_not_say_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    connected(monkeypatch, settings_dict={"ENGINE": "e", "HOST": None})
    assert cache_keys.server_key("here") == ("e", "", "", "", "", "")

    connected(monkeypatch, settings_dict={"ENGINE": "e", "OPTIONS": {"options": None}})
    assert cache_keys.server_key("here") == ("e", "", "", "", "", "")


@pytest.mark.parametrize(
    ("fields", "schema", "asks"),
    [
        ({}, "", False),
        ({"schema_name": None}, "", False),
        ({"schema_name": "tenant"}, "tenant", False),
        ({"heists_search_path_changed": False}, "", False),
        ({"heists_search_path_changed": True}, "asked", True),
        ({"schema_name": "", "heists_search_path_changed": True}, "asked", True),
        ({"schema_name": "tenant", "heists_search_path_changed": True}, "tenant", False),
    ],
)
def test_the_server_is_asked_for_the_schema_only_where_it_may_have_changed(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], schema: str, asks: bool
) -> None:
    connection = connected(monkeypatch, **fields)

    assert cache_keys.database_key("here") == (*cache_keys.server_key("here"), schema)
    assert connection.asked.call_args_list == ([mock.call("SELECT current_schema()")] if asks else [])


@pytest.mark.parametrize(
    ("sql", "changes"),
    [
        ("SET search_path = tenant", True),
        ("SELECT set_config('search_path', 'tenant', false)", True),
        ("SET SEARCH_PATH TO tenant", True),
        ("SET SCHEMA 'tenant'", True),
        ("set schema 'tenant'", True),
        (object(), True),
        ("SELECT 1", False),
        ("SET TIME ZONE 'UTC'", False),
    ],
)
def test_a_statement_that_may_change_the_schema_is_noted_and_run(sql: Any, changes: bool) -> None:
    connection, ran = SimpleNamespace(), mock.Mock(return_value="rows")
    context = {"connection": connection}

    assert cache_keys._note_switch(ran, sql, (1,), False, context) == "rows"

    assert getattr(connection, "heists_search_path_changed", False) is changes
    ran.assert_called_once_with(sql, (1,), False, context)


def test_each_connection_to_postgresql_is_watched_once_and_first() -> None:
    other = object()
    watched = SimpleNamespace(vendor="postgresql", execute_wrappers=[other, other])
    sqlite = SimpleNamespace(vendor="sqlite", execute_wrappers=[other])

    for connection in (watched, sqlite, watched):
        cache_keys.watch_search_path(connection=connection)

    assert watched.execute_wrappers == [cache_keys._note_switch, other, other]
    assert sqlite.execute_wrappers == [other]
