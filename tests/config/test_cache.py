"""With CACHE_URL the site counts requests in that Redis, and works while it is down or does not answer."""

from __future__ import annotations

import logging
import runpy
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from rest_framework.test import APIClient

from config.settings import redis_cache
from tests.config.test_settings import PRODUCTION, read

ROOT = Path(__file__).parents[2]


def test_a_site_without_a_url_counts_in_each_process(tmp_path: Path) -> None:
    cache = read(tmp_path, "CACHES", **PRODUCTION)["default"]

    assert cache == {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("redis://localhost:6379/1", "redis://localhost:6379/1"),
        ("rediscache://:a,b;c@cache.example.com/0", "redis://:a,b;c@cache.example.com/0"),
        ("rediss://cache.example.com", "rediss://cache.example.com"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
    ],
)
def test_a_url_names_a_redis(tmp_path: Path, url: str, location: str) -> None:
    cache = read(tmp_path, "CACHES", CACHE_URL=url, **PRODUCTION)["default"]

    assert (cache["BACKEND"], cache["LOCATION"]) == ("django.core.cache.backends.redis.RedisCache", [location])


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "memcache://localhost:11211",
        "redis:localhost",
        "redis://localhost:port/1",
        "redis://localhost:99999/1",
        "redis://localhost:6379/one",
        "redis://[::1/1",
        "redis://localhost/1?db=one",
        "redis://localhost/1?colour=red",
        "redis://:secret#1@localhost/1",
    ],
)
def test_a_malformed_url_stops_the_start(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        redis_cache(url)

    assert str(raised.value) == "CACHE_URL is no URL of a Redis; write it like redis://localhost:6379/1."


@pytest.mark.usefixtures("redis_cache")
def test_a_real_redis_counts() -> None:
    cache.add("count", 0, timeout=5)

    assert [cache.incr("count"), cache.incr("count")] == [1, 2]


@pytest.fixture
def down() -> Iterator[int]:
    """A port where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are accepted and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("failure", ["down", "silent"])
@pytest.mark.django_db
def test_players_sign_in_and_play_while_redis_fails(
    failure: str, request: pytest.FixtureRequest, settings: Any, api: APIClient, caplog: pytest.LogCaptureFixture
) -> None:
    get_user_model().objects.create_user("alice", password="correct horse battery")
    settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{request.getfixturevalue(failure)}/1")}

    started = time.monotonic()
    login = api.post("/api/auth/login/", {"username": "alice", "password": "correct horse battery"})
    token = api.get("/api/heists/token/", HTTP_AUTHORIZATION=f"Token {login.json()['token']}")
    seconds = time.monotonic() - started

    assert (login.status_code, token.status_code) == (200, 200)
    # Two waits of a quarter of a second, and time for a busy machine.
    assert seconds < 4
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["the request is allowed" in record.getMessage() for record in warnings] == [True, True]


@pytest.mark.parametrize(("backend", "lines"), [("locmem.LocMemCache", 1), ("redis.RedisCache", 0)])
def test_the_server_warns_once_where_limits_are_counted_per_process(backend: str, lines: int, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    hook = runpy.run_path(str(ROOT / "config" / "gunicorn.conf.py"))["post_worker_init"]
    said: list[str] = []
    log = SimpleNamespace(warning=lambda message, *values: said.append(message % values))

    for age in (1, 2, 3):
        hook(SimpleNamespace(age=age, log=log))

    assert len(said) == lines
    assert all("counted per process" in line for line in said)
