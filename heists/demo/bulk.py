"""Writing many rows fast: COPY on PostgreSQL, `executemany` elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.db import connections, models
from django.db.models import Max

# Rows of one executemany: enough to be quick, few enough to stay small.
CHUNK = 5000

# How to drop, and how to make again, each index of a table that belongs to no constraint, and each foreign key.
POSTGRESQL_LAWS = """
    SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
           format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
      FROM pg_constraint WHERE contype = 'f' AND conrelid = %(table)s::regclass
    UNION ALL
    SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
      FROM pg_index
     WHERE indrelid = %(table)s::regclass
       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
SQLITE_LAWS = """
    SELECT 'DROP INDEX "' || name || '"', sql
      FROM sqlite_master WHERE type = 'index' AND tbl_name = %(table)s AND sql <> ''
"""


class Bulk:
    """Inserts rows past the ORM's objects: no `save`, no signals, and no default of a column that is left out.

    Values go in as the columns take them: JSON as text, times with a time zone, foreign keys as keys.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self.connection: Any = connections[using]
        # The same moment stands in several rows: of a heist, its notifications, its point events.
        self._moment = lru_cache(maxsize=65536)(self.connection.ops.adapt_datetimefield_value)
        self._touched: dict[type[models.Model], None] = {}
        self._numbered: dict[type[models.Model], None] = {}
        # What puts the laws of a table back; None while they stand.
        self._put_off: list[str] | None = None

    def next_id(self, model: type[models.Model]) -> int:
        """Return the first free number of a model whose rows the caller numbers; see `reset_sequences`."""
        self._numbered[model] = None
        return (model._base_manager.using(self.using).aggregate(top=Max("pk"))["top"] or 0) + 1

    def insert(self, model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows whose values stand in the order of `fields`."""
        if self._put_off is not None and model not in self._touched:
            self._drop_laws(model, self._put_off)
        self._touched[model] = None
        quote = self.connection.ops.quote_name
        meta: Any = model._meta
        table = quote(meta.db_table)
        columns = ", ".join(quote(meta.get_field(name).column) for name in fields)
        if self.connection.vendor == "postgresql":
            with (
                self.connection.cursor() as cursor,
                cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
            ):
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(fields))
        times = [i for i, name in enumerate(fields) if isinstance(meta.get_field(name), models.DateTimeField)]
        adapted = (self._with_times(row, times) for row in rows)
        with self.connection.cursor() as cursor:
            while chunk := list(islice(adapted, CHUNK)):
                cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", chunk)

    def _with_times(self, row: Sequence[Any], times: Sequence[int]) -> list[Any]:
        values = list(row)
        for i in times:
            if isinstance(values[i], dt.datetime):
                values[i] = self._moment(values[i])
        return values

    @contextmanager
    def laws_last(self) -> Iterator[None]:
        """Drop the indexes and foreign keys of tables that were empty, and put them back after the block.

        Sorting once beats finding a place for each row, and one join beats a look-up for each key; a wrong key raises
        IntegrityError at the end. Primary keys and constraints stay. Nobody else can read these tables until the
        transaction ends.
        """
        self._put_off = []
        yield
        laws, self._put_off = self._put_off, None
        with self.connection.cursor() as cursor:
            if self.connection.vendor == "postgresql":
                cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
            for law in laws:
                cursor.execute(law)

    def _drop_laws(self, model: type[models.Model], put_off: list[str]) -> None:
        """Drop what an empty table's rows would be checked by and sorted into, and remember how to put it back."""
        table = model._meta.db_table
        find = {
            "postgresql": (POSTGRESQL_LAWS, self.connection.ops.quote_name(table)),
            "sqlite": (SQLITE_LAWS, table),
        }.get(self.connection.vendor)
        if find is None or model._base_manager.using(self.using).exists():
            return
        sql, name = find
        with self.connection.cursor() as cursor:
            cursor.execute(sql, {"table": name})
            for drop, create in cursor.fetchall():
                cursor.execute(drop)
                put_off.append(create)

    def reset_sequences(self) -> None:
        """Let the next row that the database numbers come after those that the caller numbered."""
        with self.connection.cursor() as cursor:
            for sql in self.connection.ops.sequence_reset_sql(no_style(), list(self._numbered)):
                cursor.execute(sql)

    def analyze(self) -> None:
        """Tell the query planner what has come."""
        if self.connection.vendor in ("postgresql", "sqlite"):
            with self.connection.cursor() as cursor:
                for model in self._touched:
                    cursor.execute(f"ANALYZE {self.connection.ops.quote_name(model._meta.db_table)}")
