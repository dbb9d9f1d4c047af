"""The plans of statements on PostgreSQL, as it makes them once for any parameters of a prepared statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def prepared_plans() -> Iterator[list[str]]:
    """Collect the plan of each statement with parameters. Needs a transaction, such as that of a TestCase."""
    plans: list[str] = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        numbered = sql % tuple(f"${n}" for n in range(1, len(params) + 1))
        values = ", ".join(f"'{value}'" for value in params)
        with connection.connection.cursor() as cursor:
            cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            cursor.execute(f"PREPARE explained AS {numbered}")
            cursor.execute(f"EXPLAIN (ANALYZE) EXECUTE explained({values})")
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
            cursor.execute("DEALLOCATE explained")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield plans
