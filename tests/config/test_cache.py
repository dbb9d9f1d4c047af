"""The cache counts exactly, from many processes at once."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

from config.cache import SQLiteCache


@pytest.fixture
def cache(tmp_path: Path) -> SQLiteCache:
    return SQLiteCache(tmp_path / "var" / "cache.sqlite3", {})


def count(path: Path, times: int) -> int:
    """Add one that many times; tell how often this process was the one to create the counter."""
    cache = SQLiteCache(path, {})
    created = 0
    for _ in range(times):
        created += cache.add("counter", 0)
        cache.incr("counter")
    return created


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_no_count_is_lost_between_processes(tmp_path: Path, start: str) -> None:
    path = tmp_path / "cache.sqlite3"
    context = multiprocessing.get_context(start)

    with context.Pool(8) as pool:
        created = pool.starmap(count, [(path, 200)] * 8)

    assert SQLiteCache(path, {}).get("counter") == 1600
    assert sum(created) == 1


def test_a_connection_is_not_carried_through_a_fork(cache: SQLiteCache) -> None:
    cache.set("key", 1)

    pid = os.fork()
    if pid == 0:  # the child must never come back into pytest
        try:
            cache.incr("key")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)

    assert cache.incr("key") == 3


@pytest.mark.parametrize(
    "value", [0, -1, 2**63 - 1, 2**70, 1.5, "text", "", None, True, [1, 2.5], {"a": [None]}, "\x00"]
)
def test_what_json_can_say_comes_back(cache: SQLiteCache, value: Any) -> None:
    cache.set("key", value)

    assert cache.get("key", "default") == value
    assert type(cache.get("key", "default")) is type(value)


def test_what_json_cannot_say_is_refused(cache: SQLiteCache) -> None:
    with pytest.raises(TypeError):
        cache.set("key", object())


def test_add_keeps_what_is_there(cache: SQLiteCache) -> None:
    assert cache.add("key", 1)
    assert not cache.add("key", 2)
    assert cache.get("key") == 1


def test_values_expire(cache: SQLiteCache) -> None:
    cache.set("key", 1, timeout=0.05)
    cache.set("kept", 1, timeout=None)
    cache.set("never", 1, timeout=0)
    time.sleep(0.06)

    assert cache.get("key") is None
    assert cache.get("never") is None
    assert cache.get("kept") == 1
    assert not cache.has_key("key")
    assert not cache.touch("key")
    assert not cache.delete("key")
    with pytest.raises(ValueError, match="no number"):
        cache.incr("key")
    assert cache.add("key", 2)


def test_incr_keeps_the_expiry(cache: SQLiteCache) -> None:
    cache.set("key", 1, timeout=0.05)
    cache.incr("key", 5)
    time.sleep(0.06)

    assert cache.get("key") is None


def test_touch_moves_the_expiry(cache: SQLiteCache) -> None:
    cache.set("key", 1, timeout=0.05)

    assert cache.touch("key", 60)

    time.sleep(0.06)
    assert cache.get("key") == 1


@pytest.mark.parametrize("value", ["text", True, 1.5, [1]])
def test_only_numbers_are_counted(cache: SQLiteCache, value: Any) -> None:
    cache.set("key", value)

    with pytest.raises(ValueError, match="no number"):
        cache.incr("key")


def test_delete_and_clear_forget(cache: SQLiteCache) -> None:
    cache.set_many({"a": 1, "b": 2, "c": 3})

    assert cache.delete("a")
    assert cache.get_many(["a", "b", "c"]) == {"b": 2, "c": 3}
    assert cache.decr("c") == 2
    cache.clear()

    assert cache.get_many(["a", "b", "c"]) == {}


def test_versions_and_prefixes_are_apart(tmp_path: Path) -> None:
    one, two = (SQLiteCache(tmp_path / "cache.sqlite3", {"KEY_PREFIX": prefix}) for prefix in ("one", "two"))

    one.set("key", 1)
    one.set("key", 2, version=2)
    two.set("key", 3)

    assert (one.get("key"), one.get("key", version=2), two.get("key")) == (1, 2, 3)


def test_what_has_expired_is_swept(cache: SQLiteCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.cache.SWEEP_EVERY", 1)
    cache.set("old", 1, timeout=0)

    cache.set("new", 1)

    assert cache._run("SELECT count(*) FROM entries") == [(1,)]
