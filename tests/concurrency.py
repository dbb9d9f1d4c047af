"""Service calls in threads, each on a database connection of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connection

# Seconds after which a thread counts as hung; nothing waits that long when all is well.
TIMEOUT_SECONDS = 60


class CallThread(threading.Thread):
    """Runs a call on a connection of its own, and keeps what it returned or raised."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.call = call
        self.result: Any = None
        self.error: Exception | None = None
        # PostgreSQL's process number of this thread's connection.
        self.backend: int | None = None

    def run(self) -> None:
        try:
            if connection.vendor == "postgresql":
                self._connect()
                self.backend = connection.connection.info.backend_pid
            self.result = self.call()
        except Exception as error:  # the test decides whether it is right
            self.error = error
        finally:
            connection.close()

    def _connect(self) -> None:
        """Connect, and wait while the tests of another process hold the server's last connections."""
        for _attempt in range(20):
            try:
                return connection.ensure_connection()
            except OperationalError:
                time.sleep(0.5)
        connection.ensure_connection()

    def finish(self) -> None:
        """Wait for the end of the call; fail where it does not end."""
        self.join(TIMEOUT_SECONDS)
        assert not self.is_alive(), "the call hangs"


def at_once(*calls: Callable[[], Any], errors: type[Exception] | tuple[()] = ()) -> list[Any]:
    """Start all calls at the same moment, each in a thread; return their results, in the order of the calls.

    An exception of the class `errors` is a result. Any others are raised as an ExceptionGroup.
    """
    barrier = threading.Barrier(len(calls))

    def from_the_barrier(call: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            barrier.wait(TIMEOUT_SECONDS)
            return call()

        return run

    threads = [CallThread(from_the_barrier(call)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.finish()
    unexpected = [thread.error for thread in threads if thread.error and not isinstance(thread.error, errors)]
    # A call that fails before the barrier breaks it for the others: it comes first.
    unexpected.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    if unexpected:
        raise ExceptionGroup("calls at once", unexpected)
    return [thread.error or thread.result for thread in threads]
