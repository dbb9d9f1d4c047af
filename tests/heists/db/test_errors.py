"""What an error of the database means, under either driver of PostgreSQL and under SQLite."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, InternalError, NotSupportedError, OperationalError, connection
from django.db.utils import ProgrammingError

from heists.db import retry
from heists.db.atomic import durable_atomic
from heists.errors import Busy, OutcomeUnknown


class Psycopg3Error(Exception):
    def __init__(self, code: str | None, function: str = "") -> None:
        super().__init__(code)
        self.sqlstate = code
        self.diag = type("Diagnostic", (), {"source_function": function})()


class Psycopg2Error(Exception):
    def __init__(self, code: str | None, function: str = "") -> None:
        super().__init__(code)
        self.pgcode = code
        self.diag = type("Diagnostic", (), {"source_function": function})()


def caused(kind: type[Exception], cause: BaseException | None) -> Exception:
    error = kind("said by the database")
    error.__cause__ = cause
    return error


drivers = pytest.mark.parametrize("driver", [Psycopg3Error, Psycopg2Error])


@drivers
@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_deadlock_or_serialization_failure_is_transient(driver: Any, code: str) -> None:
    error = caused(OperationalError, driver(code))

    assert retry.is_transient(error) and retry.is_temporary(error)
    assert not retry.is_connection_unusable(error)


@drivers
@pytest.mark.parametrize(
    ("kind", "code"),
    [(OperationalError, None), (InterfaceError, None), (DatabaseError, None), (InternalError, "25006")]
    + [(OperationalError, code) for code in ("08000", "08006", "57P01", "57P02", "57P03", "57P04", "57P05")]
    + [(InternalError, code) for code in ("25P03", "25P04")],
)
def test_a_connection_of_no_more_use(driver: Any, kind: Any, code: str | None) -> None:
    error = caused(kind, driver(code))

    assert retry.is_connection_unusable(error) and retry.is_temporary(error)
    assert retry.max_attempts(error) == retry.MAX_ATTEMPTS_OTHER


@drivers
@pytest.mark.parametrize(("function", "useless"), [("RevalidateCachedQuery", True), ("transformLockingClause", False)])
def test_an_outdated_plan_is_distinguished_from_a_feature_that_is_not_supported(
    driver: Any, function: str, useless: bool
) -> None:
    error = caused(NotSupportedError, driver("0A000", function))

    assert retry.is_connection_unusable(error) == retry.is_temporary(error) == useless


@drivers
@pytest.mark.parametrize("code", ["53200", "53300", "55P03", "57014"])
def test_a_temporary_error_that_needs_no_new_connection(driver: Any, code: str) -> None:
    error = caused(OperationalError, driver(code))

    assert retry.is_temporary(error)
    assert not retry.is_connection_unusable(error)
    assert retry.max_attempts(error) == 1


@drivers
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ProgrammingError, "42P01"),
        (ProgrammingError, "42703"),
        (ProgrammingError, None),
        (OperationalError, "53100"),
        (OperationalError, "58030"),
        (InternalError, "25P02"),
        (InternalError, "XX000"),
    ],
)
def test_a_defect_is_not_temporary(driver: Any, kind: Any, code: str | None) -> None:
    assert not retry.is_temporary(caused(kind, driver(code)))


@pytest.mark.parametrize(
    "error", [caused(OperationalError, None), caused(DatabaseError, None), ValueError("no"), caused(ValueError, None)]
)
def test_an_error_without_a_driver_behind_it_is_a_defect(error: Exception) -> None:
    assert not retry.is_temporary(error)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="needs SQLite's own errors")
@pytest.mark.django_db
def test_a_missing_column_is_raised_and_a_lock_is_busy_on_sqlite() -> None:
    @retry.retry_transient
    def call(cause: BaseException | None) -> None:
        if cause is None:
            connection.cursor().execute("SELECT lost FROM auth_user")
        raise caused(OperationalError, cause)

    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY

    with pytest.raises(OperationalError, match="no such column"):
        call(None)
    with pytest.raises(Busy):
        call(locked)


@drivers
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("repeatable", "expected"), [(False, OutcomeUnknown), (True, OperationalError)])
def test_a_commit_without_an_answer_is_an_unknown_outcome(
    driver: Any, repeatable: bool, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.ensure_connection()
    commit = getattr(connection, "_commit")  # noqa: B009 - private, unknown to the type checker

    def lose() -> None:
        commit()
        monkeypatch.undo()
        raise caused(OperationalError, driver(None))

    monkeypatch.setattr(connection, "_commit", lose)

    with pytest.raises(expected), durable_atomic("default", repeatable=repeatable):
        pass
