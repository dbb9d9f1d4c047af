"""A cache in an SQLite file, for the counters of the throttles.

A limit on requests is only as good as its counter, and none of Django's built-in backends counts atomically across
processes without a server: locmem is one per process, the file and database backends read, add and write back, so that
of 24 simultaneous requests all 24 may pass a limit of 5. Here every operation is one SQLite statement, and SQLite lets
one writer in at a time. A site that has Redis or Memcached names it in CACHE_URL and leaves this file alone.

The file is worth nothing after a crash, so nothing waits for the disk (`synchronous=OFF`).
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

SCHEMA = """
    CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value, expires REAL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entries_expires ON entries (expires) WHERE expires IS NOT NULL;
"""
LIVE = "(expires IS NULL OR expires > :now)"
# Seconds to wait for another writer.
PATIENCE = 10
# How many writes of one thread go by between two sweeps of what has expired.
SWEEP_EVERY = 1000

_local = threading.local()


class _Connection(sqlite3.Connection):
    """A connection that goes with its thread, but not with a forked child: closing it there would break its locks."""

    owner = 0

    def __del__(self) -> None:
        if self.owner == os.getpid():
            self.close()


class SQLiteCache(BaseCache):
    """Integers and whatever JSON can say, shared by all threads and processes of one machine.

    `LOCATION` is the file. A tuple comes back as a list; what JSON cannot say is a TypeError, never a pickle.
    """

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._path = Path(location)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store a value unless there is a live one; tell whether it was stored."""
        return bool(
            self._write(
                "INSERT INTO entries VALUES (:key, :value, :expires) ON CONFLICT (key) DO UPDATE"
                " SET value = excluded.value, expires = excluded.expires WHERE entries.expires <= :now RETURNING 1",
                key=self.make_and_validate_key(key, version),
                value=_stored(value),
                expires=self.get_backend_timeout(timeout),
            )
        )

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the live value, or the default."""
        rows = self._run(
            f"SELECT value FROM entries WHERE key = :key AND {LIVE}",
            key=self.make_and_validate_key(key, version),
        )
        return _loaded(rows[0][0]) if rows else default

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value over whatever is there."""
        self._write(
            "INSERT INTO entries VALUES (:key, :value, :expires) ON CONFLICT (key) DO UPDATE"
            " SET value = excluded.value, expires = excluded.expires",
            key=self.make_and_validate_key(key, version),
            value=_stored(value),
            expires=self.get_backend_timeout(timeout),
        )

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give a live value another expiry; tell whether there was one."""
        return bool(
            self._write(
                f"UPDATE entries SET expires = :expires WHERE key = :key AND {LIVE} RETURNING 1",
                key=self.make_and_validate_key(key, version),
                expires=self.get_backend_timeout(timeout),
            )
        )

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Forget a value; tell whether there was a live one."""
        rows = self._write(
            f"DELETE FROM entries WHERE key = :key RETURNING {LIVE}",
            key=self.make_and_validate_key(key, version),
        )
        return bool(rows and rows[0][0])

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a live integer and return the sum, keeping the expiry; ValueError where there is none."""
        rows = self._write(
            "UPDATE entries SET value = value + :delta"
            f" WHERE key = :key AND {LIVE} AND typeof(value) = 'integer' RETURNING value",
            key=self.make_and_validate_key(key, version),
            delta=delta,
        )
        if not rows:
            raise ValueError(f"The cache holds no number under {key!r}.")
        return int(rows[0][0])

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Tell whether there is a live value."""
        return self.get(key, default=self, version=version) is not self

    def clear(self) -> None:
        """Forget everything, whatever its prefix or version."""
        self._write("DELETE FROM entries")

    def _write(self, sql: str, **values: Any) -> list[Any]:
        rows = self._run(sql, **values)
        _local.writes = getattr(_local, "writes", 0) + 1
        if _local.writes % SWEEP_EVERY == 0:
            self._run("DELETE FROM entries WHERE expires <= :now")
        return rows

    def _run(self, sql: str, **values: Any) -> list[Any]:
        return self._connection().execute(sql, {**values, "now": time.time()}).fetchall()

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's own connection; one that was carried through a fork must not be used, or even closed."""
        connections: dict[tuple[int, Path], sqlite3.Connection] = _local.__dict__.setdefault("connections", {})
        mine = (os.getpid(), self._path)
        if mine not in connections:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False, factory=_Connection
            )
            connection.owner = os.getpid()
            connection.execute("PRAGMA synchronous=OFF")
            _prepare(connection)
            connections[mine] = connection
        return connections[mine]


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the file ready. Of several processes that turn a new file to WAL at once, SQLite tells all but one to go, at
    once and whatever the timeout; so they come again.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(SCHEMA)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _stored(value: Any) -> int | str:
    """Return a value as SQLite keeps it: integers bare, so that it can count with them."""
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    return json.dumps(value)


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
