"""A cache that is down costs time, and one line in the log until it answers again."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import pytest
from django.core.cache import cache

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
