"""Inserts many rows fast: COPY with psycopg 3, `executemany` on SQLite and with psycopg 2."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models
from django.db.models import Max

from heists.models import AttemptLog, Heist

EXECUTEMANY_ROWS = 5000

# For each foreign key of a table, and each index that belongs to no constraint: the statement that drops it, and the
# one that creates it again.
DROP_AND_CREATE_SQL = {
    "postgresql": """
        SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
               format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
          FROM pg_constraint WHERE contype = 'f' AND conrelid = quote_ident(%(table)s)::regclass
        UNION ALL
        SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
          FROM pg_index
         WHERE indrelid = quote_ident(%(table)s)::regclass
           AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    """,
    "sqlite": """
        SELECT 'DROP INDEX "' || name || '"', sql
          FROM sqlite_master WHERE type = 'index' AND tbl_name = %(table)s AND sql <> ''
    """,
}


class Bulk:
    """Inserts rows without model instances: no `save`, no signals, and no Python default for a missing column.

    Values are what the columns take: JSON as text, times with a time zone, foreign keys as keys.
    """

    def __init__(self) -> None:
        # The same time is in several rows: a heist, its notifications, its point events.
        self._adapt_time = lru_cache(maxsize=65536)(connection.ops.adapt_datetimefield_value)
        self._inserted: dict[type[models.Model], None] = {}
        self._numbered: dict[type[models.Model], None] = {}
        # The statements that create the dropped indexes and foreign keys; None while none is dropped.
        self._create_later: list[str] | None = None

    def next_id(self, model: type[models.Model]) -> int:
        """Return the first free id of a model whose ids the caller assigns; see `reset_sequences`."""
        self._numbered[model] = None
        top = model._base_manager.aggregate(top=Max("pk"))["top"] or 0
        if model is Heist:
            # An id that an earlier heist had is not used again.
            top = max(top, AttemptLog.objects.aggregate(top=Max("pk"))["top"] or 0)
        return top + 1

    def insert(self, model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows whose values are in the order of `fields`."""
        if self._create_later is not None and model not in self._inserted:
            self._drop_indexes(model, self._create_later)
        self._inserted[model] = None
        columns: list[Any] = [model._meta.get_field(name) for name in fields]
        names = ", ".join(connection.ops.quote_name(column.column) for column in columns)
        target = f"{connection.ops.quote_name(model._meta.db_table)} ({names})"
        with connection.cursor() as cursor:
            # psycopg 2 has no `copy`.
            if hasattr(cursor, "copy"):
                with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                return
            marks = ", ".join(["%s"] * len(columns))
            times = [i for i, column in enumerate(columns) if isinstance(column, models.DateTimeField)]
            adapted = (self._with_times(row, times) for row in rows)
            while chunk := list(islice(adapted, EXECUTEMANY_ROWS)):
                cursor.executemany(f"INSERT INTO {target} VALUES ({marks})", chunk)

    def _with_times(self, row: Sequence[Any], times: Sequence[int]) -> list[Any]:
        values = list(row)
        for i in times:
            if isinstance(values[i], dt.datetime):
                values[i] = self._adapt_time(values[i])
        return values

    @contextmanager
    def indexes_last(self) -> Iterator[None]:
        """Drop the indexes and foreign keys of tables that were empty, and create them again after the block.

        One sort is faster than an index update for each row, and one join faster than a look-up for each key; a wrong
        key raises IntegrityError at the end. Primary keys and constraints stay. The caller holds the transaction; other
        connections cannot read these tables until it ends.
        """
        self._create_later = []
        yield
        statements, self._create_later = self._create_later, None
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
            for sql in statements:
                cursor.execute(sql)

    def _drop_indexes(self, model: type[models.Model], create_later: list[str]) -> None:
        if model._base_manager.exists():
            return
        with connection.cursor() as cursor:
            cursor.execute(DROP_AND_CREATE_SQL[connection.vendor], {"table": model._meta.db_table})
            for drop, create in cursor.fetchall():
                cursor.execute(drop)
                create_later.append(create)

    def reset_sequences(self) -> None:
        """Set the sequences behind the ids that the caller assigned."""
        with connection.cursor() as cursor:
            for sql in connection.ops.sequence_reset_sql(no_style(), list(self._numbered)):
                cursor.execute(sql)

    def analyze(self) -> None:
        """Update the planner's statistics of the tables that got rows."""
        with connection.cursor() as cursor:
            for model in self._inserted:
                cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")
