"""Writing many rows fast: COPY on PostgreSQL, `executemany` elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from django.core.management.color import no_style
from django.db import connections, models
from django.db.models import Max

# Rows of one executemany: enough to be quick, few enough to stay small.
CHUNK = 5000


class Bulk:
    """Inserts rows past the ORM's objects: no `save`, no signals, and no default of a column that is left out.

    Values go in as the columns take them: JSON as text, times with a time zone, foreign keys as keys.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self.connection: Any = connections[using]
        self._touched: dict[type[models.Model], None] = {}
        self._numbered: dict[type[models.Model], None] = {}

    def next_id(self, model: type[models.Model]) -> int:
        """Return the first free number of a model whose rows the caller numbers; see `reset_sequences`."""
        self._numbered[model] = None
        return (model._base_manager.using(self.using).aggregate(top=Max("pk"))["top"] or 0) + 1

    def insert(self, model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows whose values stand in the order of `fields`."""
        self._touched[model] = None
        quote = self.connection.ops.quote_name
        table = quote(model._meta.db_table)
        known = {field.name: field.column for field in model._meta.concrete_fields}
        columns = ", ".join(quote(known[name]) for name in fields)
        if self.connection.vendor == "postgresql":
            with (
                self.connection.cursor() as cursor,
                cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
            ):
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join(["%s"] * len(fields))
        times = [i for i, name in enumerate(fields) if isinstance(model._meta.get_field(name), models.DateTimeField)]
        adapted = (self._with_times(row, times) for row in rows)
        with self.connection.cursor() as cursor:
            while chunk := list(islice(adapted, CHUNK)):
                cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", chunk)

    def _with_times(self, row: Sequence[Any], times: Sequence[int]) -> list[Any]:
        values = list(row)
        for i in times:
            if isinstance(values[i], dt.datetime):
                values[i] = self.connection.ops.adapt_datetimefield_value(values[i])
        return values

    def check_keys_as_they_come(self, *, except_for: Sequence[str] = ()) -> None:
        """Let PostgreSQL check foreign keys at each statement: deferred checks would pile up in its memory.

        `except_for` names constraints whose rows come last; `check_keys` looks at them.
        """
        if self.connection.vendor == "postgresql":
            with self.connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                for name in except_for:
                    cursor.execute(f"SET CONSTRAINTS {self.connection.ops.quote_name(name)} DEFERRED")

    def check_keys(self) -> None:
        """Look at every foreign key that is still to be checked. Raises IntegrityError."""
        if self.connection.vendor == "postgresql":
            self.connection.check_constraints()

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
