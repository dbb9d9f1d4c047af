"""Rate limits are exact between threads and processes; while the cache fails, requests are allowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext

from heists.api import throttling
from tests.factories import player

URL = "/api/heists/"
NOON = 1_800_000_000.0


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still, so that no new minute begins during a test."""
    clock = SimpleNamespace(now=NOON)
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


def limit(settings: Any, **limits: int) -> None:
    settings.HEISTS = {**settings.HEISTS, **limits}


def allowed(pk: int = 1, **fields: str) -> bool:
    request = SimpleNamespace(user=SimpleNamespace(pk=pk, **fields))
    return throttling.AttemptThrottle().allow_request(request, None)


@pytest.mark.usefixtures("redis_cache")
def test_of_24_requests_at_once_exactly_5_pass_a_limit_of_5(noon: Any, settings: Any) -> None:
    limit(settings, RATE_LIMIT_PER_MINUTE=5)
    barrier = threading.Barrier(24)

    def at_once(_: int) -> bool:
        barrier.wait()
        return allowed()

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(at_once, range(24))) == 5


PROCESS = """
import json, sys, types
import django
django.setup()
from django.conf import settings
from heists.api import throttling
settings.HEISTS = {**settings.HEISTS, "RATE_LIMIT_PER_MINUTE": 5}
throttling.time = types.SimpleNamespace(time=lambda: 1_800_000_000.0)
request = types.SimpleNamespace(user=types.SimpleNamespace(pk=sys.argv[1]))
sys.stdin.readline()
print(json.dumps([throttling.AttemptThrottle().allow_request(request, None) for _ in range(8)]))
"""


def test_processes_share_one_limit(redis_url: str) -> None:
    # A new id, because Redis keeps the counters of earlier runs.
    player_id = uuid.uuid4().hex
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROCESS, player_id],
            env=os.environ | {"CACHE_URL": redis_url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()

    passed = [json.loads(process.communicate(timeout=60)[0]) for process in processes]

    assert sum(sum(answers) for answers in passed) == 5


def test_the_next_minute_starts_at_zero_and_other_players_are_not_counted(noon: Any, settings: Any) -> None:
    limit(settings, RATE_LIMIT_PER_MINUTE=1)

    assert [allowed(), allowed(), allowed(pk=2)] == [True, False, True]
    noon.now += 60
    assert allowed()


def test_a_reused_primary_key_starts_at_zero(noon: Any, settings: Any) -> None:
    limit(settings, RATE_LIMIT_PER_MINUTE=1)

    assert [allowed(date_joined="monday"), allowed(date_joined="monday"), allowed(date_joined="tuesday")] == [
        True,
        False,
        True,
    ]


def test_a_counter_that_was_evicted_starts_at_zero(noon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, incr, failures = caches["default"], caches["default"].incr, [ValueError("evicted")]

    def evicted_once(key: str) -> int:
        if failures:
            raise failures.pop()
        return incr(key)

    monkeypatch.setattr(cache, "incr", evicted_once)

    assert throttling.AttemptThrottle().count(cache, "key") == 1


def test_a_failing_cache_allows_the_request_and_logs_a_warning(
    noon: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(caches["default"], "add", fail)

    assert allowed()
    assert [(record.levelname, "ConnectionError: gone" in record.getMessage()) for record in caplog.records] == [
        ("WARNING", True)
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("RATE_LIMIT_PER_MINUTE", "1"),
        ("RATE_LIMIT_PER_MINUTE", None),
        ("RATE_LIMIT_PER_MINUTE", True),
        ("THROTTLE_CACHE", 1),
        ("THROTTLE_CACHE", "no such cache"),
    ],
)
def test_a_wrong_setting_does_not_switch_throttling_off(
    noon: Any, settings: Any, caplog: pytest.LogCaptureFixture, key: str, value: Any
) -> None:
    settings.HEISTS = {**settings.HEISTS, key: value}

    with pytest.raises(ImproperlyConfigured, match=key):
        allowed()
    assert not caplog.records


@pytest.mark.django_db
def test_attempts_and_reads_have_limits_of_their_own(signed_in: Any, noon: Any, settings: Any) -> None:
    limit(settings, RATE_LIMIT_PER_MINUTE=2, READ_RATE_LIMIT_PER_MINUTE=3)
    client, victim = signed_in(player()), player(points=1000)

    attempts = [client.post(URL, {"victim": victim.pk}).status_code for _ in range(3)]
    reads = [client.get(f"{URL}token/").status_code for _ in range(4)]

    assert attempts == [409, 409, 429]
    assert reads == [200, 200, 200, 429]


@pytest.mark.django_db
def test_a_throttled_attempt_costs_no_statement(signed_in: Any, noon: Any, settings: Any) -> None:
    limit(settings, RATE_LIMIT_PER_MINUTE=0)

    with CaptureQueriesContext(connection) as queries:
        assert signed_in(PlayerStub()).post(URL, {"victim": 1}).status_code == 429

    assert len(queries) == 0


class PlayerStub(SimpleNamespace):
    """A signed-in player without a row."""

    pk = 4711
    is_authenticated = is_active = True
