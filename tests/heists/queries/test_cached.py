"""A cache that is down costs time, and one line in the log until it answers again."""

from __future__ import annotations

import datetime as dt
import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections

from heists.queries import cached

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make these methods of the cache raise."""
    methods = ["get", "set"]
    cached._warned.clear()
    monkeypatch.setattr(cached, "SLOW_SECONDS", -1)

    def method(name: str) -> Any:
        real = getattr(cache, name)

        def call(*args: Any, **options: Any) -> Any:
            if name in methods:
                raise ConnectionError("Timeout reading from socket")
            return real(*args, **options)

        return call

    for name in list(methods):
        monkeypatch.setattr(cache, name, method(name), raising=False)
    return methods


def ask() -> list[Any]:
    return cached.cached("name", lambda: [1, 2], dt.timedelta(minutes=1))


@pytest.mark.parametrize("working", [None, "get"])
def test_an_outage_is_one_warning_without_a_traceback(
    broken: list[str], working: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    if working:
        broken.remove(working)

    assert ask() == [1, 2]
    broken[:] = ["get", "set"]
    assert [ask(), ask()] == [[1, 2], [1, 2]]

    [line] = caplog.records
    assert (line.levelno, line.exc_info) == (logging.WARNING, None)
    assert line.getMessage().endswith("ConnectionError: Timeout reading from socket")


def test_the_next_outage_is_another_warning(broken: list[str], caplog: pytest.LogCaptureFixture) -> None:
    ask()
    broken.clear()
    ask()
    broken.append("get")
    ask()

    assert len(caplog.records) == 2


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "SLOW_SECONDS", -1)


def ask_for(number: int) -> int:
    """Return the cached number, or this one where none is cached."""
    [found] = cached.cached("name", lambda: [number], dt.timedelta(minutes=1))
    return int(found)


@pytest.mark.usefixtures("slow")
def test_each_schema_has_sums_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    connection: Any = connections["default"]
    monkeypatch.setattr(connection, "schema_name", "", raising=False)

    def of(schema: str, number: int) -> int:
        connection.schema_name = schema
        return ask_for(number)

    assert [of("north", 1), of("south", 2), of("north", 3), of("south", 4)] == [1, 2, 1, 2]


@pytest.mark.usefixtures("slow")
def test_each_database_has_sums_of_its_own_by_where_heists_are_read(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    class Reads:
        alias = "default"

        def db_for_read(self, model: Any, **hints: Any) -> str:
            return self.alias

    reads = Reads()
    settings.DATABASE_ROUTERS = [reads]
    monkeypatch.setattr(cached, "database_key", lambda using: (using,))

    def of(alias: str, number: int) -> int:
        reads.alias = alias
        return ask_for(number)

    assert [of("default", 1), of("copy", 2), of("default", 3), of("copy", 4)] == [1, 2, 1, 2]


@pytest.mark.usefixtures("slow")
def test_each_name_has_a_value_of_its_own_in_a_key_that_every_cache_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[tuple[str, Any]] = []
    monkeypatch.setattr(connections["default"], "schema_name", "ein Schema mit Umlaut: ü", raising=False)
    monkeypatch.setattr(cache, "set", lambda key, value, timeout: keys.append((key, timeout)), raising=False)

    for name in ("one", "two"):
        cached.cached(name, lambda: [1], dt.timedelta(minutes=1, milliseconds=500))

    assert len({key for key, _timeout in keys}) == 2
    for key, timeout in keys:
        assert re.fullmatch(r"[\x21-\x7e]{1,200}", key) and timeout == 60


def test_a_fast_sum_is_not_cached_and_a_slow_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.05, 1.0, 1.06])
    monkeypatch.setattr(cached, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr("heists.queries.cached.time", SimpleNamespace(monotonic=lambda: next(clock)))

    assert [ask_for(number) for number in (1, 2, 3)] == [1, 2, 2]
