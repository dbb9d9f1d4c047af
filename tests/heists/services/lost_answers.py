"""A COMMIT that fails, or that succeeds without an answer, on any database; a write that fails, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection


def lose_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next COMMIT succeed, and the connection break before it says so."""
    _at_next_commit(monkeypatch, "_commit", None)


def fail_the_commit(monkeypatch: pytest.MonkeyPatch, sqlstate: str) -> None:
    """Let the next COMMIT roll back with this code."""
    _at_next_commit(monkeypatch, "_rollback", sqlstate)


def _at_next_commit(monkeypatch: pytest.MonkeyPatch, instead: str, sqlstate: str | None) -> None:
    connection.ensure_connection()
    end = getattr(connection, instead)

    def fail() -> None:
        end()
        monkeypatch.undo()
        # Without a code, as of a connection that broke.
        error = OperationalError("said by the database")
        error.__cause__ = type("Broken", (Exception,), {"sqlstate": sqlstate})()
        raise error

    monkeypatch.setattr(connection, "_commit", fail)


@contextmanager
def fail_write(number: int = 1) -> Iterator[None]:
    """Let the statement that is the `number`th to write end in a serialization failure; fail where there is none."""
    writes, failed = 0, False

    def execute_or_fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal writes, failed
        writes += sql.startswith(("INSERT", "UPDATE", "DELETE"))
        if writes == number and not failed:
            failed = True
            sql, params = "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$", None
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute_or_fail):
        yield
    assert failed, "the statement was not reached"
