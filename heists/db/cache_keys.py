"""Keys under which values of a database are cached, so that no other database or tenant reads them.

Two sites may share a cache, and a site may have a schema for each tenant, all behind one alias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.models import CharField, Func

# Text in a statement that changes PostgreSQL's search path; SET SCHEMA is another way to write it.
SWITCHES = ("search_path", "SEARCH_PATH", "SET SCHEMA", "set schema")


class CurrentSchema(Func):
    """The schema in which PostgreSQL finds our tables now, as a column of any query; empty on SQLite."""

    function = "current_schema"
    template = "%(function)s()"
    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[str | int, ...]]:
        return "''", ()


def server_key(using: str) -> tuple[str, ...]:
    """Return the part of the key from the settings: engine, host, port, name, user and connection options."""
    settings = connections[using].settings_dict
    # A role may have a search path of its own.
    named = tuple(str(settings.get(name) or "") for name in ("ENGINE", "HOST", "PORT", "NAME", "USER"))
    return (*named, str(settings.get("OPTIONS", {}).get("options") or ""))


def database_key(using: str) -> tuple[str, ...]:
    """Return the key of this database and the schema in use.

    The schema is the connection's `schema_name`, which django-tenants sets. Without one, it is read from PostgreSQL
    where a statement on this connection has changed the search path.
    """
    connection: Any = connections[using]
    schema = getattr(connection, "schema_name", None) or ""
    if not schema and getattr(connection, "heists_search_path_changed", False):
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            [schema] = cursor.fetchone()
    return (*server_key(using), str(schema))


def watch_search_path(connection: Any, **kwargs: Any) -> None:
    """Note each statement that changes the search path of a new connection; a receiver of connection_created."""
    if connection.vendor == "postgresql" and _note_switch not in connection.execute_wrappers:
        # First: `execute_wrapper()` removes the last one when it ends, which has to be its own.
        connection.execute_wrappers.insert(0, _note_switch)


def _note_switch(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    # A composed statement is not a string; it is treated as a change, which costs one query.
    if not isinstance(sql, str) or any(switch in sql for switch in SWITCHES):
        context["connection"].heists_search_path_changed = True
    return execute(sql, params, many, context)
