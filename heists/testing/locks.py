"""A second transaction, to test the row locks of an economy. PostgreSQL only."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db import DatabaseError, connections, transaction

from ..db.retry import sqlstate
from ..economy import get_economy

# How long a test waits for another thread.
TIMEOUT_SECONDS = 10
# How long PostgreSQL waits for a lock that a test expects to be held.
LOCK_TIMEOUT = "300ms"
LOCK_NOT_AVAILABLE = "55P03"


def can_lock(using: str, player_id: Any) -> bool:
    """Return whether the economy can lock this player now; False where another transaction holds the lock."""
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            get_economy().lock(player_id)
    except DatabaseError as error:
        if sqlstate(error) == LOCK_NOT_AVAILABLE:
            return False
        raise
    return True


class OtherTransaction(threading.Thread):
    """Locks players in a transaction and connection of its own, and holds the locks until `finish`.

    A `with` block begins when the locks are held; where `blocked` is set, when they are requested.
    """

    def __init__(self, using: str, *player_ids: Any, blocked: bool = False) -> None:
        super().__init__(daemon=True)
        self.using, self.player_ids = using, player_ids
        self.backend: int | None = None
        self.error: Exception | None = None
        self.requested, self.locked, self.may_end = threading.Event(), threading.Event(), threading.Event()
        self.ready = self.requested if blocked else self.locked

    def run(self) -> None:
        connection = connections[self.using]
        try:
            with transaction.atomic(using=self.using):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    self.backend = cursor.fetchone()[0]
                    # An index would give rows in the order of the keys by chance, without an ORDER BY.
                    cursor.execute("SET LOCAL enable_indexscan = off")
                self.requested.set()
                get_economy().lock(*self.player_ids)
                self.locked.set()
                self.may_end.wait(TIMEOUT_SECONDS)
        except Exception as error:
            self.error = error
        finally:
            self.requested.set()
            self.locked.set()
            connection.close()

    def is_blocked(self) -> bool:
        """Return whether this transaction comes to wait for the lock of another one."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        with connections[self.using].cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.backend])
                if cursor.fetchone()[0]:
                    return True
                time.sleep(0.01)
        return False

    def finish(self) -> None:
        """Let the transaction end."""
        self.may_end.set()

    def __enter__(self) -> OtherTransaction:
        self.start()
        self.ready.wait(TIMEOUT_SECONDS)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.finish()
        self.join(TIMEOUT_SECONDS)
        if self.error:
            raise self.error
