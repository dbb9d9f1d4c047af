"""Which database the tests run on: `python -m pytest --database=sqlite|postgres`.

A plugin and not a conftest, because pytest-django imports the settings before any conftest: a DATABASE_URL that is set
there comes too late, and the tests run on SQLite. The report's header names the database.

With `-n 2` (pytest-xdist) only the first process runs `pytest_load_initial_conftests`. The workers inherit its
environment, and with it the one server; each worker has a test database of its own on it.

With `DRIVER=psycopg2` in the environment Django uses the older driver. psycopg 3 stays installed, because tests use it
themselves, for connections beside Django's.
"""

from __future__ import annotations

import atexit
import os
import platform
import secrets
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import django
import psycopg
import pytest
import redis

from .embedded import postgres

if os.environ.get("DRIVER") == "psycopg2":
    assert "django.db.backends.postgresql.base" not in sys.modules
    with pytest.MonkeyPatch.context() as patch:
        # Django prefers psycopg 3 where it can be imported.
        patch.setitem(sys.modules, "psycopg", None)
        import django.db.backends.postgresql.base

_header = pytest.StashKey[str]()
_stack = ExitStack()
# For a run that ends before pytest is configured, such as by a mistake in the settings.
atexit.register(_stack.close)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=["sqlite", "postgres"],
        default="sqlite",
        help="The database to test on. For postgres, DATABASE_URL where it names one, else an embedded server.",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Any, Any]:
    # The settings of production, except HTTPS; nothing of the developer's own site.
    for name in list(os.environ):
        if name.startswith("HEIST_") or name in ("DEBUG", "CACHE_URL", "EMAIL_URL", "DATABASE_POOL", "TIME_ZONE"):
            del os.environ[name]
    folder = tempfile.mkdtemp(prefix="heists-var-")
    _stack.callback(shutil.rmtree, folder, ignore_errors=True)
    os.environ |= {
        "ENV_FILE": os.devnull,
        "VAR_DIR": folder,
        "SECRET_KEY": secrets.token_hex(32),
        "INSECURE_HTTP": "true",
    }
    if early_config.known_args_namespace.database == "sqlite":
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/db.sqlite3"
        name = f"SQLite {sqlite3.sqlite_version}"
    else:
        given = os.environ.get("DATABASE_URL", "")
        if not given.startswith("postgres"):
            os.environ["DATABASE_URL"] = given = _stack.enter_context(postgres())
        with psycopg.connect(given) as connection:
            name = f"PostgreSQL {connection.info.parameter_status('server_version')}"
        if os.environ.get("DRIVER") == "psycopg2":
            name += " under psycopg 2"
            # psycopg 2 does not know the options of this setting.
            os.environ["DATABASE_PREPARED_STATEMENTS"] = "false"
    early_config.stash[_header] = ", ".join(
        [name, redis_version(), f"Django {django.__version__}", f"Python {platform.python_version()}"]
    )
    return (yield)


def redis_address() -> str:
    """Return the URL of the tests' Redis: database 15 at REDIS_URL, or on this machine."""
    return urlsplit(os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379")._replace(path="/15").geturl()


def redis_version() -> str:
    """Return "Redis" and its version, or "no Redis" where none answers."""
    try:
        with redis.Redis.from_url(redis_address(), socket_connect_timeout=1, socket_timeout=1) as client:
            return f"Redis {client.info('server')['redis_version']}"
    except redis.RedisError:
        return "no Redis"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "postgresql: needs what only PostgreSQL has, such as row locks")


# Before pytest-xdist, which appends a test's group to its name.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.database == "postgres":
        return
    elsewhere = [item for item in items if item.get_closest_marker("postgresql")]
    config.hook.pytest_deselected(items=elsewhere)
    items[:] = [item for item in items if item not in elsewhere]


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {config.stash[_header]}"


def pytest_unconfigure(config: pytest.Config) -> None:
    _stack.close()
