"""Querysets that are compiled to SQL once and run often, each time with other parameters. Private.

Django compiles a queryset again on each use, which takes several times as long as PostgreSQL needs to run it
(docs/performance.md). The queries of every heist and every page of a list are the same few, so they are compiled once,
by Django's own compiler.

    heists = CompiledQuery(Heist.objects.filter(victim=Param("victim", field)))    once
    heists.fetch({"victim": 12})                                                   a list, each time

It depends on parts of Django that are not documented:

- `Query.get_compiler()`, and that a queryset calls it on its `query` to run;
- `SQLCompiler.as_sql()`, and that executing calls it once on the instance and runs the SQL and parameters it returns;
- that a copy of a compiler runs on the connection in its `connection` attribute;
- that `Expression.as_sql()` may return any object as a parameter, and that compiling passes it on unchanged.

tests/heists/db/test_compiled.py fails where one of them changes.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from copy import copy
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Expression, Field, QuerySet
from django.db.transaction import TransactionManagementError


class Param(Expression):
    """A placeholder in a queryset for a value, or for a list of `length` values, that each call of `fetch` fills in.

    The value can't be None: in SQL, nothing equals NULL.
    """

    def __init__(self, name: Hashable, output_field: Field[Any, Any], *, length: int | None = None) -> None:
        super().__init__(output_field=output_field)
        self.name = name
        self.length = length

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        """Return placeholders; the parameters are slots, filled in on each call."""
        if self.length is None:
            return "%s", (_Slot(self),)
        return f"({', '.join(['%s'] * self.length)})", tuple(_Slot(self, position) for position in range(self.length))


class _Slot(NamedTuple):
    """The place of a parameter's value, or of one value of its list."""

    param: Param
    position: int | None = None

    def fill(self, values: Mapping[Any, Any], connection: Any) -> Any:
        value = values[self.param.name] if self.position is None else values[self.param.name][self.position]
        return self.param.output_field.get_db_prep_save(value, connection)


class CompiledQuery:
    """A queryset with `Param`s, compiled for its database. Threads may share it."""

    def __init__(self, rows: QuerySet[Any]) -> None:
        self._using = rows.db
        self._rows = rows.using(self._using)
        self._compiler: Any = rows.query.get_compiler(self._using)
        self._sql, self._params = self._compiler.as_sql()
        self._locks = rows.query.select_for_update and self._compiler.connection.features.has_select_for_update
        # The connection belongs to a thread, which may end long before the compiled query is dropped.
        self._compiler.connection = None

    def fetch(self, values: Mapping[Any, Any]) -> list[Any]:
        """Run the query with these values, by `Param` name, and return its rows.

        Raises TransactionManagementError for a row lock outside a transaction.
        """
        connection = connections[self._using]
        if self._locks and connection.get_autocommit():
            # Django checks this while it compiles, which is not now.
            raise TransactionManagementError("select_for_update cannot be used outside of a transaction.")
        params = tuple(p.fill(values, connection) if isinstance(p, _Slot) else p for p in self._params)
        compiler = copy(self._compiler)
        compiler.connection = connection
        compiler.as_sql = lambda: (self._sql, params)
        rows: Any = self._rows.all()
        rows.query.get_compiler = lambda *args, **kwargs: compiler
        return list(rows)
