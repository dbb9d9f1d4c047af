"""Statements that are compiled once and run often, each time with other values.

Django turns a query set into SQL anew at each use. For what a heist does that takes several times as long as the
database needs to do it (docs/performance.md), and it is always the same SQL. So most statements of a heist, and the
pages of history and notifications, are compiled once, here, by Django's own compilers.

    heists = Prepared(Heist.objects.filter(victim=Given("victim", key)))    once
    heists.ask({"victim": 12})                                              a list, each time
    update(HeistToken, where={"user": 12, "balance": 3}, to={"balance": 2})
    insert([HeistNotification(...), HeistNotification(...)])
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connections, router, transaction
from django.db.models import Expression, Field, Model, QuerySet
from django.db.models.sql import InsertQuery, UpdateQuery
from django.db.transaction import TransactionManagementError

# Rows of one INSERT: SQLite knows but so many parameters, and each number of rows is a statement that is remembered.
ROWS_AT_ONCE = 50


class Given(Expression):
    """Stands in a query set for a value, or for so many values of a list, given when the query is asked.

    None is not such a value: in SQL nothing equals it.
    """

    def __init__(self, name: Hashable, output_field: Field[Any, Any], *, length: int | None = None) -> None:
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

    def fill(self, values: Mapping[Any, Any], connection: Any) -> Any:
        value = values[self.given.name] if self.number is None else values[self.given.name][self.number]
        return self.given.output_field.get_db_prep_save(value, connection)


class _Statement(NamedTuple):
    """SQL, and its parameters with slots among them."""

    sql: str
    params: Sequence[Any]

    def fill(self, values: Mapping[Any, Any], connection: Any) -> tuple[str, tuple[Any, ...]]:
        return self.sql, tuple(p.fill(values, connection) if isinstance(p, _Slot) else p for p in self.params)


class Prepared:
    """A query set with `Given`s, compiled for its database. Threads may share it."""

    def __init__(self, rows: QuerySet[Any]) -> None:
        self._using = rows.db
        self._rows = rows.using(self._using)
        self._compiler: Any = rows.query.get_compiler(self._using)
        self._statement = _Statement(*self._compiler.as_sql())
        self._locks = rows.query.select_for_update and self._compiler.connection.features.has_select_for_update
        # It belongs to a thread, which may end long before the statement is forgotten.
        self._compiler.connection = None

    def ask(self, values: Mapping[Any, Any]) -> list[Any]:
        """Return the rows for these values. Raises TransactionManagementError for a lock outside a transaction."""
        connection = connections[self._using]
        if self._locks and connection.get_autocommit():
            # Django asks while it compiles, which is not now.
            raise TransactionManagementError("select_for_update cannot be used outside of a transaction.")
        filled = self._statement.fill(values, connection)
        compiler = copy(self._compiler)
        compiler.connection = connection
        compiler.as_sql = lambda: filled
        rows: Any = self._rows.all()
        rows.query.get_compiler = lambda *args, **kwargs: compiler
        return list(rows)


def update(model: type[Model], *, where: Mapping[str, Any], to: Mapping[str, Any], using: str | None = None) -> int:
    """Give the fields in `to` new values in the rows where those in `where` have theirs; return how many rows.

    `filter(**where).update(**to)` for plain values of the model's own fields: keys, not instances. Raises ValueError
    where either is empty, which would mean every row, or no change.
    """
    if not (where and to):
        raise ValueError("update() needs to know which rows, and what to change.")
    using = using or router.db_for_write(model)
    empty = frozenset(name for name, value in where.items() if value is None)
    statement = _updating(model, tuple(where), empty, tuple(to), using)
    connection = connections[using]
    values = {("where", name): value for name, value in where.items()} | {("to", name): v for name, v in to.items()}
    with transaction.mark_for_rollback_on_error(using), connection.cursor() as cursor:
        cursor.execute(*statement.fill(values, connection))
        return int(cursor.rowcount)


@lru_cache(maxsize=256)
def _updating(
    model: type[Model], where: tuple[str, ...], empty: frozenset[str], to: tuple[str, ...], using: str
) -> _Statement:
    fields: Any = {name: model._meta.get_field(name) for name in (*where, *to)}
    wanted = {name: None if name in empty else Given(("where", name), fields[name]) for name in where}
    query: Any = model._base_manager.using(using).filter(**wanted).query.chain(UpdateQuery)
    query.add_update_values({name: Given(("to", name), fields[name]) for name in to})
    return _Statement(*query.get_compiler(using).as_sql())


def insert(rows: Sequence[Any], *, using: str | None = None) -> None:
    """Write new rows of one model, and fill in the primary keys that the database gives them.

    `bulk_create(rows)` for plain values; like it, it sends no signals. The caller holds the transaction where they are
    more than `ROWS_AT_ONCE`. Raises ValueError where some rows bring a primary key and others do not.
    """
    if len({row.pk is None for row in rows}) > 1:
        raise ValueError("insert() takes rows with primary keys, or rows without.")
    for start in range(0, len(rows), ROWS_AT_ONCE):
        _insert(rows[start : start + ROWS_AT_ONCE], using)


def _insert(rows: Sequence[Any], using: str | None) -> None:
    model: Any = type(rows[0])
    using = using or router.db_for_write(model)
    numbered = rows[0].pk is None
    sql, fields = _inserting(model, len(rows), numbered, using)
    connection = connections[using]
    params = [field.get_db_prep_save(field.pre_save(row, True), connection) for row in rows for field in fields]
    with transaction.mark_for_rollback_on_error(using), connection.cursor() as cursor:
        cursor.execute(sql, params)
        keys = [key for (key,) in cursor.fetchall()] if numbered else [row.pk for row in rows]
    for row, key in zip(rows, keys, strict=True):
        row.pk = key
        row._state.adding, row._state.db = False, using


@lru_cache(maxsize=256)
def _inserting(model: type[Model], count: int, numbered: bool, using: str) -> tuple[str, list[Any]]:
    pk: Any = model._meta.pk
    fields: Any = [f for f in model._meta.concrete_fields if not (f.generated or (numbered and f is pk))]
    row = model(**{field.attname: Given(field.attname, field) for field in fields})
    query: Any = InsertQuery(model)
    query.insert_values(fields, [row] * count, raw=True)
    compiler = query.get_compiler(using)
    compiler.returning_fields = [pk] if numbered else None
    ((sql, _slots),) = compiler.as_sql()
    return sql, fields
