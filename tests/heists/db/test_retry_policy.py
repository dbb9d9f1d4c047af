"""How often a call is tried, how long it waits in between, and which connections it closes; without a server."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, InternalError, OperationalError

from heists.db import atomic, retry
from heists.db.retry import StaleRead, retry_transient
from heists.errors import Busy, OutcomeUnknown


def caused(kind: type[Exception], code: str | None) -> Exception:
    error = kind("said by the database")
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": code})()
    return error


def broken() -> Exception:
    return caused(OperationalError, None)


class Connection(SimpleNamespace):
    """A connection of Django's that remembers whether it and the driver's own were closed."""

    def __init__(self, alias: str, *, in_atomic_block: bool = False, opened: bool = True) -> None:
        driver = SimpleNamespace(close=lambda: self.closed.append("driver")) if opened else None
        super().__init__(alias=alias, in_atomic_block=in_atomic_block, connection=driver, closed=[])
        self.atomic_blocks: list[Any] = []

    def close(self) -> None:
        self.closed.append("django")


class Connections(dict[str, Connection]):
    def all(self, initialized_only: bool = False) -> list[Connection]:
        assert initialized_only, "a connection that is not open yet needs no closing"
        return list(self.values())


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    found = Connections({name: Connection(name) for name in ("default", "other")})
    monkeypatch.setattr(retry, "connections", found)
    return found


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a caller who always draws the longest."""
    waited: list[float] = []

    def draw(shortest: float, longest: float) -> float:
        assert shortest == 0
        return longest

    monkeypatch.setattr("random.uniform", draw)
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def failing(times: int, error: Callable[[], Exception]) -> tuple[Callable[[], Any], list[int]]:
    """Return a service call that fails so often before it succeeds, and the list of its attempts."""
    attempts: list[int] = []

    @retry_transient
    def call() -> str:
        attempts.append(len(attempts) + 1)
        if len(attempts) <= times:
            raise error()
        return "done"

    return call, attempts


@pytest.mark.parametrize(
    ("error", "most"),
    [
        (StaleRead, 14),
        (lambda: caused(OperationalError, "40001"), 14),
        (lambda: caused(OperationalError, "40P01"), 14),
        (lambda: caused(IntegrityError, "23505"), 3),
        (broken, 3),
        (lambda: caused(InterfaceError, None), 3),
        (lambda: caused(DatabaseError, "25006"), 3),
        (lambda: caused(OperationalError, "57014"), 1),
    ],
)
def test_a_call_is_tried_as_often_as_its_error_deserves(
    connections: Connections, pauses: list[float], error: Callable[[], Exception], most: int
) -> None:
    call, attempts = failing(most - 1, error)
    assert call() == "done"
    assert len(attempts) == most == len(pauses) + 1

    call, attempts = failing(most, error)
    with pytest.raises(IntegrityError if most == 3 and isinstance(error(), IntegrityError) else Busy) as raised:
        call()
    assert len(attempts) == most
    assert isinstance(raised.value, IntegrityError) or isinstance(raised.value.__cause__, type(error()))


def test_the_pauses_double_up_to_half_a_second(connections: Connections, pauses: list[float]) -> None:
    failing(13, StaleRead)[0]()

    assert pauses == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, *[0.5] * 7])


def test_busy_is_logged_with_its_cause(connections: Connections, pauses: list[float], caplog: Any) -> None:
    call, _attempts = failing(99, broken)

    with caplog.at_level("WARNING", "heists"), pytest.raises(Busy):
        call()

    [record] = caplog.records
    assert record.getMessage() == "the database is busy or unavailable, nothing was changed: said by the database"


def test_a_call_keeps_its_name_arguments_and_other_errors(connections: Connections, pauses: list[float]) -> None:
    @retry_transient
    def divide(number: int, *, by: int) -> float:
        """Divide."""
        return number / by

    assert (divide.__name__, divide.__doc__, divide(6, by=3)) == ("divide", "Divide.", 2)
    with pytest.raises(ZeroDivisionError):
        divide(1, by=0)
    assert pauses == []


@pytest.mark.parametrize("error", [StaleRead, broken])
def test_in_a_callers_transaction_nothing_is_tried_again(
    connections: Connections, pauses: list[float], error: Callable[[], Exception]
) -> None:
    connections["default"].atomic_blocks = [SimpleNamespace(_from_testcase=True), SimpleNamespace()]
    call, attempts = failing(1, error)

    with pytest.raises(type(error())):
        call()

    assert attempts == [1]


@pytest.mark.parametrize(
    ("blocks", "inside"),
    [
        ([], False),
        ([SimpleNamespace(_from_testcase=True)], False),
        ([SimpleNamespace(_from_testcase=False)], True),
        ([SimpleNamespace()], True),
        ([SimpleNamespace(_from_testcase=True), SimpleNamespace()], True),
        ([SimpleNamespace(_from_testcase=True), SimpleNamespace(), SimpleNamespace(_from_testcase=True)], False),
    ],
)
def test_the_transaction_of_a_test_case_is_no_callers(connections: Connections, blocks: Any, inside: bool) -> None:
    connections["other"].atomic_blocks = blocks

    assert retry.in_callers_transaction("other") is inside
    if inside:
        with pytest.raises(RuntimeError):
            atomic.require_outermost("other")
    else:
        atomic.require_outermost("other")


@pytest.mark.parametrize(
    ("using", "closed"), [("other", ["other"]), (None, ["default", "other"]), ("default", ["default"])]
)
def test_a_useless_connection_is_closed_with_the_drivers_own_first(
    connections: Connections, using: str | None, closed: list[str]
) -> None:
    retry.close_if_unusable(broken(), using)

    for alias, connection in connections.items():
        assert connection.closed == (["driver", "django"] if alias in closed else [])


def test_a_connection_in_a_transaction_stays_open_and_one_that_never_opened_is_closed_too(
    connections: Connections,
) -> None:
    connections["default"] = Connection("default", in_atomic_block=True)
    connections["other"] = Connection("other", opened=False)

    retry.close_if_unusable(broken())

    assert (connections["default"].closed, connections["other"].closed) == ([], ["django"])


@pytest.mark.parametrize("error", [StaleRead(), caused(OperationalError, "40001"), caused(IntegrityError, "23505")])
def test_a_connection_that_works_stays_open(connections: Connections, error: Exception) -> None:
    retry.close_if_unusable(error)

    assert connections["default"].closed == []


@pytest.mark.parametrize("times", [1, 3])
def test_a_call_that_loses_its_connection_closes_it_each_time(
    connections: Connections, pauses: list[float], times: int
) -> None:
    call, _attempts = failing(times, broken)

    with pytest.raises(Busy) if times == 3 else mock.MagicMock():
        call()

    assert connections["default"].closed == ["driver", "django"] * times
    assert connections["other"].closed == []


@pytest.mark.parametrize("cause", [broken(), None])
def test_an_unknown_outcome_is_raised_at_once_and_its_connection_closed(
    connections: Connections, pauses: list[float], cause: Exception | None
) -> None:
    def unknown() -> Exception:
        error = OutcomeUnknown()
        error.__cause__ = cause
        return error

    call, attempts = failing(1, unknown)

    with pytest.raises(OutcomeUnknown):
        call()

    assert (attempts, pauses) == ([1], [])
    assert connections["default"].closed == (["driver", "django"] if cause else [])


@pytest.mark.parametrize(
    ("code", "temporary"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_LOCKED, True),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, True),
        (sqlite3.SQLITE_ERROR, False),
        (sqlite3.SQLITE_CORRUPT, False),
        (0, False),
    ],
)
def test_sqlite_is_busy_by_the_primary_code(code: int, temporary: bool) -> None:
    error = OperationalError("said by SQLite")
    error.__cause__ = sqlite3.OperationalError("…")
    error.__cause__.sqlite_errorcode = code

    assert retry.is_temporary(error) is temporary


@pytest.mark.parametrize("name", ["PoolTimeout", "TooManyRequests", "PoolClosed"])
def test_a_pool_without_a_free_connection_is_busy_and_its_connection_kept(name: str) -> None:
    error = OperationalError("said by the pool")
    error.__cause__ = type(name, (Exception,), {"sqlstate": None})()

    lost = name == "PoolClosed"
    assert retry.is_temporary(error)
    assert retry.is_connection_lost(error) is retry.is_connection_unusable(error) is lost
    assert retry.max_attempts(error) == (3 if lost else 1)


@pytest.mark.parametrize(
    ("code", "lost"), [("08", True), ("08P01", True), ("0800", True), ("0A000", False), ("18000", False)]
)
def test_the_first_two_characters_name_the_class_of_lost_connections(code: str, lost: bool) -> None:
    assert retry.is_connection_lost(caused(DatabaseError, code)) is lost


def test_views_stay_outside_the_transactions_of_every_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "connections", ["default", "other"])

    def view(request: Any) -> None: ...

    outside = atomic.outside_atomic_requests(view)

    assert outside._non_atomic_requests == {"default", "other"}


@pytest.mark.parametrize(("code", "lost"), [(None, True), ("XX000", False), ("25P02", False)])
def test_an_internal_error_without_a_code_is_the_drivers_about_a_broken_connection(
    code: str | None, lost: bool
) -> None:
    # Seen behind PgBouncer while the primary was killed: "received 2 results from command 'BEGIN'".
    error = caused(InternalError, code)

    assert retry.is_connection_lost(error) is retry.is_temporary(error) is lost
    assert retry.max_attempts(error) == (3 if lost else 1)
