"""What distinguishes two databases: what a process or a cache remembers of one must never serve another.

Two sites may share a cache, and one site may have a schema for each tenant, switched on one and the same alias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connections
from django.db.models import CharField, Func

# What a statement contains that changes PostgreSQL's search path; SET SCHEMA is another way to write it.
SWITCHES = ("search_path", "SEARCH_PATH", "SET SCHEMA", "set schema")


class CurrentSchema(Func):
    """The schema in which PostgreSQL finds our tables now, as a column of any query; empty on SQLite."""

    function = "current_schema"
    template = "%(function)s()"
    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[str | int, ...]]:
        return "''", ()


def server_key(using: str) -> tuple[str, ...]:
    """Return what the settings say of a database: engine, host, port, name, user and a search path."""
    settings = connections[using].settings_dict
    # A role may have a search path of its own.
    named = tuple(str(settings.get(name) or "") for name in ("ENGINE", "HOST", "PORT", "NAME", "USER"))
    return (*named, str(settings.get("OPTIONS", {}).get("options") or ""))


def database_key(using: str) -> tuple[str, ...]:
    """Return what names this database and the schema in use.

    The schema is what the connection says, as those of django-tenants do. Else PostgreSQL is asked, in one statement,
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
    """Note from now on whether a statement changes the search path; a receiver of connection_created."""
    if connection.vendor == "postgresql" and _note not in connection.execute_wrappers:
        # First: `execute_wrapper()` removes the last one when it ends, which has to be its own.
        connection.execute_wrappers.insert(0, _note)


def _note(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    # A composed statement is not text; it costs at most the question.
    if not isinstance(sql, str) or any(switch in sql for switch in SWITCHES):
        context["connection"].heists_search_path_changed = True
    return execute(sql, params, many, context)
