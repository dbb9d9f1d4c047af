"""The counter of a throttle: its minute, its key, its life, and the seconds that are left."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from heists.api import throttling

# The start of a minute.
MINUTE = 1_800_000_000.0


class Counters:
    """A cache that records its calls and keeps nothing longer than it is told."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.added: list[tuple[str, int, float]] = []

    def incr(self, key: str) -> int:
        if key not in self.counts:
            raise ValueError(key)
        self.counts[key] += 1
        return self.counts[key]

    def add(self, key: str, value: int, timeout: float) -> None:
        self.added.append((key, value, timeout))
        self.counts.setdefault(key, value)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Counters:
    counters = Counters()
    monkeypatch.setattr(throttling, "_cache", lambda: counters)
    return counters


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(now=MINUTE)
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=lambda: now.now))
    return now


def ask(kind: Any = throttling.AttemptThrottle, pk: Any = 1, **fields: Any) -> Any:
    throttle = kind()
    throttle.allowed = throttle.allow_request(SimpleNamespace(user=SimpleNamespace(pk=pk, **fields)), None)
    return throttle


@pytest.mark.parametrize(
    ("into", "left"), [(0.0, 60.0), (0.5, 59.5), (1.0, 59.0), (59.0, 1.0), (59.75, 0.25), (60.0, 60.0)]
)
def test_the_wait_is_what_is_left_of_the_minute(cache: Any, clock: Any, into: float, left: float) -> None:
    clock.now = MINUTE + into

    assert ask().wait() == left


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_exactly_the_limit_passes_in_each_minute(cache: Any, clock: Any, settings: Any, limit: int) -> None:
    settings.HEISTS = settings.HEISTS | {"RATE_LIMIT_PER_MINUTE": limit}

    for minute in range(3):
        clock.now = MINUTE + 60 * minute
        passed = [ask().allowed for _ in range(limit + 1)]
        clock.now += 59.9
        passed.append(ask().allowed)
        assert passed == [True] * limit + [False] * 2


def test_a_counter_starts_at_0_and_lives_for_two_minutes(cache: Counters, clock: Any) -> None:
    ask(), ask()

    [(key, value, timeout)] = cache.added
    assert (value, timeout, cache.counts) == (0, 120, {key: 2})


def test_a_key_is_short_and_plain_and_of_its_scope_player_and_minute(cache: Counters, clock: Any) -> None:
    for pk in (1, "1", "x" * 300, "a b\n", "\ud800"):
        ask(pk=pk)
    ask(throttling.ReadThrottle)
    ask(date_joined="monday"), ask(date_joined="tuesday")
    clock.now += 60
    ask()

    # 1 and "1" are the same player.
    assert len(cache.counts) == 8
    for key in cache.counts:
        heists, scope, client, minute = key.split(":")
        assert (heists, len(client), client.isalnum()) == ("heists", 32, True)
        assert scope in ("attempts", "reads")
        assert minute in ("30000000", "30000001")


def test_the_two_throttles_read_their_own_settings(settings: Any) -> None:
    settings.HEISTS = settings.HEISTS | {"RATE_LIMIT_PER_MINUTE": 7, "READ_RATE_LIMIT_PER_MINUTE": 8}

    assert (throttling.AttemptThrottle().limit(), throttling.ReadThrottle().limit()) == (7, 8)


def test_a_throttle_of_a_host_says_its_limit_and_its_client() -> None:
    for method in (throttling.MinuteThrottle().limit, lambda: throttling.MinuteThrottle().client(None)):
        with pytest.raises(NotImplementedError):
            method()


def test_the_cache_is_the_one_that_the_setting_names(settings: Any) -> None:
    settings.CACHES = settings.CACHES | {
        "limits": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "limits"}
    }
    settings.HEISTS = settings.HEISTS | {"THROTTLE_CACHE": "limits"}
    assert throttling._cache() is caches["limits"]

    settings.HEISTS = settings.HEISTS | {"THROTTLE_CACHE": "no such"}
    with pytest.raises(ImproperlyConfigured, match=r"""^HEISTS\["THROTTLE_CACHE"\] can't be used: .*no such"""):
        throttling._cache()


def test_while_the_cache_fails_requests_pass_and_the_wait_is_known(
    cache: Counters, clock: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(key: str) -> int:
        raise ConnectionError("gone")

    monkeypatch.setattr(cache, "incr", fail)
    clock.now += 20

    with caplog.at_level(logging.WARNING, logger="heists"):
        throttle = ask()

    assert (throttle.allowed, throttle.wait()) == (True, 40)
    # Only a key that is missing is added.
    assert cache.added == []
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("heists", "the throttle's cache fails, the request is allowed: ConnectionError: gone")
    ]
