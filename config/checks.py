"""Checks that connect to what the environment names: `manage.py check --database default`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.cache import cache
from django.core.checks import CheckMessage, Error, Warning
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from .databases import REPLICA

PID = "SELECT pg_backend_pid()"
# The same for a server and its replicas, and for no other two servers.
IDENTITY = "SELECT system_identifier, current_database() FROM pg_control_system()"

IS_REPLICA = "SELECT pg_is_in_recovery()"


def check_databases(*, databases: Sequence[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Check that DATABASE_URL answers, and how; and that REPLICA_URL is a replica of it."""
    if not databases or DEFAULT_DB_ALIAS not in databases:
        return
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        connection.ensure_connection()
        if connection.vendor != "postgresql":
            return
        if _is_pooled(connection) and not connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"]:
            yield Warning(
                "DATABASE_URL leads to a pooler; if it pools transactions, prepared statements and cursors break.",
                hint="Set DATABASE_DISABLE_SERVER_SIDE_CURSORS=true, unless it pools sessions.",
                id="config.W001",
            )
        identity = _row(connection, IDENTITY)
    except DatabaseError:
        # Without the error's text, which may name hosts and users.
        hint = "Is the server running, and are host, port, user, password and name those of DATABASE_URL?"
        yield Error("The database of DATABASE_URL does not answer.", hint=hint, id="config.E001")
        return
    if REPLICA in connections:
        yield from _replica(identity)


def _replica(primary: Any) -> Iterator[CheckMessage]:
    try:
        identity = _row(connections[REPLICA], IDENTITY)
        [is_replica] = _row(connections[REPLICA], IS_REPLICA)
    except DatabaseError:
        hint = "Reads go to the primary until it does. Is the server running, and is REPLICA_URL right?"
        yield Warning("The replica of REPLICA_URL does not answer.", hint=hint, id="config.W002")
        return
    if identity != primary:
        hint = "Name a streaming replica of the server of DATABASE_URL, and the same database; or leave it out."
        yield Error("REPLICA_URL is another database than DATABASE_URL.", hint=hint, id="config.E002")
    elif not is_replica:
        hint = "Name a streaming replica, or leave it out. After a promotion, name the new replica."
        yield Warning("The server of REPLICA_URL is no replica: it takes writes.", hint=hint, id="config.W004")


def check_cache(*, databases: Sequence[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Check that CACHE_URL answers."""
    if not databases or DEFAULT_DB_ALIAS not in databases:
        return
    try:
        cache.get("config.check")
    except Exception:  # what a cache raises depends on its backend
        hint = "The site works without it, but requests are not limited. Is the server running, and is CACHE_URL right?"
        yield Warning("The cache of CACHE_URL does not answer.", hint=hint, id="config.W003")


def _row(connection: Any, query: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()


def _is_pooled(connection: Any) -> bool:
    """Return whether a pooler is in between: it gives its clients other process ids than the server has."""
    [pid] = _row(connection, PID)
    return bool(connection.connection.info.backend_pid != pid)
