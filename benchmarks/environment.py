"""The server, the databases and the environment of the processes that are measured."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator

import psycopg
from psycopg import sql

from tests.embedded import postgres


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Yield the URL of BENCH_SERVER, or of a server that is started for this run and waits for its disk."""
    if given := os.environ.get("BENCH_SERVER"):
        yield given
        return
    with postgres(durable=True) as url:
        yield url


@contextlib.contextmanager
def database(server: str, name: str) -> Iterator[str]:
    """Create an empty database, yield its URL, and drop it."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield server.replace("/postgres?", f"/{name}?") if "/postgres?" in server else f"{server.rpartition('/')[0]}/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def environment(url: str, folder: str) -> dict[str, str]:
    """Return the environment of a production site on this database, without the caller's settings of heists."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEIST_")},
        "DATABASE_URL": url,
        "DATABASE_CONN_MAX_AGE": "600",
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "DEBUG": "false",
        "ENV_FILE": os.devnull,
        "INSECURE_HTTP": "true",
        "SECRET_KEY": secrets.token_hex(32),
        "VAR_DIR": folder,
        "LOGIN_RATE_LIMIT_PER_MINUTE": "1000000",
    }
