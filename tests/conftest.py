from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.test import override_settings
from django.utils import translation
from rest_framework.test import APIClient


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Keep SQLite's test database in a file: threads and processes meet in it as they do in production."""
    database = connections["default"].settings_dict
    if database["ENGINE"].endswith("sqlite3"):
        database["TEST"]["NAME"] = str(Path(settings.VAR_DIR) / "test.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Hash passwords fast and badly: a real hash is made to take long, and the tests make hundreds."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True)
def fresh_cache() -> Iterator[None]:
    """Forget the throttles' counters, so that no test is slowed down by the ones before it."""
    cache.clear()
    yield


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """Forget the language of the last request, which Django leaves to the thread."""
    translation.deactivate()
    yield


@pytest.fixture
def api() -> APIClient:
    return APIClient()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A real Redis: database 15 of the one at REDIS_URL, else of the one on this machine."""
    url = urlsplit(os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379")._replace(path="/15")
    try:
        with redis.Redis.from_url(url.geturl(), socket_connect_timeout=1, socket_timeout=1) as client:
            client.ping()
    except redis.RedisError:
        pytest.skip(f"no Redis at {url.hostname}:{url.port or 6379}")
    return url.geturl()


@pytest.fixture
def redis_cache(redis_url: str, settings: Any) -> Iterator[None]:
    """Count in Redis as the site does with CACHE_URL, under a prefix that no other test has."""
    from config.settings import redis_cache

    cache = redis_cache(redis_url)
    # One pool, closed at the end; Django keeps one for each thread and closes none.
    pool = redis.ConnectionPool.from_url(redis_url, **cache["OPTIONS"])
    cache["OPTIONS"]["pool_class"] = SimpleNamespace(from_url=lambda url, **options: pool)
    settings.CACHES = {"default": cache | {"KEY_PREFIX": f"heists-test-{uuid.uuid4()}"}}
    yield
    pool.disconnect()
