"""A COMMIT that fails, or that succeeds without an answer, on any database."""

from __future__ import annotations

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
