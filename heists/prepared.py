"""Queries that are compiled once and asked often, each time with other values.

Django turns a query set into SQL anew at each use. For the facts that takes several times as long as the database needs
to answer (docs/performance.md), and it is always the same SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Expression, Field, QuerySet


class Given(Expression):
    """Stands in a query set for a value, or for so many values of a list, given when the query is asked."""

    def __init__(self, name: str, output_field: Field[Any, Any], *, length: int | None = None) -> None:
        super().__init__(output_field=output_field)
        self.name = name
        self.length = length

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Return placeholders, and in place of each value who will know it."""
        if self.length is None:
            return "%s", (_Slot(self),)
        return f"({', '.join(['%s'] * self.length)})", tuple(_Slot(self, number) for number in range(self.length))


class _Slot(NamedTuple):
    """Where a value goes: the only one of this name, or one of a list."""

    given: Given
    number: int | None = None

    def fill(self, values: Mapping[str, Any], connection: Any) -> Any:
        value = values[self.given.name] if self.number is None else values[self.given.name][self.number]
        return self.given.output_field.get_db_prep_value(value, connection)


class Prepared:
    """A query set with `Given`s for one database, compiled. Safe to share between threads."""

    def __init__(self, rows: QuerySet[Any], using: str) -> None:
        self._rows = rows.using(using)
        self._using = using
        self._compiler = rows.query.get_compiler(using)
        self._sql, self._params = self._compiler.as_sql()

    def ask(self, values: Mapping[str, Any]) -> QuerySet[Any]:
        """Return a query set of the rows for these values. It can be iterated, but not changed any more."""
        connection = connections[self._using]
        params = tuple(p.fill(values, connection) if isinstance(p, _Slot) else p for p in self._params)
        # A compiler belongs to a connection, and that to a thread.
        compiler: Any = copy(self._compiler)
        compiler.connection = connection
        compiler.as_sql = lambda: (self._sql, params)
        rows: Any = self._rows.all()
        rows.query.get_compiler = lambda *args, **kwargs: compiler
        return rows  # type: ignore[no-any-return]
