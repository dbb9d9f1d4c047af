from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.test import override_settings
from django.utils import translation
from pytest_django import Settings
from rest_framework.test import APIClient

from .databases import redis_address, redis_version


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Keep SQLite's test database in a file, one for each worker: threads and processes share it, as in production."""
    database = connections["default"].settings_dict
    if database["ENGINE"].endswith("sqlite3"):
        worker = os.environ.get("PYTEST_XDIST_WORKER", "only")
        database["TEST"]["NAME"] = str(Path(settings.VAR_DIR) / f"test-{worker}.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Hash passwords with MD5: a real hash is slow on purpose, and the tests make hundreds."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True)
def fresh_cache() -> Iterator[None]:
    """Reset the throttles' counters, so that no test is throttled because of earlier ones."""
    cache.clear()
    yield


@pytest.fixture(autouse=True)
def default_search_path() -> None:
    """Forget that an earlier test changed the search path: each look at the database's key would cost a statement."""
    connections["default"].heists_search_path_changed = False  # type: ignore[attr-defined]


@pytest.fixture(scope="session", autouse=True)
def uncached_sums() -> None:
    """Cache no sum, however slow the machine is: a test that is about the cache sets SLOW_SECONDS itself."""
    from heists.queries import cached

    cached.SLOW_SECONDS = float("inf")


@pytest.fixture(scope="session", autouse=True)
def no_rule_changes() -> float:
    """Let the settings decide, without reading the rule changes: a test that makes some uses `rule_changes`.

    Return the age at which the site reads them again.
    """
    from heists import in_force

    max_age, in_force.MAX_AGE_SECONDS = in_force.MAX_AGE_SECONDS, float("inf")
    return max_age


@pytest.fixture
def rule_changes(monkeypatch: pytest.MonkeyPatch, no_rule_changes: float) -> Iterator[None]:
    """Read the rule changes as the site does, from the first call on; later tests know nothing of them."""
    from heists import in_force

    monkeypatch.setattr(in_force, "MAX_AGE_SECONDS", no_rule_changes)
    in_force.forget()
    yield
    in_force.forget()


@pytest.fixture(scope="session", autouse=True)
def one_minute() -> None:
    """Let no minute begin during a test: its requests would count from zero. A test about that sets the clock."""
    from heists.api import throttling

    vars(throttling)["time"] = SimpleNamespace(time=lambda: 1_800_000_000.0)


@pytest.fixture(autouse=True)
def default_language() -> Iterator[None]:
    """Deactivate the language of the last request, which Django leaves active in the thread."""
    translation.deactivate()
    yield


@pytest.fixture
def api() -> APIClient:
    return APIClient()


class HeistSettings(Protocol):
    def __call__(self, **changes: Any) -> None: ...


@pytest.fixture
def heist_settings(settings: Settings) -> HeistSettings:
    """A function that changes keys of `HEISTS` for this test: `heist_settings(COOLDOWN_HOURS=0)`."""

    def change(**changes: Any) -> None:
        settings.HEISTS = settings.HEISTS | changes

    return change


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The URL of a real Redis; without one, the test is skipped."""
    if redis_version() == "no Redis":
        pytest.skip(f"no Redis at {urlsplit(redis_address()).netloc}")
    return redis_address()


@pytest.fixture
def redis_cache(redis_url: str, settings: Settings) -> Iterator[None]:
    """Use Redis as the site does with CACHE_URL, with a key prefix of its own for each test."""
    from config.settings import redis_cache

    cache = redis_cache(redis_url)
    # One pool, closed at the end: Django makes one for each thread and closes none.
    pool = redis.ConnectionPool.from_url(redis_url, **cache["OPTIONS"])
    cache["OPTIONS"]["pool_class"] = SimpleNamespace(from_url=lambda url, **options: pool)
    settings.CACHES = {"default": cache | {"KEY_PREFIX": f"heists-test-{uuid.uuid4()}"}}
    yield
    pool.disconnect()
